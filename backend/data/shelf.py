"""The data sets that a person brought, each in a folder of its own, with the fixes that were accepted.

The file is kept as it came. Everything shown or trained is computed from it and from the accepted fixes, so undoing
a fix is forgetting it.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.data.check import check
from backend.data.fix import FIXABLE, Fixed, apply
from backend.data.load import load
from backend.data.options import ReadOptions
from backend.data.report import Report
from backend.data.rows import DataSet, Problem
from backend.data.split import Split, split
from backend.errors import ApprenticeError, BadInput, WorkspaceProblem
from backend.manifest import digest
from backend.settings import child, new_id
from backend.template import Tokeniser

Accepted = dict[str, Literal["all"] | list[int]]  # kind of problem -> for all rows, or for these


@dataclass(frozen=True)
class Brought:
    """A data set as it stands for one model: read, checked, fixed as accepted, checked again, and split."""

    id: str
    name: str
    original: DataSet
    report: Report  # of the file as it came
    fixed: Fixed
    fixed_report: Report  # after the accepted fixes
    split: Split
    accepted: Accepted

    @property
    def dataset(self) -> DataSet:
        """The rows after the accepted fixes."""
        return self.fixed.dataset

    @property
    def unread(self) -> list[Problem]:
        """The faults of rows that could not be read, and so can only be left out."""
        return unread(self.original)

    @property
    def blocked(self) -> str:
        """Why training can't begin: the first row that is wrong, as a sentence; "" when nothing is."""
        left = [p for p in self.unread if p.kind not in self.accepted]
        errors = left + [p for p in self.fixed_report.problems if p.severity == "error"]
        if errors:
            place = f"Row {errors[0].row} (line {errors[0].line}): " if errors[0].row else ""
            return place + errors[0].message
        return "" if self.split.train else "There are no examples to practise on."


@dataclass(frozen=True)
class Kept:
    """A data set on the shelf. bytes: of the file as it came."""

    id: str
    name: str
    bytes: int


