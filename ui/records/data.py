"""Records about datasets: importing, checking, previewing and editing them."""

from dataclasses import dataclass, field
from pathlib import Path

from backend.datasets.documents.passages import Passage
from backend.drafts.draft import Draft
from backend.drafts.templates import Column
from backend.records.encoded import Piece
from backend.records.rows import Dataset, Message


@dataclass(frozen=True)
class Sample:
    """A dataset that comes with the app, and a file of held-out questions for it."""

    name: str
    title: str
    description: str
    path: Path
    held_out: Path


@dataclass(frozen=True)
class DatasetProgress:
    """An import or a check in progress, or a failed import. fraction: progress of the
    phase, 0 to 1. first_rows: as soon as they are read. error: why the import failed.
    """

    name: str
    phase: str
    fraction: float
    first_rows: Dataset | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Material:
    """What examples are made from. drafts: those without a model. columns: of tables.
    passages: by their numbers. topic: "" for a text. lost: why a file that was added
    can't be read any more.
    """

    drafts: list[Draft]
    columns: list[Column] = field(default_factory=list)
    passages: dict[int, Passage] = field(default_factory=dict)
    topic: str = ""
    lost: Exception | None = None


@dataclass(frozen=True)
class Making:
    """Examples being made: what to decide next, and how far one is. draft: to keep,
    change or drop, about `passage`. column: of a table, to be asked about first. kept:
    examples. waiting: drafts. covered: how many passages have examples. again: the
    passage with the fewest examples, 0 for none. last: what was decided last, "" if
    that can't be undone. models: the id and name of each that can draft. working: what
    a model does now, and how far it is, 0 to 1. failed: why it ended, or why a file
    can't be read any more.
    """

    draft: Draft | None
    passage: Passage | None
    column: Column | None
    kept: int
    waiting: int
    passages: int
    covered: int
    again: int
    last: str
    models: tuple[tuple[str, str], ...]
    working: tuple[str, float] | None
    failed: Exception | None


@dataclass(frozen=True)
class Preview:
    """One row: its conversation, and its tokens in pieces by their role in training. A
    long document has one piece for each window; `note` explains that, or a cut. file:
    the row's, where several were read together. made: how it was made of a text.
    """

    messages: list[Message]
    pieces: list[Piece]
    note: str = ""
    file: str = ""
    made: str = ""


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
    """The instruction (system message) that most conversations start with, "" if most
    have none.
    count: how many of the `total` conversations start with it. different: how many
    start with another one. default: what the model's chat template puts before a
    conversation without one.
    """

    text: str
    count: int
    different: int
    total: int
    default: str = ""


@dataclass(frozen=True)
class Correction:
    """A corrected answer as an example of a dataset. restored: the dataset had been
    deleted and was restored.
    """

    data_id: str
    data_name: str
    row: int
    restored: bool = False


@dataclass(frozen=True)
class DatasetFiles:
    """The fixed examples as a file, and the log of changes as another. changes: their
    number.
    """

    fixed: Path
    log: Path
    changes: int
