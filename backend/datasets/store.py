"""The user's datasets, each in its own folder with its facts (info.json) and, if there is one, its validation file.

The uploaded file is never changed. Everything shown or trained is computed from the file and the info (how to read
it, how it was edited, which fixes are accepted or refused), so undoing a choice just removes it from the info.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from backend.datasets import edits
from backend.datasets.background import NO_PROGRESS, ProgressListener
from backend.datasets.cache import Key, RecentCache
from backend.datasets.checks.fix import FIXABLE, WHOLE_FILE_FIXES
from backend.datasets.checks.issues import ISSUE_TYPES
from backend.datasets.dataset import CheckedDataset, check_and_fix, require_compatible, unread
from backend.datasets.info import DatasetInfo, RowChoice
from backend.datasets.options import Limits
from backend.datasets.read.source import require_file
from backend.datasets.stored_edits import StoredEdits
from backend.datasets.stored_files import USUAL, Options, StoredFiles, options_key
from backend.datasets.token_counts import TargetModel, TokenCounter
from backend.errors import ApprenticeError, BadInput, WorkspaceProblem
from backend.files.atomic import fsync, fsync_names, replace_file, write_text
from backend.files.disk_errors import disk_words
from backend.files.manifest import digest
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.rows import Dataset
from backend.settings import child_path, new_id

_AS_DETECTED: Options = {}
_DELETED = ".deleted-"  # folders being deleted; no id starts with a dot
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class StoredDataset:
    """An entry in the list of datasets. bytes: size of the uploaded file; added: upload time, in epoch seconds."""

    id: str
    name: str
    bytes: int
    added: float


class DatasetStore:
    """The datasets in a folder. limits: for reading a file. Methods raise WorkspaceProblem for a malformed id."""

    def __init__(self, root: Path, limits: Limits = USUAL) -> None:
        self._root = root
        self._files = StoredFiles(root, limits)
        self.edits = StoredEdits(root)
        self._edited: RecentCache[Dataset] = RecentCache()
        self._checked: RecentCache[CheckedDataset] = RecentCache()
        self._counters: RecentCache[TokenCounter] = RecentCache()
        self._lock = threading.RLock()  # held only briefly, never while a file is read or checked
        self._opening: dict[str, threading.Lock] = {}
        self._delete_leftovers()

    def _delete_leftovers(self) -> None:
        """Deletes what an interrupted import (a day ago or more) or deletion left behind."""
        with suppress(OSError):
            for folder in self._root.iterdir():
                unfinished = folder.is_dir() and not (folder / "info.json").exists()
                abandoned = unfinished and time.time() - folder.stat().st_mtime > _DAY
                if abandoned or folder.name.startswith(_DELETED):
                    shutil.rmtree(folder, ignore_errors=True)

    def add(
        self,
        path: Path,
        name: str,
        listener: ProgressListener = NO_PROGRESS,
        data_id: str = "",
        options: Options = _AS_DETECTED,
    ) -> str:
        """Stores a copy of the file and returns its id.

        Without `data_id`, an identical file under the same name whose info is unchanged is not stored again: its id
        is returned. Raises BadInput when the file is not a dataset, Cancelled when the listener cancels; nothing is
        stored then.
        """
        require_file(path)
        return self._add(name, lambda target: shutil.copyfile(path, target), listener, data_id, options)

    def add_text(
        self,
        text: str,
        name: str = "Pasted text",
        listener: ProgressListener = NO_PROGRESS,
        data_id: str = "",
        options: Options = _AS_DETECTED,
    ) -> str:
        """Stores pasted text as a dataset. Arguments and errors as for `add`."""
        content = text.encode("utf-8", "surrogatepass")
        return self._add(name, lambda target: target.write_bytes(content), listener, data_id, options)

    def _add(
        self, name: str, write: Callable[[Path], Any], listener: ProgressListener, data_id: str, options: Options
    ) -> str:
        new = data_id or new_id()
        folder = child_path(self._root, new)
        try:
            folder.mkdir()
        except OSError as error:
            raise not_saved("The examples", error) from error
        try:
            write(folder / "source")
            fsync(folder / "source")
            dataset, info = self._files.source(new, name, options, listener), DatasetInfo(name, dict(options))
            duplicate = "" if data_id else self._find_duplicate(folder / "source", info, dataset.source.sha256)
            if duplicate:
                shutil.rmtree(folder, ignore_errors=True)
                self._files.discard(new)
                return duplicate
            self._write_info(new, info)
            fsync_names(self._root)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._files.discard(new)
            if isinstance(error, OSError):
                raise not_saved("The examples", error) from error
            raise
        return new

    def _find_duplicate(self, source: Path, info: DatasetInfo, sha256: str) -> str:
        """The id of an identical file with the same name and options whose info is unchanged; "" without one."""
        size = source.stat().st_size
        for stored in self.all():
            unchanged = stored.bytes == size and self.info(stored.id) == info
            if unchanged and digest(self._root / stored.id / "source") == sha256:
                return stored.id
        return ""

    def add_written(self, data_id: str) -> str:
        """The id of a dataset for examples written about the text of this one; made if there is none yet. Raises
        BadInput when this one is no text."""
        info = self.info(data_id)
        if not any(row.text for row in self._files.source(data_id, info.name, info.read_options, NO_PROGRESS).rows):
            raise BadInput("This is not a text.", "It already holds examples.", "Choose a text.")
        source = self._root / data_id / "source"
        mine, sha256 = replace(DatasetInfo(info.name, info.read_options), written=True), digest(source)
        for stored in self.all():
            if self.info(stored.id).written and digest(self._root / stored.id / "source") == sha256:
                return stored.id
        new = new_id()
        folder = child_path(self._root, new)
        try:
            folder.mkdir()
            shutil.copyfile(source, folder / "source")
            fsync(folder / "source")
            self._write_info(new, mine)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise not_saved("The examples", error) from error
        return new

    def texts(self, data_id: str) -> list[str]:
        """The texts in the file of a dataset."""
        info = self.info(data_id)
        rows = self._files.source(data_id, info.name, info.read_options, NO_PROGRESS).rows
        return [row.text for row in rows if row.text]

    def all(self) -> list[StoredDataset]:
        """The datasets, newest first, without damaged folders."""
        found = []
        for folder in sorted(self._root.iterdir(), reverse=True):
            with suppress(ApprenticeError, OSError):
                source = (folder / "source").stat()
                found.append(StoredDataset(folder.name, self.info(folder.name).name, source.st_size, source.st_mtime))
        return found

    def has(self, data_id: str) -> bool:
        """Whether there is a dataset with this id."""
        try:
            self.info(data_id)
        except ApprenticeError:
            return False
        return True

    def remove(self, data_id: str) -> None:
        """Deletes a dataset; runs keep their own copy of its rows. Raises BadInput when it does not exist, and
        WorkspaceProblem when the disk can't be written."""
        self.info(data_id)
        hidden = self._root / f"{_DELETED}{data_id}"
        with self._lock:
            try:  # in one step; what is left of the files after a crash is deleted later
                replace_file(child_path(self._root, data_id), hidden)
            except OSError as error:
                raise WorkspaceProblem("The examples could not be deleted.", *disk_words(error)) from error
            shutil.rmtree(hidden, ignore_errors=True)
            for cache in (self._files, self._edited, self._checked, self._counters):
                cache.discard(data_id)
            self._opening.pop(data_id, None)

    def info(self, data_id: str) -> DatasetInfo:
        """The stored facts. Raises BadInput when the dataset does not exist."""
        try:
            stored = json.loads((child_path(self._root, data_id) / "info.json").read_text("utf-8"))
            names = {field.name for field in fields(DatasetInfo)}
            return DatasetInfo(**{name: value for name, value in stored.items() if name in names})
        except (OSError, ValueError, TypeError) as error:
            raise BadInput("These examples are no longer here.", "", "Add them again.") from error

    def restore(self, data_id: str, before: DatasetInfo) -> None:
        """Reads the file again as `before` says, with the fixes accepted and refused then."""

        def change(info: DatasetInfo) -> DatasetInfo:
            read = before.read_options
            return replace(info, read_options=read, accepted=before.accepted, refused=before.refused)

        self.update(data_id, change)

    def update(self, data_id: str, change: Callable[[DatasetInfo], DatasetInfo]) -> None:
        """Replaces the info with what `change` makes of it; no other thread or process changes it meanwhile. Raises
        BadInput when the dataset does not exist, and WorkspaceProblem when the disk can't be written."""
        self.info(data_id)
        try:
            with self._lock, FileLock(child_path(self._root, data_id) / ".lock"):
                self._write_info(data_id, change(self.info(data_id)))
        except OSError as error:
            raise not_saved("This", error) from error

    def _write_info(self, data_id: str, info: DatasetInfo) -> None:
        write_text(child_path(self._root, data_id) / "info.json", json.dumps(asdict(info), ensure_ascii=False))

    def read_again(self, data_id: str, options: Options, listener: ProgressListener = NO_PROGRESS) -> None:
        """Reads the file with other options and stores them. Accepted and refused fixes are dropped, as they were
        about other rows; so are undone edits. Raises BadInput, changing nothing, when the file can't be read this
        way, its validation file no longer fits, or examples were edited."""
        undone: list[str] = []

        def change(info: DatasetInfo) -> DatasetInfo:
            _require_unedited(info)
            undone.extend(info.undone)
            return replace(info, read_options=dict(options), accepted={}, refused={}, undone=[])

        info = self.info(data_id)
        _require_unedited(info)
        dataset = self._files.source(data_id, info.name, options, listener)
        if (validation := self._validation(data_id, info, options)) is not None:
            require_compatible(validation, dataset)
        self.update(data_id, change)
        self.edits.delete(data_id, undone)

    def original(self, data_id: str, listener: ProgressListener = NO_PROGRESS) -> Dataset:
        """The rows before any fix, with the person's edits."""
        info = self.info(data_id)
        dataset = self._files.source(data_id, info.name, info.read_options, listener)
        if info.written:
            dataset = replace(dataset, rows=[], problems=[], total_rows=0, originals={})
        if not info.edits:
            return dataset
        key = (data_id, options_key(info.read_options), info.edits[-1])
        found = self._edited.get(key)
        if found is None:
            found = edits.apply(dataset, self.edits.read(data_id, info.edits), info.edits[-1])
            self._edited.put(key, found, len(found.rows))
        return found

    def cached(
        self, data_id: str, model: TargetModel | None, lengths: LengthLimits = UNLIMITED
    ) -> CheckedDataset | None:
        """The result of `open`, if it is in memory."""
        return self._checked.get(self._key(data_id, model, lengths))

    def _key(self, data_id: str, model: TargetModel | None, lengths: LengthLimits) -> Key:
        return data_id, model, lengths, options_key(asdict(self.info(data_id)))

    def open(
        self,
        data_id: str,
        model: TargetModel | None,
        lengths: LengthLimits = UNLIMITED,
        listener: ProgressListener = NO_PROGRESS,
    ) -> CheckedDataset:
        """The dataset checked for a model (None: none chosen yet), cached until its info changes."""
        key = self._key(data_id, model, lengths)
        with self._lock:
            opening = self._opening.setdefault(data_id, threading.Lock())
        with opening:
            found = self._checked.get(key)
            if found is None:
                info, original = self.info(data_id), self.original(data_id, listener)
                validation = self._validation(data_id, info, info.read_options)
                counter = self._counter(data_id, info, model) if model else None
                languages = model.languages if model else ()
                found = check_and_fix(data_id, info, original, counter, lengths, validation, listener, languages)
                if counter is not None:
                    counter.keep_only([*original.rows, *found.rows])
                self._checked.put(key, found, len(original.rows))
        return found

    def _counter(self, data_id: str, info: DatasetInfo, model: TargetModel) -> TokenCounter:
        """The counter of these rows and this model, so that no row is tokenized again for another length or fix."""
        key = (data_id, options_key(info.read_options), model.tokenizer)
        counter = self._counters.get(key) or TokenCounter(model.tokenizer)
        self._counters.put(key, counter)
        return counter

    def accept(self, data_id: str, kind: str, rows: RowChoice) -> None:
        """Accepts the fix of one kind of problem for more rows; "all" skips rows that were refused one by one."""
        self._validate(data_id, kind, rows)
        if kind not in FIXABLE and kind not in {p.kind for p in unread(self.original(data_id))}:
            raise BadInput("This can't be fixed here.", "", "Correct the file, then add it again.")
        self.update(data_id, lambda info: info.accept(kind, rows))

    def refuse(self, data_id: str, kind: str, rows: RowChoice = "all") -> None:
        """Leaves rows with this kind of problem as they are."""
        self._validate(data_id, kind, rows)
        self.update(data_id, lambda info: info.refuse(kind, rows))

    def undo(self, data_id: str, kind: str) -> None:
        """Forgets what was accepted or refused for one kind of problem."""
        self.update(data_id, lambda info: info.undo(kind))

    def _validate(self, data_id: str, kind: str, rows: RowChoice) -> None:
        """Raises BadInput for an unknown kind or row: both come from a browser and are stored."""
        original = self.original(data_id)
        known = kind in ISSUE_TYPES or kind in WHOLE_FILE_FIXES or any(kind == p.kind for p in original.problems)
        if not known or (rows != "all" and not all(1 <= row <= original.highest for row in rows)):
            raise BadInput("There is no such problem in these examples.", "", "Reload the page.")

    def set_validation(self, data_id: str, path: Path, name: str) -> None:
        """Stores a copy of a validation file. Raises BadInput, changing nothing, when it does not fit."""
        before = self.info(data_id)
        require_compatible(self._files.load_validation(path, name, before.read_options), self.original(data_id))
        file = f"validation-{new_id()}"
        copy = child_path(self._root, data_id) / file
        try:
            shutil.copyfile(path, copy)
            fsync(copy)
            self.update(data_id, lambda info: replace(info, validation={"name": name, "file": file}))
        except BaseException as error:
            with suppress(OSError):
                copy.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise not_saved("The validation file", error) from error
            raise
        self._delete_validation(data_id, before)

    def clear_validation(self, data_id: str) -> None:
        """Removes the validation file; part of the examples is set aside again instead."""
        before = self.info(data_id)
        self.update(data_id, lambda info: replace(info, validation={}))
        self._delete_validation(data_id, before)

    def _delete_validation(self, data_id: str, info: DatasetInfo) -> None:
        if info.validation:
            with suppress(OSError):  # nothing refers to it any more
                child_path(self._root / data_id, info.validation["file"]).unlink(missing_ok=True)

    def _validation(self, data_id: str, info: DatasetInfo, options: Options) -> Dataset | None:
        if not info.validation:
            return None
        return self._files.validation(data_id, info.validation["name"], info.validation["file"], options)


def _require_unedited(info: DatasetInfo) -> None:
    if info.edits:
        raise BadInput(
            "This file can't be read another way now.",
            "You edited its examples, and these edits would be lost.",
            "Undo them first, or add the file again.",
        )


def not_saved(what: str, error: OSError) -> WorkspaceProblem:
    """The error when `what` could not be written."""
    return WorkspaceProblem(f"{what} could not be saved.", *disk_words(error))
