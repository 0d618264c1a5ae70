"""A thread that repeats an action."""

import logging
import threading
from collections.abc import Callable

from backend.errors import ApprenticeError

log = logging.getLogger(__name__)


class RepeatingThread:
    """Calls `action` every so many seconds, whatever it raises, and sooner once `wake`
    is set.
    """

    def __init__(self, name: str, action: Callable[[], None], seconds: float) -> None:
        self.wake = threading.Event()
        self._name, self._action, self._seconds = name, action, seconds
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Repeat until `close`."""
        if self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(
                target=self._loop, name=self._name, daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """End the thread, once the action in progress has ended."""
        self._closing.set()
        self.wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while True:
            self.wake.wait(self._seconds)
            self.wake.clear()
            if self._closing.is_set():
                return
            try:
                self._action()
            except ApprenticeError as error:
                log.warning("%s: %s", self._name, error)
            except Exception:
                log.exception("%s failed once", self._name)
