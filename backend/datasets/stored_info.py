"""The facts of datasets: <dataset>/info.json, changed by one thread or process at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

from filelock import FileLock

from backend.datasets.info import DatasetInfo
from backend.errors import BadInput, WorkspaceProblem
from backend.files.atomic import write_text
from backend.files.disk_errors import disk_words
from backend.settings import child_path


class StoredInfo:
    """The facts in the folders of datasets. lock: held while they change."""

    def __init__(self, root: Path, lock: threading.RLock) -> None:
        self._root, self._lock = root, lock

    def read(self, data_id: str) -> DatasetInfo:
        """The stored facts. Raises BadInput when the dataset does not exist."""
        try:
            stored = json.loads((child_path(self._root, data_id) / "info.json").read_text("utf-8"))
            names = {field.name for field in fields(DatasetInfo)}
            return DatasetInfo(**{name: value for name, value in stored.items() if name in names})
        except (OSError, ValueError, TypeError) as error:
            raise BadInput("These examples are no longer here.", "", "Add them again.") from error

    def update(self, data_id: str, change: Callable[[DatasetInfo], DatasetInfo]) -> None:
        """Replaces the facts with what `change` makes of them; no other thread or process changes them meanwhile.
        Raises BadInput when the dataset does not exist, and WorkspaceProblem when the disk can't be written."""
        self.read(data_id)
        try:
            with self._lock, FileLock(child_path(self._root, data_id) / ".lock"):
                self.write(data_id, change(self.read(data_id)))
        except OSError as error:
            raise not_saved("This", error) from error

    def restore(self, data_id: str, before: DatasetInfo) -> None:
        """Restores the read options and the accepted and refused fixes of `before`."""

        def change(info: DatasetInfo) -> DatasetInfo:
            read = before.read_options
            return replace(info, read_options=read, accepted=before.accepted, refused=before.refused)

        self.update(data_id, change)

    def write(self, data_id: str, info: DatasetInfo) -> None:
        """Stores the facts of a new dataset. Raises OSError."""
        write_text(child_path(self._root, data_id) / "info.json", json.dumps(asdict(info), ensure_ascii=False))


def not_saved(what: str, error: OSError) -> WorkspaceProblem:
    """The error when `what` could not be written."""
    return WorkspaceProblem(f"{what} could not be saved.", *disk_words(error))
