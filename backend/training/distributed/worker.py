"""A further process of a run: `python -m backend.training.distributed.worker RUN_FOLDER`, started by rank 0."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from backend.errors import OutOfMemory
from backend.training import run
from backend.training.distributed import process_group

if __name__ == "__main__":
    code = 1
    try:
        run(process_group.join(Path(sys.argv[1])))
        code = 0
    except OutOfMemory:
        code = process_group.EXIT_OUT_OF_MEMORY
    except BaseException:
        traceback.print_exc()
    finally:
        process_group.exit_now(code)
