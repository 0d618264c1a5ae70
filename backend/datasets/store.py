"""The user's datasets, each in its own folder with its facts (info.json) and, if there
is one, its validation file.

The uploaded file is never changed. Everything shown or trained is computed from the
file and the info (how to read it, how it was edited, which fixes are accepted or
refused), so undoing a choice just removes it from the info.
"""

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from backend.datasets import edits, stored_files
from backend.datasets.background import NO_PROGRESS, ProgressListener, held
from backend.datasets.dataset import CheckedDataset, check_and_fix, require_compatible
from backend.datasets.documents.passages import Passage, Size, joined, size
from backend.datasets.edits import StoredEdits
from backend.datasets.info import DatasetInfo, StoredInfo, saving
from backend.datasets.read.source import require_file
from backend.datasets.stored_files import (
    USUAL,
    Options,
    RecentCache,
    Run,
    StoredFiles,
    options_key,
    run_here,
)
from backend.errors import ApprenticeError, BadInput, WorkspaceProblem
from backend.files.atomic import fsync, fsync_names, replace_file
from backend.files.disk_errors import disk_words
from backend.files.manifest import digest
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.reading import Limits
from backend.records.rows import Dataset, Source
from backend.settings import child_path, new_id
from backend.tokens.token_counts import TargetModel, TokenCounter

_AS_DETECTED: Options = {}
_DELETED = ".deleted-"  # folders being deleted; no id starts with a dot
_DAY = 24 * 3600.0
_SHORT = 20_000  # characters of texts that are checked, or tokenized, in a moment
T = TypeVar("T")


@dataclass(frozen=True)
class StoredDataset:
    """An entry in the list of datasets. bytes: size of the uploaded file; added: upload
    time, in epoch seconds. written: examples are made from it.
    """

    id: str
    name: str
    bytes: int
    added: float
    written: bool = False


