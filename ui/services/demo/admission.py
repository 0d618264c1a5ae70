"""Whether a visitor of a demo may queue a job: how many, how large, and whether there
is disk space.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.errors import NotInDemo
from backend.hosting.policy import Limits, require_rows
from backend.records.specs import RunSpec
from backend.training.schedule import schedule
from jobs.fair_queue import Refusal
from jobs.records import Job
from jobs.registry import JOB_TYPES
from ui.services.demo.shared import Shared
from ui.text import format as fmt

AT_HOME = "On your own computer there is no such limit."
_FULL: dict[Refusal, tuple[str, str]] = {
    "queue": ("The queue of this demo is full.", "{} people are already waiting."),
    "neighbours": (
        "Too many runs from your address are waiting.",
        "Half of the {} places in the queue of this demo stay free for people at other addresses.",
    ),
}


@contextmanager
def place(
    limits: Limits,
    workspace: Path,
    shared: Shared,
    kind: str,
    spec: dict[str, Any],
    jobs: list[Job],
) -> Iterator[None]:
    """Holds a place in the queue while a job is created. Raises NotInDemo unless the
    visitor, who has these jobs, may have this one too. workspace: the visitor's folder.
    """
    lane = JOB_TYPES[kind].lane
    kinds = [kind for kind, job_type in JOB_TYPES.items() if job_type.lane == lane]
    own = sum(job.kind in kinds for job in jobs if not job.state.is_terminal)
    if own >= limits.waiting:
        raise NotInDemo(
            "You already have something in the queue.",
            f"In this demo each visitor can have {limits.waiting:g} at a time.",
            f"Wait until it is done, or stop it. {AT_HOME}",
        )
    shared.require_disk()
    if kind == "train":
        _require_size(RunSpec.model_validate(spec), limits)
    with shared.queue.place(lane, workspace, shared.neighbours(), limits.queue) as full:
        if full:
            here, why = _FULL[full]
            raise NotInDemo(
                here,
                why.format(f"{limits.queue:g}"),
                f"Try again in a few minutes. {AT_HOME}",
            )
        yield


def _require_size(spec: RunSpec, limits: Limits) -> None:
    rows = spec.data.train_rows
    require_rows(rows, limits.rows)
    steps = schedule(rows, spec.data.validation_rows, spec.settings)
    tokens = spec.data.train_tokens * steps.epochs
    if tokens > limits.tokens:
        raise NotInDemo(
            "This training is too long for the demo.",
            f"It would read {fmt.number(tokens)} tokens in {steps.epochs:.1f} epochs, and "
            f"{fmt.number(limits.tokens)} is the limit here.",
            f"Train for fewer epochs, or with fewer examples. {AT_HOME}",
        )
