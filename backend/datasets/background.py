"""Reading and checking in threads of the app: how far each is, a way to cancel it, and what came of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from backend.datasets.options import Cancelled
from backend.records.rows import DataSet

_REMEMBERED = 32  # works that have ended


class Watch:
    """What long work tells and asks on its way. This one tells nobody and never cancels."""

    def entered(self, phase: str) -> Callable[[float], None]:
        """A new phase begins; gives what is to be told its fraction, 0 to 1."""
        return lambda fraction: None

    def began(self, first: DataSet) -> None:
        """The first rows are read."""

    def cancelled(self) -> bool:
        """Whether to give up; whoever asks raises Cancelled."""
        return False


NOBODY = Watch()


class Work(Watch):
    """One piece of work in a thread of its own.

    phase, fraction: what it does now and how far that is. first: the first rows, while it works. error: why it
    failed; None while it works, when it went well and when it was cancelled. What it gives is not kept.
    """

    def __init__(self, name: str, do: Callable[[Work], Any]) -> None:
        self.name, self.phase, self.fraction = name, "", 0.0
        self.first: DataSet | None = None
        self.error: Exception | None = None
        self._cancel, self._ended = threading.Event(), threading.Event()
        threading.Thread(target=self._run, args=(do,), name="reading", daemon=True).start()

    def _run(self, do: Callable[[Work], Any]) -> None:
        try:
            do(self)
        except Cancelled:
            pass
        except Exception as error:
            self.error = error
        finally:
            self.first = None
            self._ended.set()

    def entered(self, phase: str) -> Callable[[float], None]:
        self.phase, self.fraction = phase, 0.0

        def tell(fraction: float) -> None:
            self.fraction = fraction

        return tell

    def began(self, first: DataSet) -> None:
        self.first = first

    def cancel(self) -> None:
        """Asks it to give up, which it does soon."""
        self._cancel.set()

    def cancelled(self) -> bool:
        return self._cancel.is_set()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for its end, at most `seconds`; whether it has come."""
        return self._ended.wait(seconds)


class Works:
    """The works of one app by key. What asks for the same twice gets the same work."""

    def __init__(self) -> None:
        self._works: OrderedDict[Hashable, Work] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Work | None:
        return self._works.get(key)

    def begin(self, key: Hashable, name: str, do: Callable[[Work], Any]) -> Work:
        """The work under `key`; begun now unless it is being done."""
        with self._lock:
            known = self._works.get(key)
            if known is None or known.ended:
                self._works[key] = known = Work(name, do)
                ended = [key for key, work in self._works.items() if work.ended]
                for old in ended[:-_REMEMBERED]:
                    del self._works[old]
            return known

    def on(self, data_id: str) -> list[Work]:
        """The works under this key, or under one that begins with it."""
        with self._lock:
            works = list(self._works.items())
        return [work for key, work in works if data_id == (key[0] if isinstance(key, tuple) else key)]

    def cancel_all(self) -> None:
        for work in list(self._works.values()):
            work.cancel()
