"""Whether the installed torch can use this machine's GPU, read from its files: torch itself is not imported."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

from backend.records.specs import MachineProblem


def built_for() -> str | None:
    """The CUDA version that torch was built for, "" for a build without CUDA, None if torch is not installed."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text("utf-8")
    except OSError:
        return ""
    found = re.search(r"^cuda[^=\n]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return found.group(1) if found else ""


def problem(has_nvidia_gpu: bool) -> MachineProblem | None:
    """The problem with torch on this machine, with the command that fixes it; None if there is none."""
    build = built_for()
    python = "python" if sys.platform == "win32" else "python3"
    if build is None:
        return MachineProblem(
            what="PyTorch, which does the training, is not installed.",
            why="The app was started without its packages.",
            next=f"Run: {python} -m pip install -r requirements.txt",
        )
    if has_nvidia_gpu and build == "":
        index = " --index-url https://download.pytorch.org/whl/cu128" if sys.platform == "win32" else ""
        return MachineProblem(
            what="There is a graphics card, but the installed PyTorch can't use it.",
            why="This PyTorch was built for the processor only.",
            next=f"Run: {python} -m pip install --force-reinstall torch{index}",
        )
    return None
