"""The data sets that a person brought, each in a folder of its own, with the fixes that were accepted and, if they
brought one, the file to test with.

The file is kept as it came. Everything shown or trained is computed from it and from the accepted fixes, so undoing
a fix is forgetting it.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.data.brought import Brought, examine, must_fit, unread
from backend.data.fix import FIXABLE
from backend.data.load import load
from backend.data.measure import Measurer
from backend.data.options import ReadOptions
from backend.data.rows import DataSet
from backend.data.windows import UNLIMITED, Lengths
from backend.errors import ApprenticeError, BadInput, WorkspaceProblem
from backend.manifest import digest
from backend.saving import replace_text
from backend.settings import child, new_id
from backend.template import Tokeniser


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
        self._measured: tuple[tuple[str, Tokeniser | None], Measurer | None] = ("", None), None
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
        self._keep(data_id, {"name": name, "accepted": {}})
        self._read[data_id] = dataset
        return data_id

    def _same(self, source: Path, name: str, sha256: str) -> str:
        """The id of the same file, brought before under the same name and not yet mended; "" when there is none."""
        size = source.stat().st_size
        for kept in self.all():
            alike = kept.bytes == size and self._about(kept.id) == {"name": name, "accepted": {}}
            if alike and digest(self._root / kept.id / "source") == sha256:
                return kept.id
        return ""

    def all(self) -> list[Kept]:
        """The data sets, newest first; a damaged folder is left out."""
        found = []
        for folder in sorted(self._root.iterdir(), reverse=True):
            with suppress(ApprenticeError, OSError):
                found.append(Kept(folder.name, self._about(folder.name)["name"], (folder / "source").stat().st_size))
        return found

    def remove(self, data_id: str) -> None:
        """Deletes a data set; runs keep the rows that they practise on. Raises BadInput when it is not here."""
        self._about(data_id)
        with self._lock:
            shutil.rmtree(child(self._root, data_id), ignore_errors=True)
            self._read.pop(data_id, None)
            self._examined = {key: found for key, found in self._examined.items() if found.id != data_id}

    def _keep(self, data_id: str, about: dict[str, Any]) -> None:
        replace_text(self._root / data_id / "about.json", json.dumps(about, ensure_ascii=False))

    def _about(self, data_id: str) -> dict[str, Any]:
        """name; accepted (an Accepted); validation: the name of the test file, where there is one."""
        try:
            about: dict[str, Any] = json.loads((child(self._root, data_id) / "about.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput("These examples are no longer here.", "", "Bring them again.") from error
        return about

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
                dataset = load(self._root / data_id / "source", name=self._about(data_id)["name"])
                self._read = {data_id: dataset}
            return dataset

    def open(self, data_id: str, tokeniser: Tokeniser | None, lengths: Lengths = UNLIMITED) -> Brought:
        """The data set as it stands for a model (None: not yet known), kept in memory until something changes."""
        about = self._about(data_id)
        key = (data_id, tokeniser, lengths, json.dumps(about, sort_keys=True))
        with self._lock:
            found = self._examined.get(key)
            if found is None:
                original, validation = self.original(data_id), self._validation(data_id, about)
                measurer = self._measurer(data_id, tokeniser)
                found = examine(data_id, about["name"], original, measurer, lengths, about["accepted"], validation)
                if len(self._examined) > 3:
                    self._examined.clear()
                self._examined[key] = found
            return found

    def _measurer(self, data_id: str, tokeniser: Tokeniser | None) -> Measurer | None:
        """The one of this data set and model, so that no row is tokenised again for another length or fix."""
        if self._measured[0] != (data_id, tokeniser):
            self._measured = (data_id, tokeniser), Measurer(tokeniser) if tokeniser else None
        return self._measured[1]

    def accept(self, data_id: str, kind: str, rows: Literal["all"] | list[int]) -> None:
        """Accepts the fix of one kind of problem, for all rows or for more rows."""
        about = self._about(data_id)
        if kind not in FIXABLE and kind not in {p.kind for p in unread(self.original(data_id))}:
            raise BadInput("This can't be mended here.", "", "Change the file, then bring it again.")
        before = about["accepted"].get(kind)
        if rows != "all" and before is not None:
            rows = "all" if before == "all" else sorted({*before, *rows})
        self._keep(data_id, {**about, "accepted": {**about["accepted"], kind: rows}})

    def refuse(self, data_id: str, kind: str) -> None:
        """Takes back what was accepted for one kind of problem."""
        about = self._about(data_id)
        accepted = {k: rows for k, rows in about["accepted"].items() if k != kind}
        self._keep(data_id, {**about, "accepted": accepted})

    def set_validation(self, data_id: str, path: Path, name: str) -> None:
        """Keeps a copy of a file to test with, beside the examples. Raises BadInput when it can't serve as one; then
        nothing changes."""
        about = self._about(data_id)
        must_fit(load(path, name=name), self.original(data_id))
        kept = f"validation-{new_id()}"
        try:
            shutil.copyfile(path, self._root / data_id / kept)
            self._keep(data_id, {**about, "validation": {"name": name, "file": kept}})
        except OSError as error:
            raise WorkspaceProblem(
                "The test file could not be kept.",
                f"The system says: {error.strerror or error}.",
                "Make room on the disk.",
            ) from error
        self._forget_validation(data_id, about)

    def clear_validation(self, data_id: str) -> None:
        """Forgets the file to test with; part of the examples is kept back again."""
        about = self._about(data_id)
        self._keep(data_id, {key: value for key, value in about.items() if key != "validation"})
        self._forget_validation(data_id, about)

    def _forget_validation(self, data_id: str, about: dict[str, Any]) -> None:
        if "validation" in about:
            (child(self._root / data_id, about["validation"]["file"])).unlink(missing_ok=True)

    def _validation(self, data_id: str, about: dict[str, Any]) -> DataSet | None:
        if "validation" not in about:
            return None
        kept = about["validation"]
        return load(child(self._root / data_id, kept["file"]), name=kept["name"])
