"""Who may read what is written: only its owner what lies in a workspace, everybody what
was exported elsewhere.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077


def write_privately() -> None:
    """From now on, what this process writes is readable by its owner only."""
    os.umask(_OTHERS)


def make_private(path: Path) -> None:
    """Take the rights of others to a folder or file that existed, if it is ours."""
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            path.chmod(mode & ~_OTHERS)


def make_readable(path: Path) -> None:
    """Let everybody read a file, or a folder with all that is in it, as programs
    usually write them.
    """
    for file in [path, *(path.rglob("*") if path.is_dir() else ())]:
        with suppress(OSError):
            file.chmod(0o755 if file.is_dir() else 0o644)
