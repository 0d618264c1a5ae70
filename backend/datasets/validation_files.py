"""A validation file that a person adds, used instead of a part of the examples."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backend.datasets.dataset import require_compatible
from backend.datasets.info import DatasetInfo
from backend.datasets.store import DatasetStore
from backend.datasets.stored_info import not_saved
from backend.files.atomic import fsync
from backend.settings import child_path, new_id


class ValidationFiles:
    """The validation files of the datasets in a store."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def set(self, data_id: str, path: Path, name: str) -> None:
        """Stores a copy of a validation file. Raises BadInput, changing nothing, when it does not fit."""
        before = self._store.info.read(data_id)
        examples = self._store.original(data_id)
        require_compatible(self._store.files.load_validation(path, name, before.read_options), examples)
        file = f"validation-{new_id()}"
        copy = self._store.folder(data_id) / file
        try:
            shutil.copyfile(path, copy)
            fsync(copy)
            self._store.info.update(data_id, lambda info: replace(info, validation={"name": name, "file": file}))
        except BaseException as error:
            with suppress(OSError):
                copy.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise not_saved("The validation file", error) from error
            raise
        self._delete(data_id, before)

    def clear(self, data_id: str) -> None:
        """Removes the validation file; part of the examples is set aside again instead."""
        before = self._store.info.read(data_id)
        self._store.info.update(data_id, lambda info: replace(info, validation={}))
        self._delete(data_id, before)

    def _delete(self, data_id: str, info: DatasetInfo) -> None:
        if info.validation:
            with suppress(OSError):  # nothing refers to it any more
                child_path(self._store.folder(data_id), info.validation["file"]).unlink(missing_ok=True)
