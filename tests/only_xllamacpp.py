"""A computer for which there is no build of llama-cpp-python: this process and those that it starts don't find it."""

import os
import sys
from pathlib import Path

import pytest


def hide_llama_cpp_python(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """folder: an empty one, whose sitecustomize.py the child processes read."""
    (folder / "sitecustomize.py").write_text("import sys\n\nsys.modules['llama_cpp'] = None\n", "utf-8")
    patch.setitem(sys.modules, "llama_cpp", None)
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))))
