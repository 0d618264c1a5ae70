"""Edits that a person made to the examples: rows changed, deleted or added, and the
instruction of all of them.

They apply in order to the rows as read, before any check or fix. Rows keep their
numbers: that of a deleted row is not used again, and added rows count on after the last
one of the file.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from backend.datasets.checks.fixers import with_system, without_system
from backend.errors import WorkspaceProblem
from backend.files.json_file import read_json, write_json
from backend.records.rows import Dataset, Origin, Row
from backend.settings import child_path, new_id

Kind = Literal["add", "replace", "delete", "instruction"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit. row: the number of the replaced or deleted row. example: the replaced
    or added row; its number and line are not used. more: rows added with it.
    instruction: the system message for every conversation, "" to remove it. run_id: the
    run whose answer was corrected, "" for an edit by hand.
    """

    kind: Kind
    row: int = 0
    example: Row | None = None
    more: tuple[Row, ...] = ()
    instruction: str = ""
    run_id: str = ""

    @property
    def origin(self) -> str:
        """Where the edit comes from, in words."""
        return (
            f"corrected answer of run {self.run_id}"
            if self.run_id
            else "edited by hand"
        )

    def to_json(self) -> dict[str, Any]:
        """The edit as it is stored."""
        names = ("kind", "row", "instruction", "run_id", "origin")
        stored = {
            **{name: getattr(self, name) for name in names},
            "example": _stored(self.example),
        }
        return (
            {**stored, "more": [_stored(row) for row in self.more]}
            if self.more
            else stored
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The stored edit. Raises KeyError, TypeError or ValueError for a damaged one."""
        example = stored["example"]
        if stored["kind"] not in get_args(Kind) or (example is None) != (
            stored["kind"] in ("delete", "instruction")
        ):
            raise ValueError("not an edit")
        row = None if example is None else Row(0, 0, **example)
        more = tuple(Row(0, 0, **other) for other in stored.get("more", ()))
        return cls(
            stored["kind"],
            int(stored["row"]),
            row,
            more,
            str(stored["instruction"]),
            str(stored["run_id"]),
        )


def _stored(row: Row | None) -> dict[str, Any] | None:
    names = ("messages", "rejected", "tools", "text", "passage", "made")
    return None if row is None else {name: getattr(row, name) for name in names}


def apply(dataset: Dataset, edits: Sequence[Edit], newest: str) -> Dataset:
    """`dataset` with the edits. newest: the id of the last one, which stands for all of
    them. Its `source.sha256` differs from that of the file, so that whatever was
    computed for other rows is not taken for these.
    """
    if not edits:
        return dataset
    editing = _Editing(dataset)
    for edit in edits:
        editing.run(edit)
    rows = [editing.rows[number] for number in sorted(editing.rows)]
    source = dataset.source
    problems = [p for p in dataset.problems if p.row not in editing.changed]
    unread = {
        p.row for p in problems if p.severity == "error" and p.row
    } - editing.rows.keys()
    sha256 = hashlib.sha256(f"{source.sha256} {newest}".encode()).hexdigest()
    kinds = tuple(edit.kind for edit in edits for _ in (edit, *edit.more))
    return Dataset(
        replace(source, sha256=sha256, file_sha256=source.sha256, edits=kinds),
        rows,
        problems,
        len(rows) + len(unread),
        {
            number: value
            for number, value in dataset.originals.items()
            if number not in editing.changed
        },
        editing.last,
    )


class _Editing:
    """The rows between two edits. changed: numbers of replaced and deleted ones. last:
    the highest number so far.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.rows = {row.row: row for row in dataset.rows}
        self.changed: set[int] = set()
        self.last = dataset.highest
        self._lines = {p.row: p.line for p in dataset.problems} | {
            row.row: row.line for row in dataset.rows
        }
        self._last_line = max(self._lines.values(), default=0)

    def run(self, edit: Edit) -> None:
        if edit.kind == "instruction":
            for number, row in self.rows.items():
                self.rows[number] = with_instruction(row, edit.instruction)
        elif edit.kind == "delete":
            self.rows.pop(edit.row, None)
            self.changed.add(edit.row)
        elif edit.kind == "replace" and edit.example:
            before = self.rows.get(edit.row)
            origin = "corrected" if edit.run_id else before.origin if before else "file"
            self._put(
                edit.row, self._lines.get(edit.row, edit.row), edit.example, origin
            )
            self.changed.add(edit.row)
        elif edit.example:
            for example in (edit.example, *edit.more):
                self.last += 1
                self._last_line += 1
                self._put(
                    self.last,
                    self._last_line,
                    example,
                    "corrected" if edit.run_id else "added",
                )
                self._lines[self.last] = self._last_line

    def _put(self, number: int, line: int, example: Row, origin: Origin) -> None:
        self.rows[number] = replace(example, row=number, line=line, origin=origin)


def with_instruction(row: Row, text: str) -> Row:
    """The row with this system message in place of its own; "": without one. A document
    stays as it is.
    """
    if row.text is not None:
        return row
    bare = without_system(row)
    return with_system(text)(bare) if text else bare


def summary(kinds: Sequence[str]) -> str:
    """The version of edited examples in words: "Version 3: 2 examples added, 1
    changed."; "" without edits.
    """
    counts = Counter(kinds)
    verbs = {"add": "added", "replace": "changed", "delete": "deleted"}
    parts = [f"{counts[kind]:,} {verb}" for kind, verb in verbs.items() if counts[kind]]
    if parts:
        parts[0] = parts[0].replace(
            " ", " example " if parts[0].startswith("1 ") else " examples "
        )
    if number := counts["instruction"]:
        parts.append(
            "instruction changed "
            + {1: "once", 2: "twice"}.get(number, f"{number} times")
        )
    return f"Version {len(kinds)}: {', '.join(parts)}." if kinds else ""


class StoredEdits:
    """The edits in the folders of datasets."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, data_id: str, edit: Edit) -> str:
        """Stores an edit and returns its id. Raises OSError."""
        edit_id = new_id()
        path = self._path(data_id, edit_id)
        path.parent.mkdir(exist_ok=True)
        write_json(path, edit.to_json())
        return edit_id

    def read(self, data_id: str, ids: Iterable[str]) -> list[Edit]:
        """The edits with these ids. Raises WorkspaceProblem for a damaged file."""
        try:
            return [
                Edit.from_json(read_json(self._path(data_id, edit_id)))
                for edit_id in ids
            ]
        except (OSError, KeyError, TypeError, ValueError) as error:
            what = "An edit of these examples can't be read."
            raise WorkspaceProblem(
                what, f"{error}", "Undo it, or add the file again."
            ) from error

    def delete(self, data_id: str, ids: Iterable[str]) -> None:
        """Deletes edits that the dataset's info no longer lists; one that can't be
        deleted does no harm.
        """
        for edit_id in ids:
            with suppress(OSError):
                self._path(data_id, edit_id).unlink(missing_ok=True)

    def _path(self, data_id: str, edit_id: str) -> Path:
        return child_path(child_path(self._root, data_id) / "edits", f"{edit_id}.json")
