from __future__ import annotations

from pathlib import Path

import pytest

from backend.chat.batch import answer_all
from backend.chat.engine import Sampling
from backend.chat.torch_engine import TorchEngine

QUESTIONS = [
    "What is the capital of France?",
    "Name three fruits.",
    "Say hello.",
    "Write one short sentence about the sea, and then one about the mountains, please.",
    "2 + 2 =",
]


@pytest.fixture(scope="module")
def engine(bundled_model: Path) -> TorchEngine:
    import torch

    return TorchEngine(bundled_model, dtype=torch.float32)


def test_answers_equal_those_made_one_by_one(engine: TorchEngine) -> None:
    prompts = [engine.prompt_ids([{"role": "user", "content": question}]) for question in QUESTIONS]
    limits = [12, 6, 14, 8, 1]
    alone = []
    for prompt, limit in zip(prompts, limits, strict=True):
        tokens, ids = engine.tokens("base", prompt, Sampling(max_new_tokens=limit)), []
        while True:
            try:
                ids.append(next(tokens))
            except StopIteration as end:
                alone.append((tuple(ids), end.value == "end"))
                break
    done: list[int] = []
    model, ends = engine.model("base"), engine.report.end_ids
    found = answer_all(model, prompts, ends, limits, done.append)
    assert [(one.ids, one.ended) for one in found] == alone
    assert done == sorted(done)
    assert done[-1] == len(QUESTIONS)


def test_nothing_to_answer(engine: TorchEngine) -> None:
    assert answer_all(engine.model("base"), [], [0], []) == []


def test_it_can_be_interrupted(engine: TorchEngine) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_all(engine.model("base"), [engine.prompt_ids([{"role": "user", "content": "Hi"}])], [0], [5], stop)
