from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from backend.chat.batch import answer_all
from backend.chat.engine import looping
from backend.chat.torch_engine import TorchEngine
from backend.errors import ChatFailed
from backend.hardware import gpu_memory
from tests.backend.chat.test_engines import answered

QUESTIONS = [
    "What is the capital of France?", "Name three fruits.", "Say hello.",
    "Write one short sentence about the sea, and then one about the mountains, please.", "2 + 2 =",
]  # fmt: skip


@pytest.fixture(scope="module")
def engine(bundled_model: Path) -> TorchEngine:
    import torch

    return TorchEngine(bundled_model, dtype=torch.float32)


def test_answers_equal_those_made_one_by_one(engine: TorchEngine) -> None:
    prompts = [engine.prompt_ids([{"role": "user", "content": question}]) for question in QUESTIONS]
    limits = [12, 6, 14, 8, 1]
    alone = []
    for question, limit in zip(QUESTIONS, limits, strict=True):
        ids, end = answered(engine, "base", [{"role": "user", "content": question}], max_new_tokens=limit)
        alone.append((tuple(ids), end == "end"))
    done: list[int] = []
    model, ends = engine.models["base"], engine.report.end_ids
    found = answer_all(model, prompts, ends, limits, done.append)
    assert ([(one.ids, one.ended) for one in found], done) == (alone, sorted(done))
    assert done[-1] == len(QUESTIONS)


def test_nothing_to_answer_and_an_interruption(engine: TorchEngine) -> None:
    assert answer_all(engine.models["base"], [], [0], []) == []

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_all(engine.models["base"], [engine.prompt_ids([{"role": "user", "content": "Hi"}])], [0], [5], stop)


def test_half_as_many_answer_together_where_memory_ends(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [engine.prompt_ids([{"role": "user", "content": question}]) for question in QUESTIONS]
    model, ends, limits = engine.models["base"], engine.report.end_ids, [4] * len(QUESTIONS)
    expected, forward, sizes = answer_all(model, prompts, ends, limits), model.forward, []

    def full(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > most:
            raise RuntimeError(message)
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", full)
    most, message = 2, "CUDA out of memory. Tried to allocate 2.00 GiB."
    assert (answer_all(model, prompts, ends, limits), sizes[0]) == (expected, len(QUESTIONS))
    assert max(sizes[1:]) <= 3
    most = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        answer_all(model, prompts, ends, limits)
    message = "CUDA error: an illegal memory access was encountered"
    sizes.clear()
    with pytest.raises(RuntimeError, match="illegal"):
        answer_all(model, prompts, ends, limits)
    assert sizes == [len(QUESTIONS)]
    monkeypatch.setattr(model, "forward", lambda **inputs: Mock(logits=forward(**inputs).logits.log()))
    with pytest.raises(ChatFailed, match="invalid number"):
        answer_all(model, prompts, ends, limits)


def test_a_chat_stays_in_the_memory_of_its_device(bundled_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    limited: list[str] = []
    monkeypatch.setattr(gpu_memory, "stay_in_memory", limited.append)
    TorchEngine(bundled_model, dtype=torch.bfloat16)
    assert limited == ["cpu"]


@pytest.mark.parametrize("size", [1, 2, 13, 40])
def test_an_answer_that_ends_in_a_loop_is_recognized(size: int) -> None:
    """Where it has run long enough: a table's rule or a list of zeros is none yet."""
    start, period = [900, 901, 902], list(range(size))
    endless = start + period * 120
    least = 3 + max(40, 3 * size)
    assert looping(0, endless[:least])
    assert not looping(0, endless[: least - 1])
    assert not looping(0, [*endless[:least], 903])
    assert not looping(0, [])
