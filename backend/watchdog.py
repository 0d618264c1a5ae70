"""Kills the processes whose ids it reads, one a line, when its standard input ends: with the process that started it.

A process of its own, because a thread of a child never gets its turn while C code there holds Python's lock, and a
killed parent does nothing. Used by child_process.py.
"""

import sys
from contextlib import suppress

import psutil


def main() -> None:
    children: list[psutil.Process] = []
    for line in sys.stdin.buffer:
        children = [child for child in children if child.is_running()]
        with suppress(psutil.NoSuchProcess):
            children.append(psutil.Process(int(line)))
    for child in children:
        with suppress(psutil.Error):  # psutil never signals another process that got the same id
            child.kill()


if __name__ == "__main__":
    main()
