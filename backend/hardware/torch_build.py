"""The installed torch, read from its files: torch itself is not imported."""

import importlib.util
import sys
from pathlib import Path

from backend.install import builds
from backend.records.machine import MachineProblem
from backend.settings import PROGRAM


def built_for() -> str | None:
    """The CUDA version that torch was built for, "" for a build without CUDA, None if torch is not installed."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    return builds.cuda_of(Path(spec.origin).parent) if spec and spec.origin else None


def problem() -> MachineProblem | None:
    """The problem if torch is not installed; None if it is."""
    if built_for() is not None:
        return None
    return MachineProblem(
        what="PyTorch, which does the training, is not installed.",
        why="The app was started without its packages.",
        next=f'Start it with {PROGRAM}, which installs them. Or type: "{sys.executable}" -m pip install -r '
        "requirements.txt",
        blocks_training=True,
        missing_part=True,
    )
