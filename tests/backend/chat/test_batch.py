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

QUESTIONS = [[{"role": "user", "content": text}] for text in (
    "What is the capital of France?", "Name three fruits.", "Say hello.",
    "Write one short sentence about the sea, and then one about the mountains, please.", "2 + 2 =",
)]  # fmt: skip


@pytest.fixture(scope="module")
def engine(shallow_model: Path) -> TorchEngine:
    import torch

    return TorchEngine(shallow_model, dtype=torch.float32)


def test_answers_equal_those_made_one_by_one(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = answered(engine, "base", QUESTIONS[0])
    monkeypatch.setattr(
        engine, "_end_ids", {first[5]}
    )  # the first layers end no answer by themselves
    limits, done = [12, 6, 14, 8, 1], list[int]()
    both = zip(QUESTIONS, limits, strict=True)
    alone = [
        answered(engine, "base", question, max_new_tokens=limit)
        for question, limit in both
    ]
    found = engine.answer_all(
        "base", list(map(engine.prompt_ids, QUESTIONS)), limits, done.append
    )
    assert [(list(one.ids), "end" if one.ended else "length") for one in found] == alone
    assert found[0].ended
    assert (done, done[-1]) == (sorted(done), len(QUESTIONS))


def test_an_interruption_ends_it(engine: TorchEngine) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_all(
            engine.models["base"], [engine.prompt_ids(QUESTIONS[2])], [0], [5], stop
        )


def test_half_as_many_answer_together_where_memory_ends(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = list(map(engine.prompt_ids, QUESTIONS))
    model, ends, limits = (
        engine.models["base"],
        engine.report.end_ids,
        [4] * len(QUESTIONS),
    )
    expected, forward, sizes = (
        answer_all(model, prompts, ends, limits),
        model.forward,
        [],
    )

    def full(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > most:
            raise RuntimeError(message)
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", full)
    most, message = 2, "CUDA out of memory. Tried to allocate 2.00 GiB."
    assert (answer_all(model, prompts, ends, limits), sizes[0]) == (
        expected,
        len(QUESTIONS),
    )
    assert max(sizes[1:]) <= 3
    most = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        answer_all(model, prompts, ends, limits)
    message = "CUDA error: an illegal memory access was encountered"
    sizes.clear()
    with pytest.raises(RuntimeError, match="illegal"):
        answer_all(model, prompts, ends, limits)
    assert sizes == [len(QUESTIONS)]
    monkeypatch.setattr(
        model, "forward", lambda **inputs: Mock(logits=forward(**inputs).logits.log())
    )
    with pytest.raises(ChatFailed, match="invalid number"):
        answer_all(model, prompts, ends, limits)


def test_a_chat_stays_in_the_memory_of_its_device(
    shallow_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    limited: list[str] = []
    monkeypatch.setattr(gpu_memory, "stay_in_memory", limited.append)
    TorchEngine(shallow_model, dtype=torch.bfloat16)
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
