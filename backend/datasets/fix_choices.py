"""The fixes that a person accepts or refuses: checked before they are stored, because they come from a browser."""

from __future__ import annotations

from backend.datasets.checks.fix import FIXABLE, WHOLE_FILE_FIXES
from backend.datasets.checks.issues import ISSUE_TYPES
from backend.datasets.dataset import unread
from backend.datasets.info import RowChoice
from backend.datasets.store import DatasetStore
from backend.errors import BadInput


class FixChoices:
    """The fixes of the datasets in a store. Every method raises BadInput for what can't be done, changing nothing."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def accept(self, data_id: str, kind: str, rows: RowChoice) -> None:
        """Accepts the fix of one kind of problem for more rows; "all" skips rows that were refused one by one."""
        self._validate(data_id, kind, rows)
        if kind not in FIXABLE and kind not in {p.kind for p in unread(self._store.original(data_id))}:
            raise BadInput("This can't be fixed here.", "", "Correct the file, then add it again.")
        self._store.info.update(data_id, lambda info: info.accept(kind, rows))

    def refuse(self, data_id: str, kind: str, rows: RowChoice = "all") -> None:
        """Leaves rows with this kind of problem as they are."""
        self._validate(data_id, kind, rows)
        self._store.info.update(data_id, lambda info: info.refuse(kind, rows))

    def undo(self, data_id: str, kind: str) -> None:
        """Forgets what was accepted or refused for one kind of problem."""
        self._store.info.update(data_id, lambda info: info.undo(kind))

    def _validate(self, data_id: str, kind: str, rows: RowChoice) -> None:
        """Raises BadInput for an unknown kind or row."""
        original = self._store.original(data_id)
        exists = kind in ISSUE_TYPES or kind in WHOLE_FILE_FIXES or any(kind == p.kind for p in original.problems)
        if not exists or (rows != "all" and not all(1 <= row <= original.highest for row in rows)):
            raise BadInput("There is no such problem in these examples.", "", "Reload the page.")
