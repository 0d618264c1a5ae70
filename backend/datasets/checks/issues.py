"""The issue types: severity, title and fix of every kind of problem that reading and checking can find.

The checks, the fixes and the page all use the table in issues.json; problems found while reading add their own fix
sentences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.files.json_file import read_json
from backend.records.rows import Problem, Row, Severity
from backend.text.conversation import opening
from backend.text.excerpt import excerpt


@dataclass(frozen=True, slots=True)
class IssueType:
    """title: heading for a list of such problems. fix: what accepting the fix does, "" without a fix. message: what is
    wrong, where that is the same for all."""

    severity: Severity
    title: str
    fix: str = ""
    message: str = ""


_GROUPS = read_json(Path(__file__).with_suffix(".json")).values()
ISSUE_TYPES = {kind: IssueType(*entry) for group in _GROUPS for kind, entry in group.items()}
QUESTIONS = ("mapping_guessed", "other_sheets")  # guesses that nothing trains on until they are confirmed
GUESSES = (*QUESTIONS, "encoding", "long_chats")  # how a file was read
_FEW, _PART = 5, 0.02  # examples; more of the file are no accidents
_NAMED = 3  # examples


def issue_title(kind: str) -> str:
    """The heading for a list of problems of this kind."""
    return ISSUE_TYPES[kind].title if kind in ISSUE_TYPES else kind.replace("_", " ").capitalize()


def problem(row: Row | None, kind: str, message: str = "", quote: str = "") -> Problem:
    """A Problem with the severity and the fix of its kind; row None: of the whole file. Where `message` or `quote` is
    empty: the message of the kind, the start of the row."""
    issue = ISSUE_TYPES[kind]
    line, number, file = (row.line, row.row, row.file) if row else (0, 0, "")
    quote = quote or (excerpt(opening(row)) if row else "")
    return Problem(line, number, kind, issue.severity, message or issue.message, issue.fix, quote, file)


def accidents(
    found: Sequence[Problem], rows: int, many: str = "So many are usually meant; look at some of them."
) -> Iterator[Problem]:
    """The problems where they are few among `rows`; else one note about the file, since what so many examples have is
    usually how they are meant. many: what the note says of that."""
    if len(found) <= max(_FEW, _PART * rows):
        yield from found
        return
    title, where = issue_title(found[0].kind), numbered([one.row for one in found])
    message = f"{title}: in {len(found):,} examples ({where}). {many}"
    yield problem(None, found[0].kind, message, found[0].quote)


def numbered(rows: Sequence[int]) -> str:
    """The numbers of the first of these rows: "3, 5, 8 and others"."""
    return ", ".join(f"{row:,}" for row in rows[:_NAMED]) + " and others" * (len(rows) > _NAMED)
