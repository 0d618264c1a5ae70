"""Records that the dataset packages exchange: a row, a problem, and a description of
the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
# {"role": ..., "content": ...}, "tool_calls" if there are any, "weight": 0 if only read.
Message = dict[str, Any]
# corrected: after a run answered wrongly.
Origin = Literal["file", "added", "corrected"]
Column = str | tuple[str, ...]  # of a field: one column, or several that make one text


def columns_of(mapping: Mapping[str, Column]) -> list[str]:
    """All columns of the file that a mapping uses."""
    found = ([own] if isinstance(own, str) else own for own in mapping.values())
    return [column for columns in found for column in columns]


def single(mapping: Mapping[str, Column]) -> dict[str, str]:
    """The fields of a mapping that have one column each."""
    return {name: own for name, own in mapping.items() if isinstance(own, str)}


def is_learned(message: Mapping[str, Any]) -> bool:
    """Whether an answer is learned, and not only read (OpenAI's "weight": 0)."""
    return bool(message.get("weight") != 0)


@dataclass(slots=True)
class Row:
    """One example in the canonical form. line: line in the source file, from 1 (for
    binary tables the row). row: number among the rows, from 1. messages: the
    conversation. For a preference pair `messages` ends with the chosen answer and
    `rejected` holds the rejected one. text: a plain document instead of a conversation.
    file: its name where several were read together. passage: number of the passage of a
    text that it was made about, from 1; rows of one passage stay together. made: how it
    was made of a text, in words. beside: what stands for the texts beside it that are
    not used, such as options. Lines and numbers of added rows count on after the last
    one of the file.
    """

    line: int
    row: int
    messages: list[Message] = field(default_factory=list)
    rejected: list[Message] | None = None
    tools: list[dict[str, Any]] | None = None
    text: str | None = None
    origin: Origin = "file"
    file: str = ""
    passage: int = 0
    made: str = ""
    beside: int = 0

    @property
    def place(self) -> str:
        """Where it is, such as "line 3", or "faq.csv, line 3" where several files were
        read together.
        """
        return place(self.line, self.file)


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one row, or of the whole file (row 0), in plain words. An "error"
    keeps the row out of training; a "warning" does not; a "note" is only worth a look:
    it counts as no problem, and buttons for all leave it. fix: what accepting the fix
    would do, a sentence, or "" without a fix. quote: the text at fault, shortened, with
    invisible characters escaped. file: as of a Row.
    """

    line: int
    row: int
    kind: str
    severity: Severity
    message: str
    fix: str = ""
    quote: str = ""
    file: str = ""

    @property
    def place(self) -> str:
        return place(self.line, self.file)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A part of a file that is in no example. why: in words, such as "title". line,
    file: as of a Row; 0: not in a line. text: shortened.
    """

    why: str
    text: str
    line: int = 0
    file: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A way to read a file, for a person to choose from."""

    title: str
    """What each example would be, in words: "question = 'Frage', answer = 'Antwort'"."""
    options: Mapping[str, Any]
    """The fields of ReadOptions that choose it."""


@dataclass(frozen=True, slots=True)
class FileDetails:
    """What the reader of a file found out about it, beside its rows."""

    title: str = ""
    """What the file is, in words: "a table (CSV)", "a WhatsApp chat"."""
    binary: bool = False
    """It is not text, so there is no encoding to choose."""
    packed: str = ""
    """How it was compressed, such as "gzip"."""
    delimiter: str = ""
    """Between the cells of a text table."""
    sheets: tuple[str, ...] = ()
    """All sheets of a workbook."""
    sheet: str = ""
    """Those that were read, as ReadOptions.sheet has them."""
    together: str = ""
    """Those that could be read together, written the same way; "" if there is only one of its kind."""
    people: tuple[str, ...] = ()
    """Who writes in a chat, most messages first."""
    cue: str = ""
    """What each question of a text is recognized by, and its answer: "heading 2, answer = what follows"."""
    imitate: tuple[str, ...] = ()
    """Whom the examples of the chat teach the model to write like."""


@dataclass(frozen=True, slots=True)
class Source:
    """A description of the file: `format` such as "jsonl", `shape` such as "messages"
    or "alpaca", `encoding` such as "utf-8", `mapping` from our fields to the file's
    columns, `also` fields with the columns that have them in other rows, `ignored`
    columns, the parts that were `passed` over, `sha256` of its bytes. Of examples that
    were edited, `sha256` stands for the file and the edits, `file_sha256` for the file,
    and `edits` are their kinds (datasets/edits.py).
    """

    name: str
    format: str
    shape: str
    encoding: str
    sha256: str
    mapping: Mapping[str, Column] = field(default_factory=dict)
    also: tuple[tuple[str, Column], ...] = ()
    ignored: tuple[str, ...] = ()
    details: FileDetails = FileDetails()
    passed: tuple[PassedOver, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    """The likely ways to read the file, best first, at most four; () where its form
    leaves no choice, or the user chose. The rows are those of the first.
    """
    file_sha256: str = ""
    edits: tuple[str, ...] = ()


@dataclass(slots=True)
class Dataset:
    """The contents of a file: its source, its readable rows, and the problems found
    while reading. last_number: the highest number of a row, where edits added or
    deleted some; 0: the rows are numbered to the end.
    """

    source: Source
    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    total_rows: int = 0  # rows in the file, including unreadable ones
    # The first rows as read, by row number, for display.
    originals: dict[int, Any] = field(default_factory=dict)
    last_number: int = 0
    # The different cells of columns that have few, as far as the first rows show.
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def highest(self) -> int:
        """The highest number that a row has or had."""
        return self.last_number or max(
            self.total_rows, self.rows[-1].row if self.rows else 0
        )


def place(line: int, file: str) -> str:
    """A line in words, with its file where there is one."""
    return f"{file}, line {line}" if file else f"line {line}"


def rejected_side(row: Row) -> Row:
    """The conversation of a pair with its rejected answer."""
    return replace(row, messages=[*shared_prompt(row), *(row.rejected or ())])


def shared_prompt(row: Row) -> Sequence[Message]:
    """The messages before the two answers of a pair. Both answers have the same number
    of turns.
    """
    return row.messages[: max(0, len(row.messages) - len(row.rejected or ()))]
