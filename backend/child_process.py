"""Child processes that never outlive this one, whatever they are doing when it ends.

A watchdog (watchdog.py), one for each process that starts children, waits for the end
of a pipe that its parent holds open. The system closes the pipe on every platform when
the parent ends, even by SIGKILL, and the watchdog then kills the children.

    start, run, kill    in the parent
    end_with_us         for a process that was started otherwise
    Watch               in the parent: limits of a child
    receive             in the child: the lines that the parent writes to it
    for_answers         in the child: where its answers go
    limit_memory        in the child
"""

import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import psutil

from backend import watchdog
from backend.records.units import MIB, format_size
from backend.settings import PROJECT_ROOT, child_environment

_POLL = 0.5  # seconds
_LOOK = 0.05  # seconds
_NO_WINDOW = getattr(
    subprocess, "CREATE_NO_WINDOW", 0
)  # Windows; Ctrl-C is for the parent, whose end ends the child
_starting = threading.Lock()
_mark = secrets.token_hex(8)
_to_watchdog: int | None = None  # the end of its pipe that this process holds open
_watched: "set[Watch]" = set()
_looking: threading.Thread | None = None


def memory_used(process: psutil.Process) -> int:
    """Bytes that a process uses; on Windows at least those it has reserved, because the
    system trims what is resident. Mapped files are resident only.
    """
    memory = process.memory_info()
    return int(max(memory.rss, getattr(memory, "private", 0)))


