"""A run's losses in words: which one each number is, the same wherever it stands. Pure."""

from __future__ import annotations

import math

from backend.advice import loss
from jobs.records import Job, State
from ui.records import Curve, Losses
from ui.text import format as fmt

PRACTICE, BEFORE = "practice loss", "test loss before training"
LATEST, BEST = "latest test loss", "best test loss"
BROKEN_OFF = (State.FAILED, State.INTERRUPTED)  # without a result


def of(job: Job, curve: Curve) -> Losses:
    """The losses of a run as it stands."""
    steps = [step.loss for step in curve.steps]
    since = [test for test in curve.evals if test.step > 0]
    best = min((test for test in since if math.isfinite(test.loss)), key=lambda test: test.loss, default=None)
    so_far = best.step if best and job.state not in BROKEN_OFF else None
    return Losses(
        training=loss.current_loss(steps) if steps else None,
        over=loss.window(len(steps)),
        before=next((test for test in curve.evals if test.step == 0), None),
        latest=since[-1] if since else None,
        best=best,
        kept=job.result.get("best_step", so_far),
    )


def legend(tests: bool) -> str:
    """What the losses are; tests: whether there are any."""
    training = (
        "Practice loss: on the examples that it learns from (training loss, its steps pale, their median drawn out)"
    )
    return f"{training}; test loss: on those kept back (validation loss)." if tests else f"{training}."


def told(losses: Losses) -> list[tuple[str, str, str]]:
    """(name, number, of which steps) of each loss that there is."""
    over = f"typical of the last {losses.over} steps" if losses.over > 1 else ""
    lines = [(PRACTICE, fmt.loss(losses.training), over)]
    if losses.before:
        lines.append((BEFORE, fmt.loss(losses.before.loss), ""))
    if losses.latest:
        lines.append((LATEST, fmt.loss(losses.latest.loss), f"at step {losses.latest.step}"))
    if losses.best:
        lines.append((BEST, fmt.loss(losses.best.loss), _at(losses.best.step, losses.kept)))
    return lines


def _at(step: int, kept: int | None) -> str:
    """The step of the best test, and whether the model of that step is the one that is kept."""
    if kept is None:
        return f"at step {step}"
    return f"at step {step}: kept" if kept == step else f"at step {step}; kept is step {kept}"


def facts(losses: Losses) -> list[tuple[str, str]]:
    """(number, which one it is), to stand large; the test before training only until there is another."""
    lines = [line for line in told(losses) if line[0] != BEFORE or losses.latest is None]
    return [(number, ", ".join(filter(None, (name, steps)))) for name, number, steps in lines]


def rows(losses: Losses) -> dict[str, str]:
    """Which one it is, and the number with its steps."""
    return {name.capitalize(): ", ".join(filter(None, (number, steps))) for name, number, steps in told(losses)}
