"""The corpus of sources that people have, and what must come out of each.

tests/data/sources/GROUP.jsonl is one table per group; its files lie in
tests/data/sources/GROUP/. Each line has

    file      its name in the folder of the group
    what      what it is, for docs/formats.md
    made      the program that wrote it, or the document of its format
    outcome   "rows"; "asks": the person is asked, and nothing trains on a guess; "refused": with a sentence
    rows      how many examples come out; with "asks", after the answer
    first     the texts of the first example, system message included; a plain text is one text
    last      those of the last one
    question  with "asks": the kind of the problem that asks, or the columns or shapes to choose from
    options   with "asks": an answer, as fields of ReadOptions, unless the guess is right; with "rows": a choice with
              which it is read as well
    lacks     what of the right examples can't be had
    says      with "refused": a word of the sentence; with "asks": words of the question

    python -m tests.backend.datasets.sources      writes docs/formats.md from these tables
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from backend.datasets.checks.issues import QUESTIONS
from backend.datasets.read.load import ReadOptions, load
from backend.errors import BadInput
from backend.records.rows import Dataset, Row
from backend.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "tests" / "data" / "sources"
DOCUMENT = PROJECT_ROOT / "docs" / "formats.md"
GROUPS = {
    "tables": "Tables and spreadsheets",
    "documents": "Texts and documents",
    "conversations": "Conversations",
}
_INTRODUCTION = """# Formats

What Apprentice makes of the files that people have. Every line is a file of the test suite; this page is written by
`python -m tests.backend.datasets.sources`. Clicks: from the file to its right examples. 0: read at once. 1: *Yes, use
these*. More: as many choices under *Something is off* or of another proposal, and *Yes*.
"""


@dataclass(frozen=True)
class Found:
    """What came out of a file. question: what was asked, as in the table. error: the
    sentence of a refusal.
    """

    outcome: Literal["rows", "asks", "refused"]
    rows: int = 0
    first: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    question: str | list[str] = ""
    error: str = ""


@dataclass(frozen=True)
class SourceFile:
    """One line of a table."""

    group: str
    file: str
    what: str
    made: str
    outcome: Literal["rows", "asks", "refused"]
    rows: int = 0
    first: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    question: str | list[str] = ""
    options: dict[str, Any] = field(default_factory=dict)
    lacks: str = ""
    says: str = ""

    @property
    def path(self) -> Path:
        return FOLDER / self.group / self.file


def sources() -> Iterator[SourceFile]:
    """Every source of every group."""
    for group in GROUPS:
        for line in (FOLDER / f"{group}.jsonl").read_text("utf-8").splitlines():
            yield SourceFile(group, **json.loads(line))


@cache
def loaded(path: Path, options: str = "{}") -> Dataset:
    """What is read from a source, once for all tests. options: fields of ReadOptions,
    as JSON.
    """
    return load(path, options=ReadOptions(**json.loads(options)))


def read(path: Path, options: dict[str, Any] | None = None) -> Found:
    """Reads a file as the page would."""
    try:
        data = loaded(path, json.dumps(options or {}))
    except BadInput as error:
        return Found("refused", error=str(error))
    return _found(data)


def _found(data: Dataset) -> Found:
    asked = next((p for p in data.problems if p.kind in QUESTIONS), None)
    first, last = (texts(data.rows[n]) if data.rows else [] for n in (0, -1))
    if asked is None:
        return Found("rows", len(data.rows), first, last)
    return Found("asks", len(data.rows), first, last, asked.kind, asked.message)


def texts(row: Row) -> list[str]:
    """The texts of an example, one per message."""
    if row.text is not None:
        return [row.text]
    return [str(message["content"]) for message in row.messages]


def _clicks(source: SourceFile) -> str:
    """How many clicks lead from the file to its right examples."""
    if source.outcome == "refused":
        return "refused, with the reason"
    if source.lacks:
        return f"1, without {source.lacks}"
    chosen = [*source.options.get("mapping", {}), *{*source.options} - {"mapping"}]
    return str(len(chosen) + (source.outcome == "asks"))


def document(found: Sequence[SourceFile]) -> str:
    """docs/formats.md: one table per group."""
    parts = [_INTRODUCTION]
    for group, title in GROUPS.items():
        lines = [
            f"| {source.what} | {source.path.suffix or source.file} | {_clicks(source)} |"
            for source in found
            if source.group == group
        ]
        parts.append(
            "\n".join(
                [
                    f"## {title}\n",
                    "| What | File | Outcome |",
                    "|---|---|---|",
                    *lines,
                    "",
                ]
            )
        )
    return "\n".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(document(list(sources())), "utf-8")
