"""What the services return to the page and the command line: records to show, with no behaviour of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backend.datasets.checks.fix import Change
from backend.datasets.checks.report import DuplicateRows, Report
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.info import DatasetInfo, RowsByKind
from backend.models.catalogue import Entry
from backend.models.hub_token import TokenSource
from backend.records.encoded import Piece
from backend.records.events import AwakeEvent, DryRunEvent, EvalEvent, Event, NoteEvent, SampleEvent, StepEvent
from backend.records.rows import Dataset, Message, Problem, Source
from backend.records.specs import Descent, RunSpec, TrainSettings
from jobs.records import Failure, Job, Progress, State


@dataclass(frozen=True)
class Sample:
    """A dataset that comes with the app, and a file of held-out questions for it."""

    name: str
    title: str
    description: str
    path: Path
    held_out: Path


@dataclass(frozen=True)
class TokenStatus:
    """The access token for gated models; never the token itself.

    source: where a token was found, "" for none. storage: where a new one would be saved, "" when this page can't
    download gated models. why_not: why this page does not ask for one, "" when it does.
    """

    source: TokenSource
    storage: TokenSource
    why_not: str = ""


@dataclass(frozen=True)
class DownloadStatus:
    """A model that is not on this computer.

    job: its latest download, if any. has_partial: whether a part of it is here. token: None for an open model.
    why_not: why this page downloads no models, "" if it does.
    """

    model: Entry
    job: Job | None
    has_partial: bool
    token: TokenStatus | None
    why_not: str = ""


@dataclass(frozen=True)
class DatasetProgress:
    """An import or a check in progress, or a failed import.

    fraction: progress of the phase, 0 to 1. first_rows: as soon as they are read. error: why the import failed.
    """

    name: str
    phase: str
    fraction: float
    first_rows: Dataset | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class DatasetState:
    """A dataset with the accepted fixes applied.

    original: as imported. problems: those of the file, and those that a fix revealed. rows: after the accepted fixes.
    split_summary: sentences on how many rows train and how many validate. blocked: why training can't start, "" when
    it can. too_few: a sentence when too few examples differ, "" otherwise. errors: rows with an error that is not
    fixed yet. duplicates: after the accepted fixes. fix_previews: what each fix would change in the first rows.
    changes: what the accepted fixes changed.
    """

    name: str
    original: Dataset
    report: Report
    problems: list[Problem]
    rows: int
    info: DatasetInfo
    split_summary: str
    blocked: str
    too_few: str = ""
    errors: int = 0
    duplicates: DuplicateRows = field(default_factory=DuplicateRows)
    unreadable: frozenset[str] = frozenset()  # kinds of problems whose rows can only be left out
    validation_name: str = ""  # the name of the person's own validation file
    fix_previews: dict[str, list[Change]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    changed: int = 0  # rows
    left_out: int = 0  # rows that the person agreed to leave out
    unusable: int = 0  # unreadable rows that the person has not yet agreed to leave out
    tokens: TokenTotals | None = None  # after the accepted fixes

    @property
    def source(self) -> Source:
        return self.original.source

    @property
    def accepted(self) -> RowsByKind:
        return self.info.accepted


@dataclass(frozen=True)
class Writing:
    """A passage of a text. written: number and question of each example about it. examples: about all passages;
    covered: how many passages have some."""

    number: int
    passages: int
    text: str
    written: list[tuple[int, str]]
    examples: int
    covered: int


@dataclass(frozen=True)
class Preview:
    """One row: its conversation, and its tokens in pieces by their role in training.

    A long document has one piece for each window; `note` explains that, or a cut. file: the row's, where several were
    read together.
    """

    messages: list[Message]
    pieces: list[Piece]
    note: str = ""
    file: str = ""


@dataclass(frozen=True)
class ExampleField:
    """A text of an example that can be edited."""

    name: str
    label: str
    text: str


@dataclass(frozen=True)
class EditableExample:
    """An example to edit. row: its number, or the one that a new example will get."""

    row: int
    fields: tuple[ExampleField, ...]
    is_new: bool = False


@dataclass(frozen=True)
class Instruction:
    """The instruction (system message) that most conversations start with, "" if most have none.

    count: how many of the `total` conversations start with it; others: how many start with another one. default: what
    the model's chat template puts before a conversation without one.
    """

    text: str
    count: int
    others: int
    total: int
    default: str = ""


@dataclass(frozen=True)
class Correction:
    """A corrected answer as an example: of which dataset, its number. restored: the dataset had been deleted and was
    restored."""

    data_id: str
    data_name: str
    row: int
    restored: bool = False


@dataclass(frozen=True)
class DatasetFiles:
    """The fixed examples as a file, and the log of changes as another. changes: their number."""

    fixed: Path
    log: Path
    changes: int


@dataclass(frozen=True)
class Matches:
    """The rows that contain a text: how many, and the one to show (None if none), the position-th of them."""

    count: int
    row: int | None = None
    position: int = 0


@dataclass(frozen=True)
class Plan:
    """What a training run would do. Memory in MiB; seconds as (from, to), None when unknown.

    validation_rows: evaluated during training. set_aside: those, and the rows that only judge. proves: what the rows
    that judge can prove. chooses: the best of the evaluations decides which step is saved. memory_mib is the larger
    of the computed and the measured figure. has_pairs: every example has a good and a bad answer. blocked: why it
    can't start, "" when it can. export: what making files of the result takes, "" when the model is not here.
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
    available_mib: float
    set_aside: int = 0
    proves: str = ""
    chooses: bool = True
    has_pairs: bool = False
    memory_computed_mib: float = 0.0
    memory_measured_mib: float = 0.0
    time_measured: bool = False
    notes: tuple[str, ...] = ()
    blocked: str = ""
    export: str = ""

    @property
    def memory_measured(self) -> bool:
        """Whether `memory_mib` is the measured figure."""
        return 0 < self.memory_measured_mib == self.memory_mib


