"""Processes that compute for a demo's page: `python -m ui.services.demo.processes
NICENESS`.

Python lets one thread of a process compute at a time. In the page's own process, a few
long texts of one visitor would have everybody's clicks wait. Here they take turns, and
only short ones have the page's priority.
"""

import hashlib
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
from functools import partial
from importlib import import_module
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import IO, Any, TypeVar

from backend import child_process
from backend.datasets.background import NO_PROGRESS, ProgressListener, held
from backend.errors import ApprenticeError, BadInput, NotYet
from backend.hardware.process import lower_priority
from backend.records.base import Record
from backend.records.reading import Cancelled
from backend.records.units import KIB, MIB
from backend.tokens import frames
from backend.tokens.tokenizer import ChatTokenizer

MEMORY = 1024 * MIB  # bytes in use
_ADDRESSES = 4 * MEMORY
SECONDS = 20.0  # of processor time for one piece of work
_BUSY = 3.0  # so many times as long by the clock, while training runs
ANSWER = 32 * MIB  # bytes
PATIENCE = 10.0  # seconds, by the clock, that somebody waits for an answer
_MOMENT, _PATIENT = 0.5, 4  # seconds that all others wait; who may wait long
_TOO_LONG = (
    "This took too long and was stopped.",
    "Others may be using this demo.",
    "Try again in a minute, or use less.",
)
_SHORT = 64 * KIB  # bytes of a file
_LATER = 12  # niceness: a lower priority than that of the page, and a little lower than that of training
_CANCELLED, _OUT_OF_MEMORY = "cancelled", 3  # the latter is an exit code
_MADE = (
    Record,
    Exception,
    date,
    time,
    timedelta,
    Decimal,
)  # the latter in cells of a table

T = TypeVar("T")


class Waiting:
    """How one visitor waits for the processes. turn: held by the one piece of work of
    theirs that stands in line
    """

    _long = threading.Semaphore(_PATIENT)  # of all visitors

    def __init__(self) -> None:
        self.turn, self._own = threading.Lock(), threading.Lock()

    @contextmanager
    def patience(self) -> Iterator[float]:
        """The seconds that somebody may wait for what is done within. Only a few may
        wait long, and one of each visitor: else they would hold all threads that answer
        clicks.
        """
        own = self._own.acquire(blocking=False)
        long = own and self._long.acquire(blocking=False)
        try:
            yield PATIENCE if long else _MOMENT
        finally:
            if long:
                self._long.release()
            if own:
                self._own.release()


class Processes:
    """One process each for short texts, for other files, and for advice; each is
    started when it is needed.
    """

    def __init__(self) -> None:
        self._short, self._long, self._advice = (
            _Process(0),
            _Process(_LATER),
            _Process(_LATER),
        )

    def start(self) -> None:
        """Starts all, which takes some seconds, in the background."""
        for process in (self._short, self._long, self._advice):
            threading.Thread(
                target=process.run, args=(NO_PROGRESS, str), daemon=True
            ).start()

    def read(
        self,
        waiting: Waiting,
        listener: ProgressListener,
        do: Callable[[ProgressListener], T],
        path: Path,
    ) -> T:
        """What `do`, a function of a module or a partial one, returns; it reports no
        progress. Raises what it raises; Cancelled; BadInput at a limit of time or
        memory; NotYet where somebody waits for it, as nothing listens.

        waiting: of the visitor whose file it is
        path: the file that it reads or checks
        """
        with path.open("rb") as file:
            start = file.read(_SHORT + 1)
        packed = b"\0" in start or start.startswith(b"%PDF")
        process = self._long if packed or len(start) > _SHORT else self._short

        def run(listener: ProgressListener) -> T:
            with held(waiting.turn, listener):
                return process.run(listener, partial(do, NO_PROGRESS))

        if listener is not NO_PROGRESS:
            return run(listener)
        try:
            with waiting.patience() as seconds:
                return run(_Awaited(seconds))
        except Cancelled:
            raise NotYet(*_TOO_LONG) from None

    def advise(self, do: Callable[[], T]) -> T:
        """As `read`, where no file is read, and nobody waits."""
        return self._advice.run(NO_PROGRESS, do)


class _Awaited(ProgressListener):
    """Of work that somebody waits for: cancels it if it takes long."""

    def __init__(self, seconds: float) -> None:
        self._until = monotonic() + seconds

    def cancelled(self) -> bool:
        return monotonic() > self._until


