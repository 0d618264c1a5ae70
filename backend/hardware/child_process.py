"""Child processes that never outlive this one, whatever they are doing when it ends.

The parent holds a child's standard input open and writes nothing, or requests, to it. When the parent ends, even by
SIGKILL, the system closes that pipe on every platform, and a thread of the child that waits for it ends the child.

    start, run      in the parent, for a child that calls end_with_parent
    run_script      in the parent, for a script by others that does not
    run_request     in the parent: sends a request as JSON and returns the child's answer
    return_value    in the child of run_request: its answer
    end_with_parent in the child, first thing
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from backend.settings import PROJECT_ROOT, child_environment

_POLL = 0.5  # seconds
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows; Ctrl-C is for the parent, whose end ends the child


def memory_used(process: psutil.Process) -> int:
    """Bytes that a process uses; on Windows at least those it has reserved, because the system trims what is
    resident. Mapped files are resident only."""
    memory = process.memory_info()
    return int(max(memory.rss, getattr(memory, "private", 0)))


def start(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Starts Python with `arguments` in the project's folder. The child must call `end_with_parent`.

    environment: variables to add to `child_environment`. options: of subprocess.Popen.
    """
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        cwd=PROJECT_ROOT,
        env={**child_environment(), **(environment or {})},
        creationflags=_NO_WINDOW,
        **options,
    )


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
    poll: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """Runs Python with `arguments` to its end; returns its exit code and everything it printed.

    arguments: as after `python`
    environment: the child's; by default that of a child without secrets
    timeout: seconds after which the child is killed, and subprocess.TimeoutExpired raised
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


def _wait(child: subprocess.Popen[bytes], timeout: float | None, poll: Callable[[], None]) -> int:
    began = time.monotonic()
    while True:
        try:
            return child.wait(_POLL)
        except subprocess.TimeoutExpired:
            if timeout is not None and time.monotonic() - began > timeout:
                raise
            poll()


def run_script(
    script: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    timeout: float | None = None,
    poll: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """`run` for a Python file: `python -m backend.hardware.child_process SCRIPT ARGUMENTS` ends with its parent.

    script: the file
    arguments: of the script
    environment: as in `run`
    timeout: as in `run`
    poll: as in `run`
    """
    return run(["-m", "backend.hardware.child_process", str(script), *arguments], environment, timeout, poll)


def run_request(module: str, request: Path, asked: Any, poll: Callable[[], None] | None = None) -> tuple[Any, str]:
    """Runs `python -m MODULE REQUEST`. Returns what the child gave to `return_value`, None if it failed, and the last
    line that it printed.

    module: its full name
    request: a file to write, whose path the child gets
    asked: what is written there as JSON
    poll: as in `run`
    """
    request.write_text(json.dumps(asked), "utf-8")
    code, output = run(["-m", module, str(request)], poll=poll)
    answered = _answer_to(request)
    last = (output.strip().splitlines() or [""])[-1][:200]
    if code != 0 or not answered.is_file():
        return None, last
    answer = json.loads(answered.read_text("utf-8"))
    answered.unlink()
    return answer, last


def return_value(request: Path, value: Any) -> None:
    """Returns a JSON value to the parent, in the child of `run_request`."""
    _answer_to(request).write_text(json.dumps(value), "utf-8")


def _answer_to(request: Path) -> Path:
    return request.with_suffix(".answer.json")


def kill(child: subprocess.Popen[bytes]) -> None:
    """Ends a child started by `start`, if it still runs, and closes its standard input."""
    child.kill()
    child.wait()
    assert child.stdin is not None
    child.stdin.close()


def end_with_parent(received: Callable[[bytes], None] = lambda line: None) -> None:
    """Starts a thread that waits for the end of standard input, and then ends this process at once.

    received: called in that thread with each line that the parent writes.
    """
    threading.Thread(target=_read, args=(received,), daemon=True).start()


def _read(received: Callable[[bytes], None]) -> None:
    rest = b""
    while part := os.read(0, 1 << 16):  # not sys.stdin: its lock, held here, would abort the interpreter's own end
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            received(line)
    os._exit(0)  # without cleaning up, which could wait for the very call that is to be cut short


if __name__ == "__main__":
    end_with_parent()
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)  # as Python does for a script
    runpy.run_path(sys.argv[0], run_name="__main__")
