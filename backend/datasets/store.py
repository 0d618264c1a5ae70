"""The data sets that a person brought, each in a folder of its own, with what was said about them and, if they
brought one, the file to test with.

The file is kept as it came. Everything shown or trained is computed from it and from what was said (how to read it,
which fixes are accepted or refused), so undoing is forgetting.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from backend.datasets.background import NOBODY, Watch
from backend.datasets.checks.fix import EVERYWHERE, FIXABLE
from backend.datasets.checks.issues import KINDS
from backend.datasets.dataset import About, Accepted, CheckedDataset, Chosen, examine, must_fit, unread
from backend.datasets.options import ReadOptions
from backend.datasets.read.load import load
from backend.datasets.read.source import must_be_file
from backend.datasets.token_counts import Measurer, Model
from backend.errors import ApprenticeError, BadInput, WorkspaceProblem
from backend.files.atomic import write_text
from backend.files.manifest import digest
from backend.records.lengths import UNLIMITED, Lengths
from backend.records.rows import DataSet
from backend.settings import child, new_id

ABOUT_SYSTEM = ("system_inconsistent", *EVERYWHERE)  # fixes of which one excludes the others
AS_FOUND: dict[str, Any] = {}  # how a file is read when nobody said anything
_ROWS_HELD, _SETS_HELD = 300_000, 6  # kept in memory, the newest whatever its size


@dataclass(frozen=True)
class Kept:
    """A data set on the shelf. bytes: of the file as it came; brought: when, in epoch seconds."""

    id: str
    name: str
    bytes: int
    checked: float


class DatasetStore:
    """The data sets in a folder. Ids are made here; an id that is none raises WorkspaceProblem."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: OrderedDict[Hashable, DataSet] = OrderedDict()
        self._examined: OrderedDict[Hashable, CheckedDataset] = OrderedDict()
        self._measurers: OrderedDict[Hashable, Measurer] = OrderedDict()
        self._lock = threading.RLock()  # held for moments only: never while a file is read or checked
        self._reading: dict[str, threading.Lock] = {}

    def add(
        self, path: Path, name: str, watch: Watch = NOBODY, data_id: str = "", how: Mapping[str, Any] = AS_FOUND
    ) -> str:
        """Keeps a copy of the file and gives its id: `data_id` if that is given, else the same file again, not yet
        mended, gets the same id. how: as in `read_again`. Raises BadInput when it is no data set, Cancelled when
        `watch` says so; then nothing is kept."""
        must_be_file(path)
        return self._add(name, lambda target: shutil.copyfile(path, target), watch, data_id, how)

    def add_text(
        self,
        text: str,
        name: str = "Pasted text",
        watch: Watch = NOBODY,
        data_id: str = "",
        how: Mapping[str, Any] = AS_FOUND,
    ) -> str:
        """Keeps pasted text as a data set. Arguments and errors as for `add`."""
        written = text.encode("utf-8", "surrogatepass")
        return self._add(name, lambda target: target.write_bytes(written), watch, data_id, how)

    def _add(
        self, name: str, write: Callable[[Path], Any], watch: Watch, data_id: str, how: Mapping[str, Any]
    ) -> str:
        new = data_id or new_id()
        folder = child(self._root, new)
        try:
            folder.mkdir()
        except OSError as error:
            raise _not_kept("The examples", error) from error
        try:
            write(folder / "source")
            dataset = _load(folder, name, how, watch)
            same = "" if data_id else self._same(folder / "source", name, dataset.source.sha256)
            if same:
                shutil.rmtree(folder, ignore_errors=True)
                return same
            self._keep(new, About(name, how=dict(how)))
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise _not_kept("The examples", error) from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._hold(self._read, (new, _written(how)), dataset, dataset)
        return new

    def _same(self, source: Path, name: str, sha256: str) -> str:
        """The id of the same file, brought before under the same name and not yet mended; "" when there is none."""
        size = source.stat().st_size
        for kept in self.all():
            alike = kept.bytes == size and self.about(kept.id) == About(name)
            if alike and digest(self._root / kept.id / "source") == sha256:
                return kept.id
        return ""

    def all(self) -> list[Kept]:
        """The data sets, newest first; a damaged folder is left out."""
        found = []
        for folder in sorted(self._root.iterdir(), reverse=True):
            with suppress(ApprenticeError, OSError):
                source = (folder / "source").stat()
                found.append(Kept(folder.name, self.about(folder.name).name, source.st_size, source.st_mtime))
        return found

    def remove(self, data_id: str) -> None:
        """Deletes a data set; runs keep the rows that they practise on. Raises BadInput when it is not here."""
        self.about(data_id)
        with self._lock:
            shutil.rmtree(child(self._root, data_id), ignore_errors=True)
            held: OrderedDict[Hashable, Any]
            for held in (self._read, self._examined, self._measurers):
                for key in [key for key in held if isinstance(key, tuple) and key[0] == data_id]:
                    del held[key]
            self._reading.pop(data_id, None)

    def read_again(self, data_id: str, how: Mapping[str, Any], watch: Watch = NOBODY) -> None:
        """Reads the file as `how` says (fields of ReadOptions; {}: as found) and keeps that. Fixes are forgotten, for
        they were about other rows. Raises BadInput when it can't be read so, or when its test file is then of another
        kind; all stays as it was."""
        dataset = _load(child(self._root, data_id), self.about(data_id).name, how, watch)
        if (test := self._validation(data_id, self.about(data_id), how)) is not None:
            must_fit(test, dataset)
        self._hold(self._read, (data_id, _written(how)), dataset, dataset)
        self._change(data_id, how=dict(how), accepted={}, refused={})

    def put_back(self, data_id: str, about: About) -> None:
        """Has a data set stand as it stood when `about` was asked for."""
        with self._lock:
            self._keep(data_id, about)

    def about(self, data_id: str) -> About:
        """What is known of a data set beside its rows. Raises BadInput when it is no longer here."""
        try:
            about = json.loads((child(self._root, data_id) / "about.json").read_text("utf-8"))
            known = {field.name for field in fields(About)}
            return About(**{name: value for name, value in about.items() if name in known})
        except (OSError, ValueError, TypeError) as error:
            raise BadInput("These examples are no longer here.", "", "Bring them again.") from error

    def _change(self, data_id: str, **changes: Any) -> None:
        with self._lock:
            self._keep(data_id, replace(self.about(data_id), **changes))

    def _keep(self, data_id: str, about: About) -> None:
        write_text(child(self._root, data_id) / "about.json", json.dumps(asdict(about), ensure_ascii=False))

    def has(self, data_id: str) -> bool:
        """Whether there is a data set with this id."""
        try:
            self.about(data_id)
        except ApprenticeError:
            return False
        return True

    def original(self, data_id: str, watch: Watch = NOBODY) -> DataSet:
        """The rows as they came."""
        about = self.about(data_id)
        key = (data_id, _written(about.how))
        found = self._read.get(key)
        if found is None:
            found = _load(child(self._root, data_id), about.name, about.how, watch)
            self._hold(self._read, key, found, found)
        return found

    def held(self, data_id: str, model: Model | None, lengths: Lengths = UNLIMITED) -> CheckedDataset | None:
        """What `open` gives, if it is in memory."""
        return self._examined.get(self._key(data_id, model, lengths))

    def _key(self, data_id: str, model: Model | None, lengths: Lengths = UNLIMITED) -> Hashable:
        return data_id, model, lengths, _written(asdict(self.about(data_id)))

    def open(
        self, data_id: str, model: Model | None, lengths: Lengths = UNLIMITED, watch: Watch = NOBODY
    ) -> CheckedDataset:
        """The data set as it stands for a model (None: not yet known), kept in memory until something changes."""
        key = self._key(data_id, model, lengths)
        with self._lock:
            reading = self._reading.setdefault(data_id, threading.Lock())
        with reading:
            found = self._examined.get(key)
            if found is None:
                about = self.about(data_id)
                original, validation = self.original(data_id, watch), self._validation(data_id, about, about.how)
                measurer, languages = self._measurer(data_id, about, model), model.languages if model else ()
                found = examine(data_id, about, original, measurer, lengths, validation, watch, languages)
                if measurer is not None:
                    measurer.forget_all_but([*original.rows, *found.rows])
                self._hold(self._examined, key, found, original)
        return found

    def _hold(self, held: OrderedDict[Hashable, Any], key: Hashable, value: Any, dataset: DataSet) -> None:
        """Keeps `value` in memory, and of the older ones as many as there is room for."""
        with self._lock:
            held[key] = value
            held.move_to_end(key)
            room = _ROWS_HELD - len(dataset.rows)
            for place, old in enumerate(list(held)[-2::-1], 1):
                rows = held[old] if isinstance(held[old], DataSet) else held[old].original
                room -= len(rows.rows)
                if room < 0 or place >= _SETS_HELD:
                    del held[old]

    def _measurer(self, data_id: str, about: About, model: Model | None) -> Measurer | None:
        """The one of these rows and this model, so that no row is tokenised again for another length or fix."""
        if model is None:
            return None
        key = (data_id, _written(about.how), model.tokenizer)
        with self._lock:
            self._measurers.setdefault(key, Measurer(model.tokenizer))
            self._measurers.move_to_end(key)
            while len(self._measurers) > _SETS_HELD:
                self._measurers.popitem(last=False)
            return self._measurers[key]

    def accept(self, data_id: str, kind: str, rows: Chosen) -> None:
        """Accepts the fix of one kind of problem, for more rows, or for all but single ones that were refused."""
        about = self.about(data_id)
        self._must_be_there(data_id, kind, rows)
        if kind not in FIXABLE and kind not in {p.kind for p in unread(self.original(data_id))}:
            raise BadInput("This can't be mended here.", "", "Change the file, then bring it again.")
        accepted = _with(about.accepted, kind, rows)
        if kind in ABOUT_SYSTEM:  # these exclude each other
            accepted = {k: v for k, v in accepted.items() if k == kind or k not in ABOUT_SYSTEM}
        keeps = rows == "all" and about.refused.get(kind) != "all"
        refused = about.refused if keeps else _without(about.refused, kind, rows)
        self._change(data_id, accepted=accepted, refused=refused)

    def refuse(self, data_id: str, kind: str, rows: Chosen = "all") -> None:
        """Leaves the rows with this kind of problem as they are, and notes that this is meant."""
        about = self.about(data_id)
        self._must_be_there(data_id, kind, rows)
        self._change(data_id, refused=_with(about.refused, kind, rows), accepted=_without(about.accepted, kind, rows))

    def _must_be_there(self, data_id: str, kind: str, rows: Chosen) -> None:
        """Raises BadInput for a problem or a row that can't be: both come from a browser, and are kept."""
        original = self.original(data_id)
        known = kind in KINDS or kind in EVERYWHERE or any(kind == problem.kind for problem in original.problems)
        last = max(original.total_rows, len(original.rows))
        if not known or (rows != "all" and not all(1 <= row <= last for row in rows)):
            raise BadInput("There is no such problem in these examples.", "", "Reload the page.")

    def undo(self, data_id: str, kind: str) -> None:
        """Takes back what was accepted or refused for one kind of problem."""
        about = self.about(data_id)
        self._change(
            data_id, accepted=_without(about.accepted, kind, "all"), refused=_without(about.refused, kind, "all")
        )

    def set_validation(self, data_id: str, path: Path, name: str) -> None:
        """Keeps a copy of a file to test with, beside the examples. Raises BadInput when it can't serve as one; then
        nothing changes."""
        before = self.about(data_id).validation
        must_fit(_load_test(path, name, self.about(data_id).how), self.original(data_id))
        kept = f"validation-{new_id()}"
        try:
            shutil.copyfile(path, self._root / data_id / kept)
            self._change(data_id, validation={"name": name, "file": kept})
        except OSError as error:
            raise _not_kept("The test file", error) from error
        self._forget(data_id, before)

    def clear_validation(self, data_id: str) -> None:
        """Forgets the file to test with; part of the examples is kept back again."""
        before = self.about(data_id).validation
        self._change(data_id, validation={})
        self._forget(data_id, before)

    def _forget(self, data_id: str, validation: dict[str, str]) -> None:
        if validation:
            child(self._root / data_id, validation["file"]).unlink(missing_ok=True)

    def _validation(self, data_id: str, about: About, how: Mapping[str, Any]) -> DataSet | None:
        if not about.validation:
            return None
        key = (data_id, about.validation["file"], _written(how))
        found = self._read.get(key)
        if found is None:
            place = child(self._root / data_id, about.validation["file"])
            found = _load_test(place, about.validation["name"], how)
            self._hold(self._read, key, found, found)
        return found


