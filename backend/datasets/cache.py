"""A cache of the most recent datasets."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

MAX_ROWS, MAX_ENTRIES = 300_000, 6

Key = tuple[Any, ...]  # starts with the dataset's id
Value = TypeVar("Value")


class RecentCache(Generic[Value]):
    """The newest values, at most MAX_ENTRIES with MAX_ROWS rows together; the newest stays whatever its size."""

    def __init__(self) -> None:
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        value = self._values.get(key)
        return value[0] if value else None

    def put(self, key: Key, value: Value, rows: int = 0) -> None:
        """Stores a value as the newest. rows: how many rows it keeps in memory."""
        with self._lock:
            self._values[key] = value, rows
            self._values.move_to_end(key)
            total = 0
            for place, old in enumerate(reversed(list(self._values))):
                total += self._values[old][1]
                if place and (place >= MAX_ENTRIES or total > MAX_ROWS):
                    del self._values[old]

    def discard(self, data_id: str) -> None:
        """Drops everything of one dataset."""
        with self._lock:
            for key in [key for key in self._values if key[0] == data_id]:
                del self._values[key]
