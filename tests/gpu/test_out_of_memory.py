"""Memory that really runs out: half as many rows at a time, the memory is returned, and
the result stays the same.

On the card the limit is the one that keeps Windows' driver from spilling, with `spills`
patched and little free.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.chat import batch
from backend.chat.engine import BASE
from backend.chat.torch_engine import TorchEngine
from backend.hardware import gpu_memory
from backend.records.units import MIB
from backend.training import train_step
from tests.backend.tiny_run import run_of
from tests.gpu.place import Place, Record

pytestmark = pytest.mark.gpu


def test_the_micro_batch_is_halved_until_it_fits(
    place: Place,
    middle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record: Record,
) -> None:
    """With room for a quarter of the batch and a third more, whole and half batches run
    out.
    """
    few = place.micro // 2
    settings: dict[str, Any] = {
        "max_steps": 3, "max_length": place.tokens, "learning_rate": 1e-4, "lora_dropout": 0.0,
        "precision": place.precision(),
    }  # fmt: skip
    rows = sorted(place.rows(32 * place.micro), key=lambda row: -row.tokens)[
        : 12 * few
    ]  # nearly alike
    roomy = run_of(
        tmp_path / "roomy", middle, rows, [],
        per_device_train_batch_size=few, gradient_accumulation_steps=4, **settings,
    )  # fmt: skip
    peak = training.run(roomy).peak_memory_mib
    place.clean()
    halved: list[
        tuple[int, int]
    ] = []  # the rows that fit, and the MiB in use after the others were given back
    halve = train_step.TrainStep._halve_micro_batch

    def watched(self: Any, model: Any) -> None:
        halve(self, model)
        halved.append((self.micro, self._device.memory_mib()))

    monkeypatch.setattr(train_step.TrainStep, "_halve_micro_batch", watched)
    tight = run_of(
        tmp_path / "tight",
        middle,
        rows,
        [],
        per_device_train_batch_size=4 * few,
        **settings,
    )
    with limited(place, peak * 1.35, few, monkeypatch):
        result = training.run(tight)
    losses, whole = tight.losses(), roomy.losses()
    far = max(abs(losses[step] - loss) for step, loss in whole.items())
    steps = f"{4 * few} rows, then {', '.join(str(micro) for micro, _ in halved)}"
    record(
        "Out of memory",
        steps,
        f"{far:.1e} nats off",
        f"{halved[-1][1] if halved else 0} MiB after halving",
    )
    assert [micro for micro, _ in halved] == [2 * few, few]
    assert result.steps == 3
    assert {note["title"] for note in tight.events_of("note")} >= {"Low on memory"}
    assert far < 0.02
    assert not place.is_card or max(mib for _, mib in halved) < peak


def test_half_as_many_answer_together_in_an_evaluation(
    place: Place, middle: Path, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    """With room for half of what the prompts need beside the weights. On a card the
    answers to fewer at a time may differ: its sums are in another order.
    """
    import torch

    prompts = [row.input_ids[:300] for row in place.rows(batch._ROWS)]

    def answered() -> list[Any]:
        return TorchEngine(middle).answer_all(
            BASE, prompts, [8] * len(prompts), lambda done: None
        )

    place.clean()
    whole = answered()
    weights = sum(file.stat().st_size for file in middle.glob("*.safetensors")) / MIB
    peak = torch.cuda.max_memory_reserved() / MIB if place.is_card else 0.0
    place.clean()
    released: list[str] = []
    monkeypatch.setattr(
        batch, "release", lambda kind: (released.append(kind), gpu_memory.release(kind))
    )
    with limited(place, (weights + peak) / 2, batch._ROWS // 2, monkeypatch):
        found = answered()
    same = sum(one == other for one, other in zip(found, whole, strict=True))
    times = f"{len(prompts)} answers, halved {len(released)} times"
    record("Out of memory", times, f"{same} of {len(whole)} the same")
    assert released
    assert place.is_card or found == whole


@contextmanager
def limited(
    place: Place, mib: float, few: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """As if torch could have so much of the card, the CUDA context not counted, and the
    driver spilled. On the processor more than `few` rows at a time fail as a card
    would.
    """
    import torch

    def run_out(rows: int) -> None:
        if rows > few:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 20.00 MiB"
            )

    losses, answer = train_step.token_losses, batch._answer
    with monkeypatch.context() as patch:
        if place.is_card:
            patch.setattr(gpu_memory, "spills", lambda: True)
            patch.setattr(
                gpu_memory,
                "free_mib",
                lambda uuid: int(mib) - torch.cuda.memory_reserved() // MIB,
            )
        else:
            patch.setattr(
                train_step,
                "token_losses",
                lambda net, rows: run_out(rows.rows) or losses(net, rows),
            )
            patch.setattr(
                batch,
                "_answer",
                lambda net, rows, *more: run_out(len(rows)) or answer(net, rows, *more),
            )
        try:
            yield
        finally:
            if place.is_card:
                torch.cuda.set_per_process_memory_fraction(1.0)
