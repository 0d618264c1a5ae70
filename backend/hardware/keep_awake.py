"""The computer stays awake while a block runs, and goes back to its own settings when
this process ends, however.

    Linux     systemd-inhibit
    macOS     caffeinate
    Windows   SetThreadExecutionState, for this thread

Both commands run a `cat`, which ends when this process closes its standard input or is
killed. Nothing here overrides the lid of a laptop.

Not wakepy: on Linux version 1.0.0 asks only the desktop's services on the session bus.
It was tried: it keeps nothing awake on XFCE, under Sway or i3, or in a session without
such a bus, where systemd-inhibit does.
"""

import ctypes
import logging
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from backend import child_process
from backend.settings import child_environment

log = logging.getLogger(__name__)

_PATIENCE = (
    5.0  # seconds to wait for systemd-inhibit, which may have to start a service first
)
_LINUX = (
    "systemd-inhibit",
    "--what=sleep:idle",
    "--mode=block",
    "--who=Apprentice",
    "--why=A model is being trained",
)
_MACOS = ("caffeinate", "-i")
_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001  # ES_* of winbase.h


@contextmanager
def keep_awake(platform: str = sys.platform) -> Iterator[bool]:
    """Keeps the computer awake inside the block; gives whether that worked. Raises
    nothing of its own. platform: as in sys.platform.
    """
    if platform == "win32":
        awake = _set_execution_state(_CONTINUOUS | _SYSTEM_REQUIRED)
        try:
            yield awake
        finally:
            _set_execution_state(_CONTINUOUS)
        return
    child = _start(_MACOS if platform == "darwin" else _LINUX)
    try:
        yield child is not None
    finally:
        if child:
            child_process.kill(child)


def _set_execution_state(flags: int) -> bool:
    """Calls SetThreadExecutionState of Windows, which returns 0 when it fails."""
    try:
        return bool(ctypes.windll.kernel32.SetThreadExecutionState(flags))  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError):
        log.exception("SetThreadExecutionState failed")
        return False


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes] | None:
    """The process that keeps the computer awake; None if there is none."""
    name, *arguments = command
    program = shutil.which(name)
    if program is None:
        log.info("%s is not on this computer", name)
        return None
    try:
        child = subprocess.Popen(
            [program, *arguments, "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
        )
    except OSError:
        log.exception("%s can't be started", program)
        return None
    if _echoes(child):
        return child
    child_process.kill(child)
    log.info(
        "%s can't keep the computer awake (exit code %s)", program, child.returncode
    )
    return None


def _echoes(child: subprocess.Popen[bytes]) -> bool:
    """Whether `cat` sends a line back: both commands start it only once the computer is
    kept awake.
    """
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(b"awake\n")
        child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], _PATIENCE)
        return bool(ready) and os.read(child.stdout.fileno(), 100) == b"awake\n"
    except OSError:
        return False
