"""Another process of a team: `python -m backend.training.member RUN_FOLDER`, started by the worker."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from backend.errors import OutOfMemory
from backend.training import run, team

if __name__ == "__main__":
    code = 1
    try:
        run(team.joined(Path(sys.argv[1])))
        code = 0
    except OutOfMemory:
        code = team.SHORT_OF_MEMORY
    except BaseException:
        traceback.print_exc()
    finally:
        team.end(code)