def _load(folder: Path, name: str, how: Mapping[str, Any], watch: Watch) -> DataSet:
    return load(
        folder / "source",
        name=name,
        options=ReadOptions(**how),
        progress=watch.entered("Reading"),
        cancelled=watch.cancelled,
        began=watch.began,
    )


def _load_test(path: Path, name: str, how: Mapping[str, Any]) -> DataSet:
    """A test file, its columns taken as those of the examples if it has them. Raises BadInput when it is none."""
    columns = {said: how[said] for said in ("shape", "mapping") if said in how}
    with suppress(BadInput):
        return load(path, name=name, options=ReadOptions(**columns))
    return load(path, name=name)


def _not_kept(what: str, error: OSError) -> WorkspaceProblem:
    told = f"The system says: {error.strerror or error}."
    return WorkspaceProblem(f"{what} could not be kept.", told, "Make room on the disk, then bring it again.")


def _written(what: Any) -> str:
    return json.dumps(what, sort_keys=True)


def _with(chosen: Accepted, kind: str, rows: Chosen) -> Accepted:
    before = chosen.get(kind)
    if rows != "all" and before is not None:
        rows = "all" if before == "all" else sorted({*before, *rows})
    return {**chosen, kind: rows}


def _without(chosen: Accepted, kind: str, rows: Chosen) -> Accepted:
    """`chosen` without these rows of this kind. "all" less some rows stays "all": `refused` names those rows."""
    before = chosen.get(kind)
    if before is None or (before == "all" and rows != "all"):
        return chosen
    others = {k: v for k, v in chosen.items() if k != kind}
    left = [] if rows == "all" or before == "all" else [row for row in before if row not in rows]
    return {**others, kind: left} if left else others
