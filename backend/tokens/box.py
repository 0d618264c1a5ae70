"""A box: a child process in which one tokenizer and chat template run, within limits.
Nearly all are programs by strangers. One step of theirs in C may never end or take all
the memory, and nothing in the process that runs it can interrupt it: so the parent
looks at the child's memory and processor time while it waits.
"""

import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from backend import child_process
from backend.errors import ApprenticeError, BadInput, MissingPart
from backend.records.units import MIB
from backend.tokens import frames

MEMORY = (
    2048 * MIB
)  # bytes in use; the tokenizers of a quarter of a million tokens take some 500 MiB
_ADDRESSES = 2 * MEMORY
LOADING = 15.0  # seconds of processor time; some take two
TRIAL = 2.0  # the same, for one short conversation
SECONDS = 10.0  # the same, for a short request
_SECONDS_A_MIB = 40.0  # more for one with so much text; quick tokenizers take about one
_PATIENCE = 6.0  # so many times as long by the clock, for a busy computer
_ANSWER = 64  # bytes of an answer for each byte of a request; a token takes eight
_SHORT_ANSWER = 64 * MIB
_LONG = (
    4 * MIB
)  # bytes of a request that may be to blame itself; tokenizers take some 150 for each
_CRASHES = 3  # after which a box is not started again

T = TypeVar("T")


class Box:
    """One process. Passing a limit, which would happen again, ends the use of the box;
    so do a few crashes, or long requests that pass one.
    """

    def __init__(
        self, tokenizer: str, template: str, specials: tuple[tuple[str, str], ...]
    ) -> None:
        self._opening = frames.pack(["open", tokenizer, template, dict(specials)])
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._failure: ApprenticeError | None = None
        self._crashes = 0

    def open(self) -> None:
        """Starts the process and has it use the tokenizer and the template once. Raises
        what `ask` raises, and the same ever after if that fails.
        """
        with self._lock:
            self._open()

    def ask(self, made: Callable[..., T], name: str, *arguments: Any) -> T:
        """What `made` makes of the answer to a request, and of the bytes that follow
        it; it raises TypeError or ValueError if that can't be one. Raises the error
        that is the answer; BadInput at a limit.
        """
        request = frames.pack([name, *arguments])
        with self._lock:
            self._open()
            return self._exchange(request, made)

    def _open(self) -> None:
        if (
            self._child is not None and self._child.poll() is not None
        ):  # the system ended it between two requests
            self._child = None
        if self._child is None and not self._failure:
            try:
                self._exchange(self._opening, bool, LOADING)
                self._exchange(frames.pack(["try_once"]), bool, TRIAL)
            except ApprenticeError as error:
                self._failure = error
        if self._failure:
            raise self._failure

    def _exchange(
        self, request: bytes, made: Callable[..., T], limit: float = 0.0
    ) -> T:
        """limit: seconds of processor time; 0 for those that the request's text takes."""
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        seconds = limit or SECONDS + _SECONDS_A_MIB * len(request) / MIB
        try:
            with closing(
                child_process.Watch(child, MEMORY, _PATIENCE * seconds, seconds)
            ) as watch:
                frames.write(child.stdin, request)
                (kind, value), more = frames.read(
                    child.stdout, _SHORT_ANSWER + _ANSWER * len(request)
                )
            if kind == "done":
                return made(value, more) if more else made(value)
            error = error_of(value)
        except (
            OSError,
            EOFError,
            ValueError,
            TypeError,
            AttributeError,
            LookupError,
            ArithmeticError,
        ) as fault:
            raise self._ended(
                child, watch, not limit and len(request) > _LONG
            ) from fault
        except BaseException:  # Ctrl-C: the answer that is still to come would be taken for that of the next request
            child_process.kill(child)
            self._child = None
            raise
        raise error

    def _start(self) -> subprocess.Popen[bytes]:
        self._child = child_process.start(
            ["-m", "backend.tokens.box_child", str(_ADDRESSES)],
            {"MALLOC_ARENA_MAX": "2"},  # each takes 64 MiB of addresses
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._child

    def _ended(
        self, child: subprocess.Popen[bytes], watch: child_process.Watch, is_long: bool
    ) -> BadInput:
        child_process.kill(child)
        self._child, self._crashes = None, self._crashes + 1
        failure = BadInput(
            "This model's chat template or tokenizer asks for too much time or memory."
            if watch.why
            else "This model's chat template or tokenizer failed.",
            f"It was stopped: it takes {watch.why}."
            if watch.why
            else "Its process ended.",
            "Choose another model, or split the longest example."
            if is_long
            else "Choose another model.",
        )
        if (watch.why and not is_long) or self._crashes == _CRASHES:
            self._failure = failure
        return failure


def error_of(values: Any) -> ApprenticeError:
    """The error that a box answers with: [class, what, why, next]. Raises TypeError if
    it is none.
    """
    kind = {"MissingPart": MissingPart}.get(values[0], BadInput)
    return kind(*map(str, values[1:4]))
