"""What the services tell the page and the command line: records for showing, nothing that acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backend.datasets.checks.fix import Change
from backend.datasets.checks.report import Report
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.info import DatasetInfo, RowsByKind
from backend.models.catalogue import Entry
from backend.models.hub_token import TokenSource
from backend.records.encoded import Piece
from backend.records.events import DryRunEvent, EvalEvent, Event, NoteEvent, SampleEvent, StepEvent
from backend.records.rows import Dataset, Message, Problem, Source
from backend.records.specs import RunSpec, TrainSettings
from jobs.records import Failure, Job, Progress, State


@dataclass(frozen=True)
class Sample:
    """A data set that comes with the app."""

    name: str
    title: str
    what: str
    path: Path
    held_out: Path


@dataclass(frozen=True)
class Access:
    """How the person shows the hub who asks. place: where an access token lies, "" where there is none; keeper: where
    one would be kept, "" where such models are not fetched at all; refused: why the page asks for none. Never the
    token itself."""

    place: TokenSource
    keeper: TokenSource
    refused: str = ""


@dataclass(frozen=True)
class Fetching:
    """A model that is not here. job: its latest download, if there was one; begun: whether a part of it is here;
    access: None where the hub gives it to everybody."""

    model: Entry
    job: Job | None
    begun: bool
    access: Access | None


@dataclass(frozen=True)
class Reading:
    """Examples that are being read. fraction: how far the phase is, 0 to 1. first: the first rows, once they are
    there. error: why they could not be read."""

    name: str
    phase: str
    fraction: float
    first: Dataset | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class DataState:
    """A data set as it stands.

    original: as it came. problems: of the file, and what a mend laid bare. rows: after the accepted fixes. split:
    sentences on what is used for what. blocked: why training can't begin, "" when it can. trials: what a fix would
    change in the first rows that it is for. changes: what the accepted fixes did change."""

    name: str
    original: Dataset
    report: Report
    problems: list[Problem]
    rows: int
    info: DatasetInfo
    split: str
    blocked: str
    unread: frozenset[str] = frozenset()  # kinds of problems of rows that can only be left out
    test_name: str = ""  # of the file to test with, if one was brought
    fix_previews: dict[str, list[Change]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    changed: int = 0  # rows
    left_out: int = 0  # rows, as was agreed to
    unusable: int = 0  # rows that can't be read, and of which nobody has agreed to leave them out
    tokens: TokenTotals | None = None  # after the accepted fixes

    @property
    def source(self) -> Source:
        return self.original.source

    @property
    def accepted(self) -> RowsByKind:
        return self.info.accepted


@dataclass(frozen=True)
class Preview:
    """One row: its conversation, and its tokens by what is learned and what is only read. A long document has one
    piece for each window; note says so."""

    messages: list[Message]
    pieces: list[Piece]
    note: str = ""


@dataclass(frozen=True)
class DataFiles:
    """The mended examples as a file, and the list of changes as another."""

    clean: Path
    log: Path
    changes: int


@dataclass(frozen=True)
class Hits:
    """Rows that hold a text: how many, and the one to go to (None: there is none), which is the `place`-th."""

    count: int
    row: int | None = None
    place: int = 0


@dataclass(frozen=True)
class Plan:
    """What a training run is about to do. Memory in MiB, time in seconds, from and to (None: not
    known); `*_measured` tells measured from computed. pairs: every example has a good and a bad answer.
    memory_computed_mib, memory_measured_mib: both, where it was measured too; memory_mib is the larger one.

    blocked: why it can't start, "" when it can.
    """

    settings: TrainSettings
    model_name: str
    data_name: str
    train_rows: int
    validation_rows: int
    learned_tokens: int
    longest: int
    steps: int
    evaluations: int
    seconds: tuple[float, float] | None
    memory_mib: float
    memory_parts: dict[str, float]
    have_mib: float
    pairs: bool = False
    memory_computed_mib: float = 0.0
    memory_measured_mib: float = 0.0
    time_measured: bool = False
    notes: tuple[str, ...] = ()
    blocked: str = ""

    @property
    def memory_measured(self) -> bool:
        """Whether `memory_mib` is the measured figure."""
        return 0 < self.memory_measured_mib == self.memory_mib


@dataclass
class Curve:
    """The events of a run, in order. dry_runs: one before each attempt. position: of the next event in its log."""

    steps: list[StepEvent] = field(default_factory=list)
    evals: list[EvalEvent] = field(default_factory=list)
    samples: list[SampleEvent] = field(default_factory=list)
    notes: list[NoteEvent] = field(default_factory=list)
    dry_runs: list[DryRunEvent] = field(default_factory=list)
    position: int = 0

    def add(self, event: Event) -> None:
        """Append an event to the list of its kind; other kinds are ignored."""
        match event:
            case StepEvent():
                self.steps.append(event)
            case EvalEvent():
                self.evals.append(event)
            case SampleEvent():
                self.samples.append(event)
            case NoteEvent():
                self.notes.append(event)
            case DryRunEvent():
                self.dry_runs.append(event)


@dataclass(frozen=True)
class Compared:
    """A run as it is set beside another one."""

    spec: RunSpec
    job: Job
    curve: Curve


@dataclass(frozen=True)
class Losses:
    """What is told of a run's losses; `ui.services.losses` has the words.

    practice: the practice loss now, over that many steps; None before the first step. before: the test before
    training. latest, best: of the tests since. kept: the step whose model is kept, so far or for good; None where
    there is none."""

    training: float | None = None
    over: int = 0
    before: EvalEvent | None = None
    latest: EvalEvent | None = None
    best: EvalEvent | None = None
    kept: int | None = None


@dataclass(frozen=True)
class Shorter:
    """What it would mean to train once more with at most max_length tokens of each example. examples: all of the run;
    cut, left_out, divided: see `backend.runs.truncate.TruncatedRun`."""

    max_length: int
    examples: int
    cut: int
    left_out: int
    divided: int


@dataclass(frozen=True)
class Origin:
    """What tells a run from others: its name, the model that it began with, and the examples that it practises on."""

    id: str
    name: str
    model_name: str
    data_name: str
    examples: int


@dataclass(frozen=True)
class RunLine:
    """A run in the list."""

    origin: Origin
    state: State
    created: float
    losses: Losses


@dataclass(frozen=True)
class HeldOut:
    """A question that the model never practised on, and the answer that was expected."""

    question: str
    messages: list[Message]
    expected: str


@dataclass(frozen=True)
class ExportFile:
    """A file to take away."""

    name: str
    path: Path
    size_mib: float


@dataclass(frozen=True)
class ExportLine:
    """An export: how far it is, or its files with their proofs as (passed, sentence)."""

    id: str
    to: str
    state: State
    active: bool
    progress: Progress | None
    failure: Failure | None
    files: tuple[ExportFile, ...] = ()
    proofs: tuple[tuple[bool | None, str], ...] = ()
