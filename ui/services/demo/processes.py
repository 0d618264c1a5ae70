"""Processes that compute for a demo's page: `python -m ui.services.demo.processes NICENESS`.

Python lets one thread of a process compute at a time. In the page's own process, a few long texts of one visitor would
have everybody's clicks wait. Here they take turns, and only short ones have the page's priority."""

import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from backend import child_process
from backend.datasets.background import NO_PROGRESS, ProgressListener
from backend.errors import ApprenticeError, BadInput
from backend.hardware.process import lower_priority
from backend.records.base import Record
from backend.records.reading import Cancelled
from backend.records.units import KIB, MIB

MEMORY = 1024 * MIB  # bytes in use
_ADDRESSES = 4 * MEMORY
SECONDS = 20.0  # of processor time for one piece of work
_PATIENCE = 3.0  # so many times as long by the clock, while training runs
_LOOK = 0.1  # seconds between two looks at whether somebody who waits has cancelled
_SHORT = 64 * KIB  # bytes of a file
_LATER = 12  # niceness: a lower priority than that of the page, and a little lower than that of training
_CANCELLED = "cancelled"
_MADE = (Record, Exception, date, time, timedelta, Decimal)  # the latter in cells of a table

T = TypeVar("T")


class Processes:
    """One process each for short texts, for other files, and for advice; each is started when it is needed."""

    def __init__(self) -> None:
        self._short, self._long, self._advice = _Process(0), _Process(_LATER), _Process(_LATER)

    def start(self) -> None:
        """Starts all, which takes some seconds, in the background."""
        for process in (self._short, self._long, self._advice):
            threading.Thread(target=process.run, args=(NO_PROGRESS, str), daemon=True).start()

    def read(self, turn: threading.Lock, listener: ProgressListener, do: Callable[..., T], path: Path) -> T:
        """What `do`, a function of a module or a partial one, returns; it reports no progress. Raises what it raises;
        Cancelled; BadInput at a limit of time or memory.

        turn: of one visitor, who waits in line with one piece of work at a time
        path: the file that it reads or checks
        """
        with path.open("rb") as file:
            start = file.read(_SHORT + 1)
        packed = b"\0" in start or start.startswith(b"%PDF")
        process = self._long if packed or len(start) > _SHORT else self._short
        with _held(turn, listener):
            return process.run(listener, do)

    def advise(self, do: Callable[[], T]) -> T:
        """As `read`, where no file is read."""
        return self._advice.run(NO_PROGRESS, do)


class _Process:
    """Works for one at a time."""

    def __init__(self, niceness: int) -> None:
        self._niceness, self._turn = niceness, threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, listener: ProgressListener, do: Callable[..., T]) -> T:
        with _held(self._turn, listener):
            listener.start_phase("Reading and checking")
            done, value = self._exchange(pickle.dumps(do), listener)
        if not done:
            raise value
        made: T = value
        return made

    def _exchange(self, request: bytes, listener: ProgressListener) -> tuple[bool, Any]:
        if self._child is None or self._child.poll() is not None:
            arguments = ["-m", "ui.services.demo.processes", str(self._niceness)]
            self._child = child_process.start(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        watch = child_process.Watch(
            child, MEMORY, _PATIENCE * SECONDS, SECONDS, poll=lambda: _CANCELLED * listener.cancelled()
        )
        with closing(watch):
            try:
                child.stdin.write(request)
                child.stdin.flush()
                done, value = _Answer(child.stdout).load()
                if not (done is True or isinstance(value, Exception)):
                    raise pickle.UnpicklingError("no answer")
                return done, value
            except Exception as fault:  # what is left in the pipe would be taken for the next answer
                child_process.kill(child)
                if watch.why == _CANCELLED:
                    raise Cancelled from fault
                why = f"It was stopped: it takes {watch.why}." if watch.why else "The process that did it ended."
                next_ = "Use less. On your own computer there is no such limit."
                raise BadInput("This is too much for this demo.", why, next_) from fault


class _Answer(pickle.Unpickler):
    """Makes records and errors of this app, and values in them: otherwise a compromised child could call anything."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "datetime", "decimal") or module.startswith("backend."):
            made = super().find_class(module, name)
            if isinstance(made, type) and (is_dataclass(made) or issubclass(made, _MADE)):
                return made
        raise pickle.UnpicklingError(f"{module}.{name}")


@contextmanager
def _held(lock: threading.Lock, listener: ProgressListener) -> Iterator[None]:
    if not lock.acquire(blocking=False):
        listener.start_phase("Waiting for its turn")
        while not lock.acquire(timeout=_LOOK):
            if listener.cancelled():
                raise Cancelled
    try:
        yield
    finally:
        lock.release()


def _answer(do: Callable[[], Any]) -> bytes:
    try:
        return pickle.dumps((True, do()))
    except MemoryError:
        os._exit(1)  # a limit, as the parent's
    except (ApprenticeError, OSError) as error:
        return pickle.dumps((False, error))
    except Exception:
        return pickle.dumps((False, RuntimeError(traceback.format_exc())))  # for the page's log


def main(niceness: int) -> None:
    """Does what is asked until the parent closes the pipe."""
    out = child_process.for_answers()
    child_process.limit_memory(_ADDRESSES)
    lower_priority(niceness)
    import_module("backend.datasets.store")  # before somebody waits for it
    with suppress(EOFError):
        while True:
            out.write(_answer(pickle.load(sys.stdin.buffer)))  # noqa: S301 - the page sent it
            out.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
