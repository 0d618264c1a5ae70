"""Memory that really runs out: the micro batch is halved, the memory is returned, and the losses stay the same."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.hardware import gpu_memory
from backend.training import train_step
from tests.backend.tiny_run import run_of
from tests.gpu.place import Place

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning")]


def test_the_micro_batch_is_halved_until_it_fits(
    place: Place, middle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable[..., None]
) -> None:
    """With room for a quarter of the batch and a third more, whole and half batches run out."""
    few = place.micro // 2
    settings: dict[str, Any] = {
        "max_steps": 3, "max_length": place.tokens, "learning_rate": 1e-4, "lora_dropout": 0.0,
        "precision": place.precision(),
    }  # fmt: skip
    rows = sorted(place.rows(32 * place.micro), key=lambda row: -row.tokens)[: 12 * few]  # nearly alike
    roomy = run_of(
        tmp_path / "roomy", middle, rows, [],
        per_device_train_batch_size=few, gradient_accumulation_steps=4, **settings,
    )  # fmt: skip
    peak = training.run(roomy).peak_memory_mib
    place.clean()
    halved: list[tuple[int, int]] = []  # the rows that fit, and the MiB in use after the others were given back
    halve = train_step.TrainStep._halve_micro_batch

    def watched(self: Any, model: Any) -> None:
        halve(self, model)
        halved.append((self.micro, self._device.memory_mib()))

    monkeypatch.setattr(train_step.TrainStep, "_halve_micro_batch", watched)
    tight = run_of(tmp_path / "tight", middle, rows, [], per_device_train_batch_size=4 * few, **settings)
    with limited(place, peak * 1.35, few, monkeypatch):
        result = training.run(tight)
    losses, whole = tight.losses(), roomy.losses()
    far = max(abs(losses[step] - loss) for step, loss in whole.items())
    steps = f"{4 * few} rows, then {', '.join(str(micro) for micro, _ in halved)}"
    record("Out of memory", steps, f"{far:.1e} nats off", f"{halved[-1][1] if halved else 0} MiB after halving")
    assert [micro for micro, _ in halved] == [2 * few, few]
    assert result.steps == 3
    assert {note["title"] for note in tight.events_of("note")} >= {"Low on memory"}
    assert far < 0.02
    assert not place.is_card or max(mib for _, mib in halved) < peak


@contextmanager
def limited(place: Place, mib: float, few: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch may use so much of the card. On the processor more than `few` rows at a time fail as a card would."""
    import torch

    if place.is_card:
        monkeypatch.setattr(gpu_memory, "spills", lambda: False)  # on Windows a training sets a limit of its own
        total = torch.cuda.mem_get_info()[1]
        torch.cuda.set_per_process_memory_fraction(min(1.0, mib * (1 << 20) / total))
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    summed_loss = train_step.token_losses

    def failing(model: Any, batch: Any) -> Any:
        if batch.rows > few:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return summed_loss(model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(train_step, "token_losses", failing)
        yield
