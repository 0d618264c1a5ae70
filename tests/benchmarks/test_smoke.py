"""Every benchmark still runs: its smoke mode measures next to nothing, but prints the result in the promised form."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.settings import HOME_VARIABLE, PROJECT_ROOT

FOLDER = Path(__file__).parent
PEER_PROGRAMS = {"llamafactory_peer"}  # run by the Python of another environment
MEASURED = ("ours", "peer", "ratio")


def can_run(path: Path) -> bool:
    """Whether the file is a program: it has an `if __name__ == "__main__"`."""
    tree = ast.parse(path.read_text("utf-8"))
    return any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)


def benchmarks() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if can_run(path) and path.stem not in PEER_PROGRAMS)


def test_every_file_here_is_a_benchmark_or_used_by_one() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", Path(__file__).stem}
    text = "\n".join((FOLDER / f"{name}.py").read_text("utf-8") for name in benchmarks())
    assert [name for name in sorted(names - set(benchmarks())) if name not in text] == []


@pytest.mark.parametrize("name", benchmarks())
@pytest.mark.usefixtures("bundled_gguf")
def test_a_smoke_run_prints_its_result(name: str, bundled_model: Path) -> None:
    """The bundled model is unpacked and converted beforehand, so that no benchmark does it again."""
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--smoke"]
    environment = {**os.environ, HOME_VARIABLE: str(bundled_model.parent.parent)}
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["name"], type(result["unit"])) == (name, str)
    measured = [result[key] for key in MEASURED]
    if "no_peer" in result:  # says why there is none
        assert measured[1:] == [None, None]
        measured = measured[:1]
    assert all(type(value) in (int, float) for value in measured), result