class _Process:
    """Works for one at a time."""

    def __init__(self, niceness: int) -> None:
        self._niceness, self._turn = niceness, threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._sent: set[str] = set()

    def run(self, listener: ProgressListener, do: Callable[[], T]) -> T:
        with held(self._turn, listener):
            listener.start_phase("Reading and checking")
            done, value = self._exchange(do, listener)
        if not done:
            raise value
        made: T = value
        return made

    def _exchange(
        self, do: Callable[[], object], listener: ProgressListener
    ) -> tuple[bool, Any]:
        if self._child is None or self._child.poll() is not None:
            arguments = ["-m", "ui.services.demo.processes", str(self._niceness)]
            self._child = child_process.start(
                arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._sent.clear()
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        _Request(request := BytesIO(), self._sent).dump(do)

        def cancelled() -> str:
            return _CANCELLED if listener.cancelled() else ""

        watch = child_process.Watch(
            child, MEMORY, _BUSY * SECONDS, SECONDS, poll=cancelled
        )
        try:
            with closing(watch):
                frames.write(child.stdin, b"0", request.getvalue())
                done, answer = frames.read(child.stdout, ANSWER)
                value = _Answer(BytesIO(answer)).load()
                if not (done is True or isinstance(value, Exception)):
                    raise pickle.UnpicklingError("no answer")
                return done, value
        except (
            Exception
        ) as fault:  # what is left in the pipe would be taken for the next answer
            child_process.kill(child)
            if watch.why == _CANCELLED:
                raise Cancelled from fault
            no_memory = (
                isinstance(fault, frames.TooLong) or child.returncode == _OUT_OF_MEMORY
            )
            if why := watch.why or ("too much memory" if no_memory else ""):
                less = "Use fewer or shorter examples. On your own computer there is no such limit."
                raise BadInput(
                    "This is too much for this demo.",
                    f"It was stopped: it takes {why}.",
                    less,
                ) from fault
            ended = "The process that did it ended unexpectedly."
            raise BadInput(
                "This could not be done.",
                ended,
                "Try it once more, or use another file.",
            ) from fault


class _Request(pickle.Pickler):
    """Sends a tokenizer, which has megabytes, only once. sent: digests of those that
    the process has.
    """

    def __init__(self, file: IO[bytes], sent: set[str]) -> None:
        super().__init__(file)
        self._sent = sent

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, ChatTokenizer):
            return NotImplemented
        make, about = value.__reduce__()
        digest = hashlib.sha256(pickle.dumps(about)).hexdigest()
        new = digest not in self._sent
        self._sent.add(digest)
        return _tokenizer, (digest, *((make, about) if new else ()))


_tokenizers: dict[str, ChatTokenizer] = {}


def _tokenizer(
    digest: str,
    make: Callable[..., ChatTokenizer] | None = None,
    about: tuple[Any, ...] = (),
) -> Any:
    """In the process: a tokenizer, sent now or before."""
    if make:
        _tokenizers[digest] = make(*about)
    return _tokenizers[digest]


class _Answer(pickle.Unpickler):
    """Makes records and errors of this app, and values in them. It calls nothing else
    that an answer names; but a child that was taken over has this account's rights
    without that.
    """

    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "datetime", "decimal") or module.startswith(
            "backend."
        ):
            made = super().find_class(module, name)
            if isinstance(made, type) and (
                is_dataclass(made) or issubclass(made, _MADE)
            ):
                return made
        raise pickle.UnpicklingError(f"{module}.{name}")


def _answer(do: Callable[[], Any]) -> tuple[bytes, bytes]:
    try:
        return b"true", pickle.dumps(do())
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    except (ApprenticeError, OSError) as error:
        return b"false", pickle.dumps(error)
    except Exception:
        return b"false", pickle.dumps(
            RuntimeError(traceback.format_exc())
        )  # for the page's log


def main(niceness: int) -> None:
    """Does what is asked until the parent closes the pipe."""
    out = child_process.for_answers()
    child_process.limit_memory(_ADDRESSES)
    lower_priority(niceness)
    import_module("backend.datasets.store")  # before somebody waits for it
    with suppress(EOFError):
        while True:
            do = pickle.loads(frames.read(sys.stdin.buffer)[1])  # noqa: S301 - the page sent it
            frames.write(out, *_answer(do))


if __name__ == "__main__":
    main(int(sys.argv[1]))
