"""A run's losses, and the same words for them everywhere."""

import math
from typing import Any

from backend.advice.loss import current_loss, window
from backend.records.events import EvalEvent
from backend.records.training import TrainingResult
from jobs.records import Failure, Job, State
from ui.records.runs import Curve, Losses
from ui.text import format as fmt

TRAINING, INITIAL = "training loss", "validation loss before training"
GENERAL = "loss on everyday questions"
LATEST, BEST = "latest validation loss", "best validation loss"
DAMAGED = Failure(
    what="The numbers of this run can't be read.",
    why="Its file status.json is damaged, or of a version that is not supported.",
    next="The losses shown are from its curve. Train again to have all of them.",
)


def compute(job: Job, curve: Curve, chooses: bool = True) -> Losses:
    """The losses of a run in any state. chooses: the best validation loss, not the last
    step, decides what is saved.
    """
    steps, since = (
        [step.loss for step in curve.steps],
        [event for event in curve.evals if event.step > 0],
    )
    finite = [event for event in curve.evals if math.isfinite(event.loss)]
    best = min(
        (event for event in finite if event.step > 0),
        key=lambda event: event.loss,
        default=None,
    )
    initial = next((event for event in curve.evals if event.step == 0), None)
    reported = job.result_as(TrainingResult)
    result = reported or TrainingResult()
    if initial is None and result.first_eval_loss is not None:
        initial = EvalEvent(step=0, loss=result.first_eval_loss)
    final = finite[-1] if finite else None
    if result.eval_loss is not None and result.eval_step is not None:
        final = EvalEvent(
            step=result.eval_step, loss=result.eval_loss
        )  # of the saved model
    saves = reported and job.state not in (State.FAILED, State.INTERRUPTED)
    so_far = best.step if chooses and best and saves else None
    general = [
        step.general_loss for step in curve.steps if step.general_loss is not None
    ]
    return Losses(
        training=current_loss(steps) if steps else None,
        general=current_loss(general) if general else None,
        window=window(len(steps)),
        initial=initial,
        latest=since[-1] if since else None,
        best=best,
        final=final,
        saved_step=result.best_step
        if "best_step" in result.model_fields_set
        else so_far,
    )


def as_json(losses: Losses) -> dict[str, Any]:
    """first_eval_loss, eval_loss and eval_step, as the command line promises them."""
    initial, final = losses.initial, losses.final
    return {
        "first_eval_loss": initial.loss
        if initial and math.isfinite(initial.loss)
        else None,
        "eval_loss": final.loss if final else None,
        "eval_step": final.step if final else None,
    }


def legend(validated: bool, general: bool) -> str:
    """The legend of the curves. validated, general: whether there is a validation loss,
    and one of general rows.
    """
    kinds = [
        "Training loss: on the examples it learns from (each step pale, the median as a line)"
    ]
    if general:
        kinds.append("dashed: on the everyday questions whose answers it keeps")
    if validated:
        kinds.append("validation loss: on the examples set aside for validation")
    return f"{'; '.join(kinds)}."


def lines(losses: Losses) -> list[tuple[str, str, str]]:
    """(name, number, steps) of each loss that there is."""
    over = f"median of the last {losses.window} steps" if losses.window > 1 else ""
    rows = [(TRAINING, fmt.loss(losses.training), over)]
    if losses.general is not None:
        rows.append((GENERAL, fmt.loss(losses.general), over))
    if losses.initial:
        rows.append((INITIAL, fmt.loss(losses.initial.loss), ""))
    if losses.latest:
        rows.append(
            (LATEST, fmt.loss(losses.latest.loss), f"at step {losses.latest.step}")
        )
    if losses.best:
        step, saved = f"at step {losses.best.step}", losses.saved_step
        if (
            saved is not None
        ):  # the model of this step is saved, or else that of the last one
            is_best = saved == losses.best.step
            step += (
                " (the saved model)"
                if is_best
                else f"; the saved model is from the last step, {saved}"
            )
        if losses.initial and losses.initial.loss <= losses.best.loss:
            step += f"; it was lower before training, {fmt.loss(losses.initial.loss)}"
        rows.append((BEST, fmt.loss(losses.best.loss), step))
    return rows


def lowest_step(losses: Losses) -> int | None:
    """The step of the lowest validation loss, 0 where no later one was lower than that
    before training.
    """
    events = [event for event in (losses.initial, losses.best) if event]
    return min(events, key=lambda event: event.loss).step if losses.best else None


def facts(losses: Losses) -> list[tuple[str, str]]:
    """(number, name and steps) of each loss; the initial one only until there is a
    later one.
    """
    shown = [
        line for line in lines(losses) if line[0] != INITIAL or losses.latest is None
    ]
    return [
        (number, ", ".join(filter(None, (name, steps))))
        for name, number, steps in shown
    ]


def rows(losses: Losses) -> dict[str, str]:
    """The number and steps of each loss, by its name."""
    return {
        name.capitalize(): ", ".join(filter(None, (number, steps)))
        for name, number, steps in lines(losses)
    }
