"""The events of a job: one frozen record for each kind, the same from the writer to the
loss curve.

The fields are the keys of `data` in a line of events.jsonl; None is left out there.
JSON has no NaN and no infinity: they are written as null, which reads as NaN in a loss
and as None elsewhere.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from backend.records.rows import Message

Loss = Annotated[
    float, BeforeValidator(lambda value: math.nan if value is None else value)
]


@dataclass(frozen=True, slots=True)
class Event:
    """kind: its name in events.jsonl."""

    kind: ClassVar[str]

    def data(self) -> dict[str, Any]:
        """The fields that events.jsonl stores: those that are not None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class AtStep(Event):
    """An event of one optimizer step; 0 is before training. An attempt that repeats the
    step replaces it.
    """

    step: int


@dataclass(frozen=True, slots=True)
class StepEvent(AtStep):
    """An optimizer step. loss: mean per learned token (DPO: per pair) of the examples,
    in nats. general_loss: that of the base model's own answers, where some were
    trained, and mean_loss: of both. seconds: the step itself; waited: between it and
    the one before. tokens_per_second: without padding. reward_accuracy, reward_margin:
    DPO only.
    """

    kind = "step"
    loss: Loss
    epoch: float = 0.0
    learning_rate: float | None = None
    grad_norm: float | None = None
    seconds: float = 0.0
    waited: float = 0.0
    tokens_per_second: float | None = None
    memory_mib: float | None = None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    general_loss: Loss | None = None
    mean_loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class EvalEvent(AtStep):
    """The validation loss after a step, as in StepEvent."""

    kind = "eval"
    loss: Loss
    reward_accuracy: float | None = None
    reward_margin: float | None = None


@dataclass(frozen=True, slots=True)
class SampleEvent(AtStep):
    """The model's answer to a held-out prompt. expected: "" if unknown. seconds: of all
    answers of this step.
    """

    kind = "sample"
    prompt: list[Message]
    answer: str
    expected: str = ""
    seconds: float = 0.0

    @property
    def question(self) -> str:
        """The last message of the prompt."""
        return str(self.prompt[-1]["content"]) if self.prompt else ""


@dataclass(frozen=True, slots=True)
class CheckpointEvent(AtStep):
    """A checkpoint was saved."""

    kind = "checkpoint"


@dataclass(frozen=True, slots=True)
class NoteEvent(Event):
    """A message for the person. next: what to do, "" if nothing."""

    kind = "note"
    title: str
    what: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class AwakeEvent(Event):
    """Whether the computer is kept awake during this attempt."""

    kind = "awake"
    awake: bool


@dataclass(frozen=True, slots=True)
class DryRunEvent(Event):
    """Measurements from a few steps on the longest examples. max_length: tokens of each
    example with which they fit. Memory in MiB at the peak, times in seconds: see
    `backend.training.measured.Measured`.
    """

    kind = "dry_run"
    max_length: int
    memory_mib: float
    tokens_per_second: float
    startup: float = 0.0
    seconds_per_step: float = 0.0
    evaluation_seconds: float = 0.0
    sample_seconds: float = 0.0
    reference_seconds: float = 0.0
    save_seconds: float = 0.0
    verification_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class VerificationEvent(Event):
    """The check after training. Tensors counted; base_checked: how much of the base was
    hashed, in words. Losses are means per learned token over `rows` rows: of the
    trained model, and of what was saved, loaded again.
    """

    kind = "verification"
    trainable_tensors: int
    changed_tensors: int
    base_tensors: int
    base_changed: int
    base_checked: str
    trained_loss: Loss
    reloaded_loss: Loss
    rows: int


@dataclass(frozen=True, slots=True)
class DownloadedEvent(Event):
    """mib: how much of a download is here, `of` in all."""

    kind = "downloaded"
    mib: int
    of: int


@dataclass(frozen=True, slots=True)
class ResumedEvent(Event):
    """A later attempt goes on at `first_step`: earlier events of this step and later
    ones no longer count.
    """

    kind = "resumed"
    first_step: int


class LoggedEvent(NamedTuple):
    """A line of events.jsonl. time: seconds since 1970. attempt: 1, then one more for
    each resume.
    """

    time: float
    attempt: int
    event: Event


_EVENTS = (
    StepEvent, EvalEvent, SampleEvent, CheckpointEvent, NoteEvent, AwakeEvent, DryRunEvent, VerificationEvent,
    DownloadedEvent, ResumedEvent,
)  # fmt: skip
_KINDS: dict[str, TypeAdapter[Any]] = {
    record.kind: TypeAdapter(record) for record in _EVENTS
}
_COUNTS = (
    "step",
    "first_step",
    "of",
    "mib",
    "max_length",
    "seconds",
    "waited",
    "tokens_per_second",
)
_LARGEST = 1e15  # larger than any real value; the page can't draw infinity


class _Line(BaseModel):
    time: float = Field(ge=0, le=1e11)  # seconds since 1970
    attempt: int = Field(ge=1, le=10**9)
    kind: str
    data: dict[str, Any] = {}


def parse(line: bytes) -> LoggedEvent | None:
    """The event in a line of events.jsonl; None for a damaged line, an unknown kind,
    and data that no run reports, such as infinity or a step before the first. Unknown
    keys are ignored: the file may come from another version.
    """
    try:
        logged = _Line.model_validate_json(line)
        event = _KINDS[logged.kind].validate_python(logged.data)
    except (ValidationError, KeyError):
        return None
    if not _is_possible(event.data()):
        return None
    return LoggedEvent(logged.time, logged.attempt, event)


def valid(events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
    """The events without those of steps that a resumed attempt repeats."""
    kept: list[LoggedEvent] = []
    for logged in events:
        if isinstance(logged.event, ResumedEvent):
            first = logged.event.first_step
            kept = [
                old
                for old in kept
                if not isinstance(old.event, AtStep) or old.event.step < first
            ]
        kept.append(logged)
    return kept


def read_valid(file: Path) -> list[Event]:
    """The valid events in events.jsonl. Raises OSError."""
    return [
        logged.event
        for logged in valid(filter(None, map(parse, file.read_bytes().splitlines())))
    ]


def _is_possible(value: Any) -> bool:
    match value:
        case dict():
            counts = (
                value[name]
                for name in _COUNTS
                if isinstance(value.get(name), int | float)
            )
            return all(map(_is_possible, value.values())) and not any(
                count < 0 for count in counts
            )
        case list():
            return all(map(_is_possible, value))
        case str():
            return not any("\ud800" <= sign <= "\udfff" for sign in value)  # surrogates
        case int() | float():
            return not abs(value) > _LARGEST  # a loss may be NaN
    return True
