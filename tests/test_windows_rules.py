"""The program keeps Windows' rules for files, and the imitation of these rules refuses
what Windows would.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.settings import PROJECT_ROOT
from tests import windows_rules

_TRIES = """
import json, mmap, os, subprocess, sys
held = open("held", "w")
open("mapped", "wb").write(b"12345678")
with open("mapped", "rb") as file:
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
os.makedirs("folder/inner")
inside = open("folder/inner/file", "w")
for name in ("free", "other", "theirs"):
    open(name, "w").close()
holding = [sys.executable, "-c", "file = open('theirs'); print(flush=True); input()"]
other = subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
other.stdout.readline()
tries = {
    "delete open": lambda: os.unlink("held"),
    "delete mapped": lambda: os.remove("mapped"),
    "empty mapped": lambda: open("mapped", "wb"),
    "rename open": lambda: os.rename("held", "elsewhere"),
    "replace open": lambda: os.replace("free", "held"),
    "delete another's": lambda: os.unlink("theirs"),
    "rename folder": lambda: os.replace("folder", "elsewhere"),
    "rename onto": lambda: os.rename("free", "other"),
    "symlink": lambda: os.symlink("free", "link"),
    "question mark": lambda: open("what?", "w"),
    "device": lambda: os.mkdir("Nul.txt"),
    "dot at the end": lambda: os.mkdir("folder/etc."),
    "long": lambda: open("folder/" + "a" * 200, "w"),
    "replace free": lambda: os.replace("free", "other"),
    "delete free": lambda: os.unlink("other"),
}
for name, attempt in tries.items():
    try:
        attempt()
        print(json.dumps([name, 0]))
    except OSError as error:
        print(json.dumps([name, error.winerror]))
other.communicate()
"""
_NUMBERS = {
    "delete open": 32, "delete mapped": 32, "empty mapped": 1224, "rename open": 32, "replace open": 32,
    "delete another's": 32, "rename folder": 5, "rename onto": 183, "symlink": 1314, "question mark": 123,
    "device": 123, "dot at the end": 123, "long": 206, "replace free": 0, "delete free": 0,
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="imitated on Linux")
@pytest.mark.parametrize("of_program", [True, False])
def test_the_imitation_refuses_what_windows_would(
    of_program: bool, tmp_path: Path
) -> None:
    log, place = tmp_path / "log", tmp_path / "place"
    place.mkdir()
    file = PROJECT_ROOT / ("backend" if of_program else "tests") / "imitated.py"
    program = f"exec(compile({_TRIES!r}, {os.fspath(file)!r}, 'exec'))"
    environment = {**os.environ, **windows_rules.environment(log)}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=of_program,
    )
    found = dict(json.loads(line) for line in ended.stdout.splitlines())
    if of_program:
        assert found == _NUMBERS
        assert len(log.read_text("utf-8").splitlines()) == len(
            [number for number in _NUMBERS.values() if number]
        )
    else:
        assert set(found.values()) == {0}
        assert not log.exists()


_CAUGHT = """
import contextlib, os, tempfile
with tempfile.NamedTemporaryFile() as held, contextlib.suppress(OSError):
    if breaks:
        os.unlink(held.name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="imitated on Linux")
@pytest.mark.parametrize("breaks", [False, True])
def test_a_breach_fails_the_run_even_if_its_error_was_caught(
    breaks: bool, tmp_path: Path
) -> None:
    file = os.fspath(PROJECT_ROOT / "backend/imitated.py")
    test = tmp_path / "test_it.py"
    test.write_text(
        f"def test_it(): exec(compile({_CAUGHT!r}, {file!r}, 'exec'), {{'breaks': {breaks}}})",
        "utf-8",
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.windows_rules",
        "-p",
        "no:cacheprovider",
        str(test),
    ]
    ours = (
        windows_rules.rules.VARIABLE,
        "PYTEST_",
    )  # of this run, which may be a worker's
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(ours)
    }
    ended = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True
    )
    assert "[100%]" in ended.stdout
    assert ended.returncode == breaks, ended.stdout
    assert ("backend/imitated.py:5 <module>: in use" in ended.stdout) == breaks


def test_the_program_names_an_encoding_for_every_text_file() -> None:
    """Windows would take the one of its code page."""
    places = []
    for package in ("app.py", "start.py", "backend", "jobs", "ui"):
        path = PROJECT_ROOT / package
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and not _names_encoding(node):
                    places.append(f"{file.relative_to(PROJECT_ROOT)}:{node.lineno}")
    assert places == []


def _names_encoding(call: ast.Call) -> bool:
    """Whether a call opens no text file, or names its encoding."""
    name = ast.unparse(call.func).rpartition(".")[2]
    first = {"read_text": 0, "write_text": 1}.get(name)
    if any(keyword.arg in ("encoding", None) for keyword in call.keywords):
        return True
    if first is not None:
        return len(call.args) > first
    if ast.unparse(call.func) == "open":
        modes = call.args[1:2] or [
            keyword.value for keyword in call.keywords if keyword.arg == "mode"
        ]
        return any("b" in ast.unparse(mode) for mode in modes)
    return True
