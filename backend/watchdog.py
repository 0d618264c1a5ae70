"""Kills the processes whose ids it reads, one a line, when its standard input ends:
with the process that started it.

    python watchdog.py MARK

A process of its own, because a thread of a child never gets its turn while C code there
holds Python's lock, and a killed parent does nothing. A child whose id the parent could
not write any more is found by the mark in its environment. Used by child_process.py.
"""

import sys
import time
from contextlib import suppress

import psutil

VARIABLE = "APPRENTICE_WATCHED_BY"
_BEGINNING = (
    0.2  # seconds after which a process that was being started has its environment
)


def main(mark: str) -> None:
    children: list[psutil.Process] = []
    for line in sys.stdin.buffer:
        children = [child for child in children if child.is_running()]
        with suppress(psutil.NoSuchProcess, ValueError):
            children.append(psutil.Process(int(line)))
    for child in children:
        with suppress(
            psutil.Error
        ):  # psutil never signals another process that got the same id
            child.kill()
    time.sleep(_BEGINNING)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(VARIABLE) == mark:
                process.kill()


if __name__ == "__main__":
    main(sys.argv[1])
