"""The validation losses of a run, from its events."""

from contextlib import suppress
from pathlib import Path

from backend.records.events import EvalEvent, ResumedEvent, parse

EVENTS = "events.jsonl"


def validation_losses(run_folder: Path) -> list[float]:
    """The losses after training began, in order of their steps; [] where there are none, or they can't be read."""
    losses: dict[int, float] = {}
    with suppress(OSError):
        for line in (run_folder / EVENTS).read_bytes().splitlines():
            logged = parse(line)
            match logged.event if logged else None:
                case EvalEvent() as evaluated if evaluated.step > 0:
                    losses[evaluated.step] = evaluated.loss
                case ResumedEvent() as resumed:
                    losses = {step: loss for step, loss in losses.items() if step < resumed.first_step}
    return [losses[step] for step in sorted(losses)]
