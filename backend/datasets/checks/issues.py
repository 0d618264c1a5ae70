"""The issue types: severity, title and fix of every kind of problem that reading and
checking can find.

The checks, the fixes and the page all use the table in issues.json; problems found
while reading add their own fix sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.files.json_file import read_json
from backend.records.rows import Problem, Row, Severity
from backend.text.conversation import opening
from backend.text.excerpt import excerpt


@dataclass(frozen=True, slots=True)
class IssueType:
    """severity: "note" for kinds that were not right in 19 of 20 cases of public files,
    and for most that were not measured. title: heading for a list of such problems.
    fix: what accepting the fix does, "" without a fix. message: what is wrong, where
    that is the same for all.
    """

    severity: Severity
    title: str
    fix: str = ""
    message: str = ""


_GROUPS = read_json(Path(__file__).with_suffix(".json")).values()
ISSUE_TYPES = {
    kind: IssueType(*entry) for group in _GROUPS for kind, entry in group.items()
}
QUESTIONS = (
    "mapping_guessed",
    "other_sheets",
)  # guesses that nothing trains on until they are confirmed
GUESSES = (*QUESTIONS, "encoding", "long_chats")  # how a file was read
_NAMED = 3  # examples


def issue_title(kind: str) -> str:
    """The heading for a list of problems of this kind."""
    return (
        ISSUE_TYPES[kind].title
        if kind in ISSUE_TYPES
        else kind.replace("_", " ").capitalize()
    )


def problem(
    row: Row | None,
    kind: str,
    message: str = "",
    quote: str = "",
    severity: Severity | None = None,
) -> Problem:
    """A Problem with the fix of its kind; row None: of the whole file. Where `message`,
    `quote` or `severity` is empty: the message of the kind, the start of the row, the
    severity of the kind.
    """
    issue = ISSUE_TYPES[kind]
    line, number, file = (row.line, row.row, row.file) if row else (0, 0, "")
    quote = quote or (excerpt(opening(row)) if row else "")
    return Problem(
        line,
        number,
        kind,
        severity or issue.severity,
        message or issue.message,
        issue.fix,
        quote,
        file,
    )


def numbered(rows: Sequence[int]) -> str:
    """The numbers of the first of these rows: "3, 5, 8 and others"."""
    return ", ".join(f"{row:,}" for row in rows[:_NAMED]) + " and others" * (
        len(rows) > _NAMED
    )
