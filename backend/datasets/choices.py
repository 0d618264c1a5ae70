"""What a person chooses for a stored dataset: which fixes are applied, and a validation
file instead of a part of the examples. Choices come from a browser, so they are checked
before they are stored.
"""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backend.datasets.background import NO_PROGRESS, ProgressListener
from backend.datasets.checks.fix import FIXABLE, WHOLE_FILE_FIXES, unread
from backend.datasets.checks.issues import GUESSES, ISSUE_TYPES
from backend.datasets.dataset import require_compatible
from backend.datasets.info import DatasetInfo, RowChoice, RowsByKind, saving
from backend.datasets.store import DatasetStore, store_copy
from backend.errors import BadInput
from backend.settings import child_path, new_id


class FixChoices:
    """The fixes of the datasets in a store. Every method raises BadInput for what can't
    be done, changing nothing.
    """

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def accept(self, data_id: str, kind: str, rows: RowChoice) -> None:
        """Accepts the fix of one kind of problem for more rows; "all" skips rows that
        were refused one by one.
        """
        self._validate(data_id, kind, rows)
        if kind not in FIXABLE and kind not in {
            p.kind for p in unread(self._store.original(data_id))
        }:
            raise BadInput(
                "This can't be fixed here.", "", "Correct the file, then add it again."
            )
        self._store.info.update(data_id, lambda info: info.accept(kind, rows))

    def refuse(self, data_id: str, kind: str, rows: RowChoice = "all") -> None:
        """Leaves rows with this kind of problem as they are."""
        self._validate(data_id, kind, rows)
        self._store.info.update(data_id, lambda info: info.refuse(kind, rows))

    def confirm_reading(self, data_id: str) -> None:
        """Says that the file was read as it should be, whatever of that was a guess."""
        guesses: RowsByKind = dict.fromkeys(GUESSES, "all")
        self._store.info.update(
            data_id, lambda info: replace(info, refused=info.refused | guesses)
        )

    def undo(self, data_id: str, kind: str) -> None:
        """Forgets what was accepted or refused for one kind of problem."""
        self._store.info.update(data_id, lambda info: info.undo(kind))

    def _validate(self, data_id: str, kind: str, rows: RowChoice) -> None:
        """Raises BadInput for an unknown kind or row."""
        original = self._store.original(data_id)
        exists = (
            kind in ISSUE_TYPES
            or kind in WHOLE_FILE_FIXES
            or any(kind == p.kind for p in original.problems)
        )
        if not exists or (
            rows != "all" and not all(1 <= row <= original.highest for row in rows)
        ):
            raise BadInput(
                "There is no such problem in these examples.", "", "Reload the page."
            )


class ValidationFiles:
    """The validation files of the datasets in a store."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def set(
        self,
        data_id: str,
        path: Path,
        name: str,
        listener: ProgressListener = NO_PROGRESS,
    ) -> None:
        """Stores a copy of a validation file. Raises BadInput, changing nothing, when
        it does not fit; Cancelled.
        """
        before = self._store.info.read(data_id)
        file = f"validation-{new_id()}"
        copy = self._store.folder(data_id) / file
        with saving("The validation file", lambda: copy.unlink(missing_ok=True)):
            store_copy(
                path, copy
            )  # before it is read: an upload may be deleted meanwhile
            new = self._store.files.new_validation(
                copy, name, before.read_options, listener
            )
            require_compatible(new, self._store.original(data_id, listener))
            self._store.info.update(
                data_id,
                lambda info: replace(info, validation={"name": name, "file": file}),
            )
        self._delete(data_id, before)

    def clear(self, data_id: str) -> None:
        """Removes the validation file; part of the examples is set aside again instead."""
        before = self._store.info.read(data_id)
        self._store.info.update(data_id, lambda info: replace(info, validation={}))
        self._delete(data_id, before)

    def _delete(self, data_id: str, info: DatasetInfo) -> None:
        if info.validation:
            with suppress(OSError):  # nothing refers to it any more
                child_path(self._store.folder(data_id), info.validation["file"]).unlink(
                    missing_ok=True
                )
