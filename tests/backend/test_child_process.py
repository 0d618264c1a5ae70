"""A child process ends with its parent, even a parent that is killed, whatever the
child is doing.
"""

import math
import os
import runpy
import subprocess
import sys
import time
from contextlib import closing
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from backend import child_process
from backend.settings import PROJECT_ROOT
from jobs import process

PARENT = """
import sys
from backend import child_process
child = child_process.start(["-c", sys.argv[1]], stdout=sys.stdout)
child.wait()
"""
BUSY = {
    "sleeping": "import time; report(); time.sleep(600)",
    "computing in Python": "report()\nwhile True: pass",
    "in C code that holds Python's lock": """
a, b = [0], [0]
for _ in range(60): a, b = [a, a], [b, b]
report()
a == b""",
    "in a child of its own": """
import sys
from backend import child_process
program = "import os; print(os.getpid(), flush=True)\\nwhile True: pass"
child_process.start(["-c", program], stdout=sys.stdout).wait()""",
    "inside one torch call": "import torch; matrix = torch.rand(4000, 4000); report(); torch.linalg.eig(matrix)",
    "importing": "report(); import torch, transformers, trl, time; time.sleep(600)",
}
BEGINNING = """
import os
def report(): print(os.getpid(), flush=True)
"""


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process has ended within `seconds`; a zombie, which nobody has
    collected yet, has.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def killed_parent(program: str, *arguments: str) -> int:
    """Runs `program` until it prints the pid of its child, kills it, and returns that
    pid.
    """
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    return pid


def test_a_child_ends_that_its_killed_parent_could_not_name_any_more() -> None:
    program = PARENT.replace(
        "child = ",
        "child_process.end_with_us = lambda pid=0, tell=child_process.end_with_us: tell()\nchild = ",
    )
    assert gone(killed_parent(program, BEGINNING + BUSY["computing in Python"]))


def test_a_killed_watchdog_is_replaced_for_the_next_child() -> None:
    program = """
import sys
import psutil
from backend import child_process
child_process.start(["-c", ""]).wait()
(watchdog,) = [child for child in psutil.Process().children() if child.status() != "zombie"]
watchdog.kill()
watchdog.wait()
child_process.start(["-c", sys.argv[1]], stdout=sys.stdout).wait()
"""
    assert gone(killed_parent(program, BEGINNING + BUSY["computing in Python"]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_killed_fork_takes_its_own_child_along_but_not_its_parents() -> None:
    program = """
import os
from backend import child_process
child_process.end_with_us()
if not os.fork():
    child = child_process.start(["-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    os.kill(os.getpid(), 9)
os.wait()
child = child_process.start(["-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE) as parent:
        of_fork, of_parent = (int(parent.stdout.readline()) for _ in range(2))
        found = gone(of_fork), gone(of_parent, 1)
        parent.kill()
    assert found == (True, False)


@pytest.mark.parametrize("doing", BUSY)
def test_a_child_ends_within_seconds_of_its_killed_parent(doing: str) -> None:
    assert gone(killed_parent(PARENT, BEGINNING + BUSY[doing]))


def test_a_slow_child_is_killed_and_trimmed_memory_counts() -> None:
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        child_process.run(["-c", "import time; time.sleep(600)"], timeout=0.2)
    assert time.monotonic() - began < 5
    trimmed = SimpleNamespace(
        memory_info=lambda: SimpleNamespace(rss=1, private=1 << 30)
    )
    assert child_process.memory_used(cast(psutil.Process, trimmed)) == 1 << 30
    assert child_process.memory_used(psutil.Process()) > 1 << 20


def test_lines_of_the_parent_arrive_whole() -> None:
    program = """
import time
from backend.child_process import receive
receive(lambda line: print(len(line), flush=True))
time.sleep(600)
"""
    child = child_process.start(["-c", program], stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"x" * 300_000 + b"\nyy\n")
    child.stdin.flush()
    assert [int(child.stdout.readline()) for _ in range(2)] == [300_000, 2]
    child.stdin.close()
    assert child.wait(5) == 0
    child.stdout.close()


def test_on_windows_no_child_opens_a_window_nor_gets_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python has these flags on Windows only; 0 elsewhere."""
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    assert runpy.run_path(child_process.__file__)["_NO_WINDOW"] == 0x08000000
    assert runpy.run_path(process.__file__)["_OWN_CONSOLE"] == 0x08000200


def test_children_are_watched_again_after_a_time_without_any() -> None:
    child = child_process.start(["-c", "input()"])
    child_process.Watch(child, math.inf, seconds=60).close()
    until = time.monotonic() + 5
    while child_process._looking and time.monotonic() < until:
        time.sleep(0.05)
    assert child_process._looking is None, "nothing wakes an idle page"
    with closing(child_process.Watch(child, memory=0, seconds=60)) as watch:
        assert gone(child.pid)
    assert watch.why