class _Child(subprocess.Popen[bytes]):
    """A process that is killed, and its pipes closed, when nobody holds it any more."""

    def __del__(self) -> None:
        if hasattr(self, "pid"):  # it was started
            kill(self)
        super().__del__()


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Starts Python with `arguments` in the project's folder; it ends with this
    process. environment: variables to add to `child_environment`. options: of
    subprocess.Popen.
    """
    end_with_us()
    child = _Child(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        cwd=PROJECT_ROOT,
        env={**child_environment(), **(environment or {}), watchdog.VARIABLE: _mark},
        creationflags=_NO_WINDOW,
        **options,
    )
    end_with_us(child.pid)
    return child


def end_with_us(pid: int = 0) -> None:
    """Has the process `pid` killed when this one ends, however it ends. 0: only makes
    sure of a watchdog.
    """
    global _to_watchdog
    with _starting:
        for _ in range(2):  # a watchdog that somebody has killed is replaced
            if _to_watchdog is None:
                _to_watchdog = _start_watchdog()
            try:
                os.write(_to_watchdog, b"%d\n" % pid if pid else b"\n")
                return
            except OSError:
                _to_watchdog = None


def _start_watchdog() -> int:
    read, write = os.pipe()
    subprocess.Popen(
        [sys.executable, "-I", watchdog.__file__, _mark],
        stdin=read,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Without the mark of this process's own parent, whose watchdog would kill this
        # one before it has done its work.
        env={
            name: value
            for name, value in os.environ.items()
            if name != watchdog.VARIABLE
        },
        start_new_session=True,  # neither Ctrl-C nor a closed terminal reaches it
        creationflags=_NO_WINDOW,
    ).returncode = 0  # nobody waits for it
    os.close(read)
    return write


def _forget() -> None:
    """In a fork: it gets a watchdog of its own, with another mark, which would else
    kill the parent's children too. The parent's thread, which looks at them, is not
    there either.
    """
    global _starting, _mark, _to_watchdog, _looking
    if _to_watchdog is not None:
        os.close(_to_watchdog)
    _starting, _mark, _to_watchdog = threading.Lock(), secrets.token_hex(8), None
    _looking = None
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
    poll: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """Runs Python to its end; returns its exit code and everything it printed.

    arguments: as after `python`
    environment: variables besides those of a child without secrets
    timeout: seconds after which the child is killed, and subprocess.TimeoutExpired
        raised
    poll: called twice a second meanwhile; the child is killed when it raises something
    """
    with tempfile.TemporaryFile() as output:
        child = start(arguments, environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            code = _wait(child, timeout, poll) if poll else child.wait(timeout)
        finally:
            kill(child)
        output.seek(0)
        return code, output.read().decode("utf-8", "replace")


def _wait(
    child: subprocess.Popen[bytes], timeout: float | None, poll: Callable[[], None]
) -> int:
    began = time.monotonic()
    while True:
        try:
            return child.wait(_POLL)
        except subprocess.TimeoutExpired:
            if timeout is not None and time.monotonic() - began > timeout:
                raise
            poll()


def kill(child: subprocess.Popen[bytes]) -> None:
    """Ends a child process, if it still runs, and closes its pipes."""
    child.kill()
    child.wait()
    for pipe in filter(None, (child.stdin, child.stdout)):
        with suppress(OSError):  # what it did not read
            pipe.close()


class Watch:
    """In the parent: kills a child that goes past its limits, until `close`. memory:
    bytes that it may use. seconds: that it may take. processor_seconds: of all cores
    together, from now on. poll: called with every look; the child is killed when it
    returns a reason. why: the limit that it passed, or the reason; "" meanwhile
    """

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        memory: float,
        seconds: float,
        processor_seconds: float = math.inf,
        poll: Callable[[], str] = str,
    ) -> None:
        global _looking
        self._child, self._memory, self._poll = child, memory, poll
        self._until, self._processor_seconds = (
            time.monotonic() + seconds,
            processor_seconds,
        )
        self._limits = (
            f"{seconds:.0f} seconds",
            f"{processor_seconds:.0f} seconds of processor time",
        )
        self._process: psutil.Process | None = None
        self.why = ""
        with _starting:
            _watched.add(self)
            if _looking is None or not _looking.is_alive():
                _looking = threading.Thread(target=_look, daemon=True)
                _looking.start()

    def close(self) -> None:
        _watched.discard(self)

    def look(self) -> None:
        """Kills the child if it is past a limit. Raises psutil.Error if it has ended."""
        if self not in _watched:  # closed since it was this one's turn
            return
        if self._process is None:  # most requests end before the first look
            self._process = psutil.Process(self._child.pid)
            self._processor_seconds += sum(self._process.cpu_times()[:2])
        elif memory_used(self._process) > self._memory:
            self.why = f"more than {format_size(self._memory / MIB)} of memory"
        elif time.monotonic() > self._until:
            self.why = f"more than {self._limits[0]}"
        elif sum(self._process.cpu_times()[:2]) > self._processor_seconds:
            self.why = f"more than {self._limits[1]}"
        else:
            self.why = self._poll()
        if self.why:
            self.close()
            self._child.kill()


def _look() -> None:
    """One thread looks at all children while there are any: to start one for each
    request to a box would take longer than a short request.
    """
    global _looking
    while True:
        time.sleep(_LOOK)
        with _starting:
            watched = _watched.copy()
            if not watched:
                _looking = None
                return
        for watch in watched:
            with suppress(psutil.Error):
                watch.look()


def receive(received: Callable[[bytes], None]) -> None:
    """In the child: calls `received`, in a thread, with each line that the parent
    writes, and ends this process at once when the parent closes its end.
    """
    threading.Thread(target=_read, args=(received,), daemon=True).start()


def _read(received: Callable[[bytes], None]) -> None:
    rest = b""
    while part := os.read(
        0, 1 << 16
    ):  # not sys.stdin: its lock, held here, would abort the interpreter's own end
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            received(line)
    os._exit(
        0
    )  # without cleaning up, which could wait for the very call that is to be cut short


def for_answers() -> BinaryIO:
    """In the child: where its answers go. What a library prints goes to standard error,
    and Ctrl-C to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def limit_memory(most: int) -> None:
    """In the child: refuse it more than `most` bytes of addresses. Windows and macOS
    have no such limit; there only the parent's watch of the memory in use holds.
    """
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, most))
