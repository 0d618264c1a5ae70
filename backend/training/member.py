"""Another process of a team: `python -m backend.training.member RUN_FOLDER`, started by the worker."""

from __future__ import annotations

import sys
from pathlib import Path

from backend.errors import OutOfMemory
from backend.training import run, team

if __name__ == "__main__":
    try:
        run(team.joined(Path(sys.argv[1])))
    except OutOfMemory:
        sys.exit(team.SHORT_OF_MEMORY)
