"""Another process of a team: `python -m backend.training.member RUN_FOLDER`, started by the worker."""

from __future__ import annotations

import sys
from pathlib import Path

from backend.training import run, team

if __name__ == "__main__":
    run(team.joined(Path(sys.argv[1])))
