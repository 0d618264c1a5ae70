"""Records about training runs: their plan, their curve and losses, and the list of
them.
"""

from dataclasses import dataclass, field
from typing import Any

from backend.advice.training_time import Shorter
from backend.records.events import (
    AwakeEvent,
    DryRunEvent,
    EvalEvent,
    Event,
    NoteEvent,
    SampleEvent,
    StepEvent,
)
from backend.records.rows import Message
from backend.records.specs import Descent, RunSpec, TrainSettings
from backend.runs.division import Changes
from jobs.records import Job, State


@dataclass(frozen=True)
class Plan:
    """The plan of a training run. Memory in MiB; seconds as (from, to), None when
    unknown.

    general_rows: everyday questions with the base model's own answers, trained besides
    the examples. validation_rows: evaluated during training. set_aside: those, and the
    rows that only judge. proves: what the rows that judge can prove. chooses: the best
    of the evaluations decides which step is saved. memory_mib is the larger of the
    computed and the measured figure. has_pairs: every example has a good and a bad
    answer. blocked: why it can't start, "" when it can. export: what making files of
    the result takes, "" when the model is not here. changes: of the examples since the
    version before, None for a first version. while_busy: see `Rates`. shorter: how to
    train in less time, None where it takes little.
    """

    settings: TrainSettings
    model_name: str
    data_name: str
    train_rows: int
    validation_rows: int
    general_rows: int
    learned_tokens: int
    longest: int
    steps: int
    evaluations: int
    seconds: tuple[float, float] | None
    memory_mib: float
    memory_parts: dict[str, float]
    available_mib: float
    set_aside: int = 0
    proves: str = ""
    chooses: bool = True
    has_pairs: bool = False
    memory_computed_mib: float = 0.0
    memory_measured_mib: float = 0.0
    time_measured: bool = False
    while_busy: bool = False
    notes: tuple[str, ...] = ()
    blocked: str = ""
    export: str = ""
    changes: Changes | None = None
    shorter: Shorter | None = None

    @property
    def memory_measured(self) -> bool:
        """Whether `memory_mib` is the measured figure."""
        return 0 < self.memory_measured_mib == self.memory_mib


@dataclass
class Curve:
    """The events of a run, in order. dry_runs: one before each attempt. awake: whether
    the computer is kept awake during the latest attempt, None where that is not known.
    position: of the next event in its log.
    """

    steps: list[StepEvent] = field(default_factory=list)
    evals: list[EvalEvent] = field(default_factory=list)
    samples: list[SampleEvent] = field(default_factory=list)
    notes: list[NoteEvent] = field(default_factory=list)
    dry_runs: list[DryRunEvent] = field(default_factory=list)
    awake: bool | None = None
    position: int = 0

    def add(self, event: Event) -> None:
        """Store an event by its kind; other kinds are ignored."""
        lists: dict[type[Event], list[Any]] = {
            StepEvent: self.steps, EvalEvent: self.evals, SampleEvent: self.samples, NoteEvent: self.notes,
            DryRunEvent: self.dry_runs,
        }  # fmt: skip
        if isinstance(event, AwakeEvent):
            self.awake = event.awake
        elif type(event) in lists:
            lists[type(event)].append(event)


@dataclass(frozen=True)
class RunDetails:
    """A run with the settings it actually used, and its curve. held_out: see
    `division.held_out_digest`.
    """

    spec: RunSpec
    job: Job
    curve: Curve
    held_out: str = ""


@dataclass(frozen=True)
class Losses:
    """The losses of a run. training: the median training loss of the last `window`
    steps, None before the first. general: likewise of the general rows. initial: the
    validation loss before training. latest, best: of the validation losses since.
    final: of the saved model, else the last finite one. saved_step: the step of the
    saved model, None when there is none.
    """

    training: float | None = None
    general: float | None = None
    window: int = 0
    initial: EvalEvent | None = None
    latest: EvalEvent | None = None
    best: EvalEvent | None = None
    final: EvalEvent | None = None
    saved_step: int | None = None


@dataclass(frozen=True)
class RunInfo:
    """The identity of a run: its name, its base model, its dataset with the number of
    training examples, and its place among the versions of its model. descent: None for
    the first version. ended: 0 until it has.
    """

    id: str
    name: str
    model_name: str
    data_name: str
    examples: int
    descent: Descent | None = None
    ended: float = 0.0

    @property
    def first(self) -> str:
        """The id of the first version of this model."""
        return self.descent.first if self.descent else self.id

    @property
    def version(self) -> int:
        return self.descent.version if self.descent else 1


@dataclass(frozen=True)
class ImportedModel:
    """A run that came from another computer. note: what to know about its base model
    here, "" for nothing.
    """

    run_id: str
    name: str
    note: str = ""


@dataclass(frozen=True)
class RunSummary:
    """A run in the list of runs. note: the person's own. is_divided: see
    `RunService.is_divided`.
    """

    info: RunInfo
    state: State
    created: float
    losses: Losses
    note: str = ""
    is_divided: bool = True


@dataclass(frozen=True)
class UnseenQuestion:
    """A question that the model has not seen in training. messages: the conversation up
    to the expected answer.
    """

    question: str
    messages: list[Message]
    expected: str
