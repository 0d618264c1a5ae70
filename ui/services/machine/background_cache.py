"""Answers that take seconds to compute, computed in the background so that the page
never waits.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")
_MAX_VALUES = 64


class BackgroundCache(Generic[Value]):
    """Values by key, each computed once, one at a time in a thread, the latest request
    first.
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, Value | Exception | None] = {}
        self._requests: list[tuple[Hashable, Callable[[], Value]]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value | None:
        """The value for `key`; None while it is computed. Raises what `compute` raised
        once, then computes it again.
        """
        with self._lock:
            if key not in self._values:
                computed = [
                    old for old, value in self._values.items() if value is not None
                ]
                for old in computed[: max(0, len(self._values) + 1 - _MAX_VALUES)]:
                    del self._values[old]
                self._values[key] = None
                self._requests.append((key, compute))
                if (
                    len(self._requests) > _MAX_VALUES
                ):  # whoever still waits for the oldest asks again
                    del self._values[self._requests.pop(0)[0]]
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._work, name="background-cache", daemon=True
                    )
                    self._thread.start()
            value = self._values[key]
            if isinstance(value, Exception):
                del self._values[key]
                raise value
            return value

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._requests:
                    self._thread = None
                    return
                key, compute = self._requests.pop()
            try:
                value: Value | Exception = compute()
            except Exception as error:
                value = error
            with self._lock:
                self._values[key] = value