class Shelf:
    """The data sets in a folder. Ids are made here; an id that is none raises WorkspaceProblem."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, DataSet] = {}
        self._examined: dict[object, Brought] = {}
        self._lock = threading.RLock()

    def add(self, path: Path, name: str, options: ReadOptions | None = None) -> str:
        """Keeps a copy of the file and gives its id; the same file again, not yet mended, gets the same id.

        Raises BadInput when it is no data set; then nothing is kept.
        """
        return self._add(
            name, lambda target: shutil.copyfile(path, target), lambda p: load(p, name=name, options=options)
        )

    def add_text(self, text: str, name: str = "Pasted text") -> str:
        """Keeps pasted text as a data set. Raises BadInput like `add`."""
        return self._add(
            name,
            lambda target: target.write_bytes(text.encode("utf-8", "surrogatepass")),
            lambda p: load(p, name=name),
        )

    def _add(self, name: str, write: Callable[[Path], Any], read: Callable[[Path], DataSet]) -> str:
        data_id = new_id()
        folder = self._root / data_id
        folder.mkdir()
        try:
            write(folder / "source")
            dataset = read(folder / "source")
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise WorkspaceProblem(
                "The examples could not be kept.",
                f"The system says: {error.strerror or error}.",
                "Make room on the disk.",
            ) from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if same := self._same(folder / "source", name, dataset.source.sha256):
            shutil.rmtree(folder, ignore_errors=True)
            return same
        self._keep(folder, name, {})
        self._read[data_id] = dataset
        return data_id

    def _same(self, source: Path, name: str, sha256: str) -> str:
        """The id of the same file, brought before under the same name and not yet mended; "" when there is none."""
        size = source.stat().st_size
        for kept in self.all():
            alike = (kept.name, kept.bytes) == (name, size) and not self._about(kept.id)[1]
            if alike and digest(self._root / kept.id / "source") == sha256:
                return kept.id
        return ""

    def all(self) -> list[Kept]:
        """The data sets, newest first; a damaged folder is left out."""
        found = []
        for folder in sorted(self._root.iterdir(), reverse=True):
            with suppress(ApprenticeError, OSError):
                found.append(Kept(folder.name, self._about(folder.name)[0], (folder / "source").stat().st_size))
        return found

    def remove(self, data_id: str) -> None:
        """Deletes a data set; runs keep the rows that they practise on. Raises BadInput when it is not here."""
        self._about(data_id)
        with self._lock:
            shutil.rmtree(child(self._root, data_id), ignore_errors=True)
            self._read.pop(data_id, None)
            self._examined = {key: found for key, found in self._examined.items() if found.id != data_id}

    def _keep(self, folder: Path, name: str, accepted: Accepted) -> None:
        text = json.dumps({"name": name, "accepted": accepted}, ensure_ascii=False)
        new = folder / "about.json.new"
        new.write_text(text, "utf-8")
        os.replace(new, folder / "about.json")

    def _about(self, data_id: str) -> tuple[str, Accepted]:
        try:
            about = json.loads((child(self._root, data_id) / "about.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput("These examples are no longer here.", "", "Bring them again.") from error
        return about["name"], about["accepted"]

    def has(self, data_id: str) -> bool:
        """Whether there is a data set with this id."""
        try:
            self._about(data_id)
        except ApprenticeError:
            return False
        return True

    def original(self, data_id: str) -> DataSet:
        """The rows as they came."""
        with self._lock:
            dataset = self._read.get(data_id)
            if dataset is None:
                name, _ = self._about(data_id)
                dataset = load(self._root / data_id / "source", name=name)
                self._read = {data_id: dataset}
            return dataset

    def open(self, data_id: str, tokeniser: Tokeniser | None, max_length: int | None) -> Brought:
        """The data set as it stands for a model (None: not yet known), kept in memory until something changes."""
        name, accepted = self._about(data_id)
        key = (data_id, tokeniser, max_length, json.dumps(accepted, sort_keys=True))
        with self._lock:
            found = self._examined.get(key)
            if found is None:
                found = examine(data_id, name, self.original(data_id), tokeniser, max_length, accepted)
                if len(self._examined) > 3:
                    self._examined.clear()
                self._examined[key] = found
            return found

    def accept(self, data_id: str, kind: str, rows: Literal["all"] | list[int]) -> None:
        """Accepts the fix of one kind of problem, for all rows or for more rows."""
        name, accepted = self._about(data_id)
        if kind not in FIXABLE and kind not in {p.kind for p in unread(self.original(data_id))}:
            raise BadInput("This can't be mended here.", "", "Change the file, then bring it again.")
        before = accepted.get(kind)
        if rows != "all" and before is not None:
            rows = "all" if before == "all" else sorted({*before, *rows})
        self._keep(self._root / data_id, name, {**accepted, kind: rows})

    def refuse(self, data_id: str, kind: str) -> None:
        """Takes back what was accepted for one kind of problem."""
        name, accepted = self._about(data_id)
        self._keep(self._root / data_id, name, {k: rows for k, rows in accepted.items() if k != kind})


def examine(
    data_id: str,
    name: str,
    original: DataSet,
    tokeniser: Tokeniser | None,
    max_length: int | None,
    accepted: Accepted,
) -> Brought:
    """Checks, fixes as accepted, checks what came out, and splits it. Raises BadSetting for a kind without a fix."""
    for_model: dict[str, Any] = {"tokeniser": tokeniser, "max_length": max_length}
    report = check(original, **for_model)
    mends = {kind: rows_of(rows) for kind, rows in accepted.items() if kind in FIXABLE}
    fixed = apply(original, report, mends, **for_model)
    after = check(fixed.dataset, **for_model) if fixed.changes else report
    return Brought(data_id, name, original, report, fixed, after, split(fixed.dataset.rows), accepted)


def unread(dataset: DataSet) -> list[Problem]:
    """The faults of the rows of a file that could not be read."""
    there = {row.row for row in dataset.rows}
    return [p for p in dataset.problems if p.severity == "error" and p.row and p.row not in there]


def rows_of(rows: Literal["all"] | list[int]) -> Literal["all"] | set[int]:
    return "all" if rows == "all" else set(rows)
