"""A disk that fails at the Nth operation: kill -9, a power cut, a torn write, an I/O
error, a full or read-only disk.

failing_disk.c does it for every process that it is loaded into, whatever language
writes the file. A scenario is a module that `run` starts with it: `main` there calls
`inject`, which forks a process for each fault.
"""

import ctypes
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT
from tests.windows_rules import rules

SOURCE = Path(__file__).with_name("failing_disk.c")
LIBRARY = "FAILING_DISK"  # the variable with its path
KILLED = -9  # the exit code of a process that SIGKILL ended


class Fault(IntEnum):
    """What happens at the Nth operation. A full or read-only disk stays so until the
    process ends.
    """

    KILL = 1
    KILL_AFTER = 2
    TORN_WRITE = 3
    POWER_CUT = 4
    IO_ERROR = 5
    FULL = 6
    READ_ONLY = 7


@functools.cache
def _disk() -> Any:
    return ctypes.CDLL(os.environ[LIBRARY])


def arm(folder: Path, operation: int = 0, fault: int = 0) -> None:
    """From now on the disk below `folder` fails in this process at this operation;
    without one they are counted.
    """
    _disk().fault_arm(os.fsencode(folder), ctypes.c_long(operation), int(fault))


def operations() -> int:
    return int(_disk().fault_count())


def step() -> None:
    """A step of a process, such as the start of another: one more operation. Raises
    OSError if it fails.
    """
    if number := _disk().fault_point():
        raise OSError(number, os.strerror(number))


def fork(work: Callable[[], int]) -> int:
    """Does `work` in a fork of this process, which ends with its result; returns the
    process id.
    """
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


@dataclass
class Tally:
    """Faults injected by kind, and what went wrong. operations: of a run without a
    fault, by scenario.
    """

    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    operations: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(
            {
                "faults": self.faults,
                "total": self.faults.total(),
                "wrong": self.wrong,
                "operations": self.operations,
            }
        )


Check = Callable[[Path, int, Fault | None], int]


def inject(
    tally: Tally,
    name: str,
    check: Check,
    every: int = 1,
    faults: Iterable[Fault] = Fault,
) -> None:
    """Lets each fault happen at operation 1, 2, 3 and so on, until nothing is left to
    fail. check: does the work in an empty folder with the fault at the given operation,
    and raises AssertionError if what must hold does not; returns the number of
    operations. every: only one operation in so many.
    """
    total = one(tally, name, check, 0, None)
    tally.operations[name] = total
    for fault in faults:
        for operation in range(1 + fault % every, total + 1, every):
            one(tally, name, check, operation, fault)


def one(
    tally: Tally, name: str, check: Check, operation: int, fault: Fault | None
) -> int:
    """One fault, None for a run without; see `inject`."""
    if fault:
        tally.faults[fault.name.lower()] += 1
    # No flush of a real disk is waited for. Windows' rules are imitated in the system's
    # temporary folder only.
    in_memory = os.access("/dev/shm", os.W_OK) and rules.VARIABLE not in os.environ
    memory = "/dev/shm" if in_memory else None
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=memory))
    try:
        return check(folder, operation, fault)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        about = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        tally.wrong.append(
            f"{name}, {fault.name if fault else 'no fault'} at {operation}: {about}"[
                :600
            ]
        )
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _compiled() -> str:
    if not sys.platform.startswith("linux") or not (compiler := shutil.which("cc")):
        pytest.skip("needs Linux and a C compiler")
    library = Path(tempfile.mkdtemp()) / "failing_disk.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", library, SOURCE, "-ldl"],
        check=True,
        capture_output=True,
    )
    return str(library)


def run(module: str, *arguments: str, timeout: float = 1500.0) -> dict[str, Any]:
    """What a scenario found: see `Tally.as_json`. Skips the test where faults can't be
    injected.
    """
    library = _compiled()
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        LIBRARY: library,
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def acknowledged(work: Callable[[Callable[[str], None]], int]) -> tuple[int, list[str]]:
    """Does `work` in a fork: its exit code, and what it acknowledged before it ended or
    was killed.
    """
    reading, writing = os.pipe()

    def child() -> int:
        os.close(reading)
        return work(lambda line: os.write(writing, line.encode() + b"\n") and None)

    pid = fork(child)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().decode().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lines
