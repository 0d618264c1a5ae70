"""The facts stored with a dataset: how to read its file, and which fixes the user
accepted or refused.

They stand in <dataset>/info.json, changed by one thread or process at a time.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock
from pydantic import TypeAdapter

from backend.datasets.checks.answers import CHOICE
from backend.datasets.checks.fix import FIXABLE, SYSTEM_FIXES
from backend.datasets.documents.passages import Size
from backend.errors import BadInput, WorkspaceProblem
from backend.files.atomic import write_text
from backend.files.disk_errors import disk_words
from backend.records.rows import Dataset, Problem
from backend.settings import child_path

RowChoice = Literal["all"] | list[int]  # all rows, or these row numbers
RowsByKind = dict[str, RowChoice]  # kind of problem -> rows


@dataclass(frozen=True)
class DatasetInfo:
    """name: of the uploaded file. read_options: fields of ReadOptions. accepted,
    refused: fixes, by kind of problem. validation: the "name" and the stored "file" of
    the validation file, {} without one. edits: ids of the edits, in order. written: the
    file is what examples are made from, and the only ones are those that a person has
    kept. materials: the names of more files that examples are made from, by the files
    in the dataset's folder. sizes: how many passages and tables each of them has.
    """

    name: str
    read_options: dict[str, Any] = field(default_factory=dict)
    accepted: RowsByKind = field(default_factory=dict)
    refused: RowsByKind = field(default_factory=dict)
    validation: dict[str, str] = field(default_factory=dict)
    edits: list[str] = field(default_factory=list)
    written: bool = False
    materials: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)

    def is_accepted(self, problem: Problem) -> bool:
        """Whether the user accepted the fix of this problem."""
        accepted, refused = (
            chosen.get(problem.kind, []) for chosen in (self.accepted, self.refused)
        )
        if accepted == "all":
            return refused != "all" and problem.row not in refused
        return problem.row in accepted  # a single accepted row wins over "refuse all"

    def is_refused(self, problem: Problem) -> bool:
        """Whether the user chose to leave this row as it is."""
        refused = self.refused.get(problem.kind, [])
        return (refused == "all" or problem.row in refused) and not self.is_accepted(
            problem
        )

    def accept(self, kind: str, rows: RowChoice) -> Self:
        """A copy with the fix of `kind` accepted for more rows; "all" keeps single
        refused rows refused.
        """
        accepted = _with(self.accepted, kind, rows)
        if kind in SYSTEM_FIXES:  # they exclude each other
            accepted = {
                k: v for k, v in accepted.items() if k == kind or k not in SYSTEM_FIXES
            }
        keep_refused = rows == "all" and self.refused.get(kind) != "all"
        refused = self.refused if keep_refused else _without(self.refused, kind, rows)
        return replace(self, accepted=accepted, refused=refused)

    def refuse(self, kind: str, rows: RowChoice) -> Self:
        """A copy with the fix of `kind` refused for more rows."""
        return replace(
            self,
            refused=_with(self.refused, kind, rows),
            accepted=_without(self.accepted, kind, rows),
        )

    def undo(self, kind: str) -> Self:
        """A copy with neither an accepted nor a refused fix of `kind`."""
        accepted, refused = (
            _without(chosen, kind, "all") for chosen in (self.accepted, self.refused)
        )
        return replace(self, accepted=accepted, refused=refused)

    def rows_to_fix(self, dataset: Dataset) -> dict[str, Literal["all"] | set[int]]:
        """The accepted rows less the refused ones, as `fix.apply` takes them."""
        chosen: dict[str, Literal["all"] | set[int]] = {}
        for kind, rows in self.accepted.items():
            if kind in FIXABLE:
                refused = self.refused.get(kind, [])
                if rows != "all":
                    chosen[kind] = set(rows)
                else:
                    chosen[kind] = (
                        {row.row for row in dataset.rows}.difference(refused)
                        if refused
                        else "all"
                    )
        return chosen


def _with(chosen: RowsByKind, kind: str, rows: RowChoice) -> RowsByKind:
    before = chosen.get(kind)
    if rows != "all" and before is not None:
        rows = "all" if before == "all" else sorted({*before, *rows})
    return {**chosen, kind: rows}


def _without(chosen: RowsByKind, kind: str, rows: RowChoice) -> RowsByKind:
    """`chosen` without these rows of this kind. "all" minus some rows stays "all":
    `refused` names those rows.
    """
    before = chosen.get(kind)
    if before is None or (before == "all" and rows != "all"):
        return chosen
    rest = {k: v for k, v in chosen.items() if k != kind}
    left = (
        []
        if rows == "all" or before == "all"
        else [row for row in before if row not in rows]
    )
    return {**rest, kind: left} if left else rest


_STORED = TypeAdapter(DatasetInfo)  # raises ValueError, whatever the file holds


class StoredInfo:
    """The facts in the folders of datasets. lock: held while they change."""

    def __init__(self, root: Path, lock: threading.RLock) -> None:
        self._root, self._lock = root, lock

    def read(self, data_id: str) -> DatasetInfo:
        """The stored facts. Raises BadInput when the dataset does not exist."""
        try:
            info = _STORED.validate_json(
                (child_path(self._root, data_id) / "info.json").read_bytes()
            )
        except (OSError, ValueError) as error:
            raise BadInput(
                "These examples are no longer here.", "", "Add them again."
            ) from error
        all_answers = (
            info.accepted.get(CHOICE) == "all"
        )  # of an older version; none would be right
        return (
            replace(info, accepted=_without(info.accepted, CHOICE, "all"))
            if all_answers
            else info
        )

    def update(
        self, data_id: str, change: Callable[[DatasetInfo], DatasetInfo]
    ) -> None:
        """Replaces the facts with what `change` makes of them; no other thread or
        process changes them meanwhile. Raises BadInput when the dataset does not exist,
        and WorkspaceProblem when the disk can't be written.
        """
        self.read(data_id)
        with (
            saving("This"),
            self._lock,
            FileLock(child_path(self._root, data_id) / ".lock"),
        ):
            self.write(data_id, change(self.read(data_id)))

    def restore(self, data_id: str, before: DatasetInfo) -> None:
        """Restores the read options and the accepted and refused fixes of `before`."""
        read, accepted, refused = before.read_options, before.accepted, before.refused
        self.update(
            data_id,
            lambda info: replace(
                info, read_options=read, accepted=accepted, refused=refused
            ),
        )

    def write(self, data_id: str, info: DatasetInfo) -> None:
        """Stores the facts of a new dataset. Raises OSError."""
        write_text(
            child_path(self._root, data_id) / "info.json",
            json.dumps(asdict(info), ensure_ascii=False),
        )


@contextmanager
def saving(what: str, undo: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Raises WorkspaceProblem when `what` can't be written. undo: called after any
    error.
    """
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            undo()
        if isinstance(error, OSError):
            raise WorkspaceProblem(
                f"{what} could not be saved.", *disk_words(error)
            ) from error
        raise
