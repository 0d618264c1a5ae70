"""What takes seconds to work out, worked out beside the page: nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Found = TypeVar("Found")
_KEPT = 64  # answers


class Comparing(Generic[Found]):
    """Answers by what they depend on, each worked out once, in a thread of its own, the latest question first."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Found | Exception | None] = {}
        self._asked: list[tuple[Hashable, Callable[[], Found]]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def get(self, question: Hashable, work: Callable[[], Found]) -> Found | None:
        """The answer to `question`, None while `work` is looking for it.

        Raises what `work` raised, once: the next time it is tried anew.
        """
        with self._lock:
            if question not in self._found:
                self._forget()
                self._found[question] = None
                self._asked.append((question, work))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="comparing", daemon=True)
                    self._thread.start()
            answer = self._found[question]
            if isinstance(answer, Exception):
                del self._found[question]
                raise answer
            return answer

    def _forget(self) -> None:
        """Makes room for another answer: the oldest that was found goes."""
        if len(self._found) >= _KEPT:
            oldest = next((question for question, answer in self._found.items() if answer is not None), None)
            self._found.pop(oldest, None)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._asked:
                    self._thread = None
                    return
                question, work = self._asked.pop()
            try:
                answer: Found | Exception = work()
            except Exception as error:
                answer = error
            with self._lock:
                self._found[question] = answer