@dataclass
class Curve:
    """The events of a run, in order. dry_runs: one before each attempt. awake: whether the computer is kept awake
    during the latest attempt, None where that is not known. position: of the next event in its log."""

    steps: list[StepEvent] = field(default_factory=list)
    evals: list[EvalEvent] = field(default_factory=list)
    samples: list[SampleEvent] = field(default_factory=list)
    notes: list[NoteEvent] = field(default_factory=list)
    dry_runs: list[DryRunEvent] = field(default_factory=list)
    awake: bool | None = None
    position: int = 0

    def add(self, event: Event) -> None:
        """Store an event by its kind; other kinds are ignored."""
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
            case AwakeEvent():
                self.awake = event.awake


@dataclass(frozen=True)
class RunDetails:
    """A run with the settings it actually used, and its curve."""

    spec: RunSpec
    job: Job
    curve: Curve


@dataclass(frozen=True)
class Losses:
    """The losses of a run.

    training: the median training loss of the last `window` steps, None before the first. initial: the validation loss
    before training. latest, best: of the validation losses since. final: of the saved model, else the last finite
    one. saved_step: the step of the saved model, None when there is none.
    """

    training: float | None = None
    window: int = 0
    initial: EvalEvent | None = None
    latest: EvalEvent | None = None
    best: EvalEvent | None = None
    final: EvalEvent | None = None
    saved_step: int | None = None


@dataclass(frozen=True)
class Shortening:
    """What a run with at most max_length tokens per example would do: see `backend.runs.truncate.TruncatedRun`."""

    max_length: int
    examples: int
    cut: int
    left_out: int
    divided: int


@dataclass(frozen=True)
class RunInfo:
    """What identifies a run: its name, its base model, and its dataset with the number of training examples."""

    id: str
    name: str
    model_name: str
    data_name: str
    examples: int


@dataclass(frozen=True)
class ImportedModel:
    """A run that came from another computer. note: what to know about its base model here, "" for nothing."""

    run_id: str
    name: str
    note: str = ""


@dataclass(frozen=True)
class RunSummary:
    """A run in the list of runs. note: the person's own. is_divided: see `RunService.is_divided`."""

    info: RunInfo
    state: State
    created: float
    losses: Losses
    descent: Descent | None = None
    note: str = ""
    is_divided: bool = True

    @property
    def first(self) -> str:
        """The id of the first version of this model."""
        return self.descent.first if self.descent else self.info.id

    @property
    def version(self) -> int:
        return self.descent.version if self.descent else 1


@dataclass(frozen=True)
class UnseenQuestion:
    """A question that the model has not seen in training. messages: the conversation up to the expected answer."""

    question: str
    messages: list[Message]
    expected: str


@dataclass(frozen=True)
class ExportFile:
    """A file to download. sha256: its checksum, in hexadecimal; "" in an export of an older version."""

    name: str
    path: Path
    size_mib: float
    sha256: str


@dataclass(frozen=True)
class Endpoint:
    """An endpoint for other programs. url: "" until it is ready. tokens_per_second: of the latest answer."""

    id: str
    run_id: str
    state: State
    active: bool
    phase: str
    failure: Failure | None
    url: str = ""
    requests: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0


@dataclass(frozen=True)
class HubUpload:
    """What would be uploaded to Hugging Face: the size of each file (MiB), and the small files that are written for
    it. instruction: of the examples, which the card quotes; "" for none."""

    form: str
    sizes: dict[str, float]
    written: tuple[str, ...]
    instruction: str


@dataclass(frozen=True)
class HubPush:
    """An upload to Hugging Face. url: where it is once it has completed."""

    id: str
    form: str
    state: State
    active: bool
    phase: str
    failure: Failure | None
    url: str = ""
    repo: str = ""
    private: bool = True


@dataclass(frozen=True)
class GgufSize:
    """A GGUF file of an export. loss: mean divergence of its next words from the 16-bit model's (nats), same_choice:
    the share of `places` positions with the same word; None where it was not measured. too_narrow: the share of the
    weights that take a larger type. task: how it did on held-out examples, in words; "" where it was not tried."""

    kind: str
    size_mib: float
    loss: float | None
    same_choice: float | None
    places: int
    too_narrow: float
    recommended: bool
    task: str = ""


@dataclass(frozen=True)
class ProgramGuide:
    """Where an export can be used: a program, what it is, the steps, what to type or run ("" for nothing), and the
    address where it documents that."""

    name: str
    what: str
    steps: tuple[str, ...]
    code: str
    source: str


@dataclass(frozen=True)
class ExportStatus:
    """An export: its progress, or its files, its checks as (passed, None without a verdict; sentence), its guides."""

    id: str
    to: str
    state: State
    active: bool
    progress: Progress | None
    failure: Failure | None
    files: tuple[ExportFile, ...] = ()
    checks: tuple[tuple[bool | None, str], ...] = ()
    guides: tuple[ProgramGuide, ...] = ()
    sizes: tuple[GgufSize, ...] = ()