class DatasetStore:
    """The datasets in a folder. limits: for reading a file. run: where files are read
    and checked. require_disk: raises where there is no room for another dataset or
    edit. Methods raise WorkspaceProblem for a malformed id.
    """

    def __init__(
        self,
        root: Path,
        limits: Limits = USUAL,
        run: Run = run_here,
        require_disk: Callable[[], None] = lambda: None,
    ) -> None:
        self._root, self.require_disk = root, require_disk
        self._lock = (
            threading.RLock()
        )  # held only briefly, never while a file is read or checked
        self.files = StoredFiles(root, limits, run)
        self.info = StoredInfo(root, self._lock)
        self.edits = StoredEdits(root)
        self._edited: RecentCache[Dataset] = RecentCache()
        self._checked: RecentCache[CheckedDataset] = RecentCache()
        self._counters: RecentCache[TokenCounter] = RecentCache()
        self._opening: dict[str, threading.Lock] = {}
        self._delete_leftovers()

    def _delete_leftovers(self) -> None:
        """Deletes what an interrupted import (a day ago or more) or deletion left
        behind.
        """
        with suppress(OSError):
            for folder in self._root.iterdir():
                unfinished = folder.is_dir() and not (folder / "info.json").exists()
                abandoned = unfinished and time.time() - folder.stat().st_mtime > _DAY
                if abandoned or folder.name.startswith(_DELETED):
                    shutil.rmtree(folder, ignore_errors=True)

    def add(
        self,
        source: Path | str,
        name: str = "Pasted text",
        listener: ProgressListener = NO_PROGRESS,
        data_id: str = "",
        options: Options = _AS_DETECTED,
        *,
        written: bool = False,
    ) -> str:
        """Stores a copy of a file, or a text, and returns its id. Raises BadInput when
        it can't be read so, Cancelled when the listener cancels; nothing is stored
        then.

        data_id: the new one's; without it, an identical file under the same name whose
            info is unchanged is not stored again: its id is returned
        written: it is a text, a document or a table to make examples from, and holds
            none; such a file is stored once, whatever has become of its info
        """
        if isinstance(source, Path):
            require_file(source)
        new = data_id or new_id()
        info = DatasetInfo(name, dict(options), written=written)
        folder, stored = self.folder(new), ""
        copy = folder / "source"
        with saving("The examples"):
            folder.mkdir()
            try:
                store_copy(source, copy)
                if written:
                    self.files.material(new, name, options, listener=listener)
                else:
                    self.files.source(new, name, options, listener)
                stored = "" if data_id else self._find(copy, info)
                if not stored:
                    self.info.write(new, info)
                    fsync_names(self._root)
                    stored = new
            finally:
                if stored != new:
                    shutil.rmtree(folder, ignore_errors=True)
                    self.files.discard(new)
        return stored

    def start_material(self, data_id: str) -> str:
        """The id of the dataset, made if need be, to make examples from the text of
        this one. Raises BadInput.
        """
        info = self.info.read(data_id)
        return self.add(
            self.folder(data_id) / "source",
            info.name,
            options=info.read_options,
            written=True,
        )

    def add_material(self, data_id: str, source: Path | str, name: str) -> str:
        """Adds a file to what examples are made from, and returns the copy's name.
        Raises BadInput, adding nothing.
        """
        copy = self.folder(data_id) / f"material-{new_id()}"
        with saving("The examples", lambda: copy.unlink(missing_ok=True)):
            store_copy(source, copy)
            added = size(self.files.material(data_id, name, {}, copy.name))

        def changed(info: DatasetInfo) -> DatasetInfo:
            materials = {**info.materials, copy.name: name}
            sizes = {**info.sizes, copy.name: added}
            return replace(info, materials=materials, sizes=sizes)

        self.info.update(data_id, changed)
        return copy.name

    def material(self, data_id: str) -> list[Passage]:
        """What examples are made from; empty for other datasets. Without a file that
        only older versions took, and without one that is damaged: the others keep their
        numbers.
        """
        info, parts = self.info.read(data_id), list[tuple[str, list[Passage] | Size]]()
        with suppress(BadInput):
            parts += (
                [("", self.files.material(data_id, info.name, info.read_options))]
                if info.written
                else []
            )
        for file, name in info.materials.items():
            try:
                parts.append((name, self.files.material(data_id, name, {}, file)))
            except (BadInput, OSError):
                if file not in info.sizes:  # of an older version
                    raise
                parts.append((name, info.sizes[file]))
        return joined(parts)

    def _find(self, source: Path, info: DatasetInfo) -> str:
        """The id of a dataset of an identical file, as it was added or made of the same
        material; "" without one.
        """
        size = source.stat().st_size
        for stored in self.all():
            other = self.info.read(stored.id)
            same = stored.bytes == size and (
                other.written if info.written else other == info
            )
            if same and digest(self.folder(stored.id) / "source") == digest(source):
                return stored.id
        return ""

    def folder(self, data_id: str) -> Path:
        """The folder of a dataset, which may not exist."""
        return child_path(self._root, data_id)

    def all(self) -> list[StoredDataset]:
        """The datasets, newest first, without damaged folders."""
        datasets = []
        for folder in sorted(self._root.iterdir(), reverse=True):
            with suppress(ApprenticeError, OSError):
                source = (folder / "source").stat()
                info = self.info.read(folder.name)
                datasets.append(
                    StoredDataset(
                        folder.name,
                        info.name,
                        source.st_size,
                        source.st_mtime,
                        info.written,
                    )
                )
        return datasets

    def has(self, data_id: str) -> bool:
        """Whether there is a dataset with this id."""
        try:
            self.info.read(data_id)
        except ApprenticeError:
            return False
        return True

    def remove(self, data_id: str) -> None:
        """Deletes a dataset; runs keep their own copy of its rows. Raises BadInput when
        it does not exist, and WorkspaceProblem when the disk can't be written.
        """
        self.info.read(data_id)
        hidden = self._root / f"{_DELETED}{data_id}"
        with self._lock:
            try:  # in one step; what is left of the files after a crash is deleted later
                replace_file(self.folder(data_id), hidden)
            except OSError as error:
                raise WorkspaceProblem(
                    "The examples could not be deleted.", *disk_words(error)
                ) from error
            shutil.rmtree(hidden, ignore_errors=True)
            self.discard(data_id)
            self._opening.pop(data_id, None)

    def discard(self, data_id: str | None = None) -> None:
        """Drops everything of one dataset from memory, not from the disk; of all, if
        None.
        """
        for cache in (self.files, self._edited, self._checked, self._counters):
            cache.discard(data_id)

    def read_again(
        self, data_id: str, options: Options, listener: ProgressListener = NO_PROGRESS
    ) -> None:
        """Reads the file with other options and stores them. Accepted and refused fixes
        are dropped, unless the rows stay the same ones. Raises BadInput, changing
        nothing, when the file can't be read this
        way, its validation file no longer fits, or examples were edited.
        """

        def change(info: DatasetInfo) -> DatasetInfo:
            _require_unedited(info)
            info = replace(info, read_options=dict(options))
            return info if same_rows else replace(info, accepted={}, refused={})

        info = self.info.read(data_id)
        _require_unedited(info)
        same_rows = {**info.read_options, "drop_cells": True} == {
            **options,
            "drop_cells": True,
        }
        dataset = self.files.source(data_id, info.name, options, listener)
        if (
            validation := self._validation(data_id, info, options, listener)
        ) is not None:
            require_compatible(validation, dataset)
        self.info.update(data_id, change)

    def original(
        self,
        data_id: str,
        listener: ProgressListener = NO_PROGRESS,
        info: DatasetInfo | None = None,
    ) -> Dataset:
        """The rows before any fix, with the person's edits. info: as read before."""
        info = info or self.info.read(data_id)
        key = (data_id, options_key(info.read_options), "".join(info.edits[-1:]))
        if (edited := self._edited.get(key)) is None:
            if info.written:
                sha256 = digest(self.folder(data_id) / "source")
                dataset = Dataset(
                    Source(info.name, "material", "question_answer", "utf-8", sha256),
                    [],
                )
            else:
                dataset = self.files.source(
                    data_id, info.name, info.read_options, listener
                )
            edited = edits.apply(dataset, self.edits.read(data_id, info.edits), key[-1])
            if info.written or info.edits:
                self._edited.put(key, edited, len(edited.rows))
        return edited

    def cached(
        self, data_id: str, model: TargetModel | None, lengths: LengthLimits
    ) -> CheckedDataset | None:
        """The result of `open`, if it is in memory."""
        return self._checked.get(
            (data_id, model, lengths, options_key(asdict(self.info.read(data_id))))
        )

    def open(
        self,
        data_id: str,
        model: TargetModel | None,
        lengths: LengthLimits = UNLIMITED,
        listener: ProgressListener = NO_PROGRESS,
    ) -> CheckedDataset:
        """The dataset checked for a model (None: none chosen yet), cached until its
        info changes.
        """
        with self._lock:
            opening = self._opening.setdefault(data_id, threading.Lock())
        with held(opening, listener):
            info = self.info.read(data_id)
            key = data_id, model, lengths, options_key(asdict(info))
            if (checked := self._checked.get(key)) is None:
                original = self.original(data_id, listener, info)
                validation = self._validation(
                    data_id, info, info.read_options, listener
                )
                counter = None
                if model:  # no row is tokenized again for another length or fix
                    counted = (data_id, options_key(info.read_options), model.tokenizer)
                    counter = self._counters.get(counted) or TokenCounter(
                        model.tokenizer
                    )
                    self._counters.put(counted, counter)
                languages = model.languages if model else ()
                check = partial(
                    check_and_fix,
                    data_id,
                    info,
                    original,
                    counter,
                    lengths,
                    validation,
                    languages,
                )
                names = [
                    "source",
                    *([info.validation["file"]] if info.validation else ()),
                ]
                files = (child_path(self.folder(data_id), name) for name in names)
                largest = max(files, key=lambda path: path.stat().st_size)
                checked = self.files.run(listener, check, largest)
                if counter is not None:
                    counter.keep_only([*original.rows, *checked.rows])
                self._checked.put(key, checked, len(original.rows))
        return checked

    def compute(self, data_id: str, do: Callable[[], T], characters: int) -> T:
        """What `do` returns for texts of a dataset: done where files are checked,
        unless they are short.
        """
        if characters < _SHORT:
            return do()
        return self.files.run(
            NO_PROGRESS,
            partial(stored_files.without_progress, do),
            self.folder(data_id) / "source",
        )

    def _validation(
        self,
        data_id: str,
        info: DatasetInfo,
        options: Options,
        listener: ProgressListener,
    ) -> Dataset | None:
        if not info.validation:
            return None
        return self.files.validation(
            data_id, info.validation["name"], info.validation["file"], options, listener
        )


def store_copy(source: Path | str, copy: Path) -> None:
    """Copies a file, or a text, to the disk. Raises OSError."""
    if isinstance(source, Path):
        shutil.copyfile(source, copy)
    else:
        copy.write_bytes(source.encode("utf-8", "surrogatepass"))
    fsync(copy)


def _require_unedited(info: DatasetInfo) -> None:
    if info.edits:
        raise BadInput(
            "This file can't be read another way now.",
            "You edited its examples, and these edits would be lost.",
            "Undo them first, or add the file again.",
        )
