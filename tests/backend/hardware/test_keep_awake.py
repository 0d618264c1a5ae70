"""The computer is kept awake while a block runs, by commands that end with this
process; nothing fails without.
"""

import os
import sys
from pathlib import Path

import psutil
import pytest

from backend.hardware import keep_awake as module
from backend.hardware.keep_awake import keep_awake
from tests.backend.test_child_process import gone, killed_parent

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="the commands are scripts of POSIX systems"
)

RUNS_CAT = "import os, sys; os.execvp(sys.argv[-1], sys.argv[-1:])"  # as both commands, once they keep it awake
FAILS = "import sys; sys.exit('Failed to connect to bus')"
COMMANDS = {"linux": ("systemd-inhibit", RUNS_CAT), "darwin": ("caffeinate", RUNS_CAT)}


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH besides the system's `cat`: for fake commands, which
    write their pid and arguments.
    """
    cat = Path("/bin/cat") if Path("/bin/cat").exists() else Path("/usr/bin/cat")
    (tmp_path / "cat").symlink_to(cat)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def fake(folder: Path, name: str, code: str) -> None:
    note = f"import os, sys; open({str(folder / 'called')!r}, 'w').write(repr((os.getpid(), sys.argv[1:])))"
    program = folder / name
    program.write_text(f"#!{sys.executable}\n{note}\n{code}\n")
    program.chmod(0o700)


def called(folder: Path) -> tuple[int, list[str]]:
    pid, arguments = eval((folder / "called").read_text())
    return pid, arguments


@pytest.mark.parametrize("platform", COMMANDS)
def test_a_command_runs_as_long_as_the_block(fakes: Path, platform: str) -> None:
    fake(fakes, *COMMANDS[platform])
    with keep_awake(platform) as awake:
        assert awake
        pid, arguments = called(fakes)
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    assert gone(pid)
    if platform == "linux":
        assert {"--what=sleep:idle", "--mode=block"} <= set(arguments), (
            "what it is asked for"
        )
    else:
        assert arguments == ["-i", "cat"]


@pytest.mark.parametrize("platform", COMMANDS)
def test_a_command_ends_with_a_killed_process(fakes: Path, platform: str) -> None:
    fake(fakes, *COMMANDS[platform])
    program = """
import sys, time
from backend.hardware.keep_awake import keep_awake
with keep_awake(sys.argv[1]) as awake:
    assert awake
    print(eval(open(sys.argv[2]).read())[0], flush=True)
    time.sleep(600)
"""
    assert gone(killed_parent(program, platform, str(fakes / "called")))


@pytest.mark.parametrize("platform", [*COMMANDS, "freebsd14"])
def test_without_a_working_command_it_still_runs(
    fakes: Path, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keep_awake(platform) as awake:
        assert not awake, "there is none"
    if platform in COMMANDS:
        monkeypatch.setattr(module, "_PATIENCE", 0.2)
        name, _ = COMMANDS[platform]
        for code in (FAILS, "import time; time.sleep(600)", None):
            fake(fakes, name, code or "")
            if code is None:
                (fakes / name).write_text("#!/nowhere/at/all\n")
            with keep_awake(platform) as awake:
                assert not awake, code


def test_the_error_of_the_block_comes_through_and_the_command_ends(fakes: Path) -> None:
    fake(fakes, *COMMANDS["linux"])
    with pytest.raises(KeyError), keep_awake("linux"):
        raise KeyError
    assert gone(called(fakes)[0])


@pytest.mark.parametrize("answer", [0, 0x80000000])
def test_windows_is_asked_and_released(
    monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    flags: list[int] = []

    class Kernel:
        @staticmethod
        def SetThreadExecutionState(value: int) -> int:
            flags.append(value)
            return answer

    class Windll:
        kernel32 = Kernel

    monkeypatch.setattr(module.ctypes, "windll", Windll, raising=False)
    with keep_awake("win32") as awake:
        assert awake is bool(answer)
        assert flags == [0x80000001]
    assert flags == [0x80000001, 0x80000000]


def test_a_windows_without_the_call_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(module.ctypes, "windll", raising=False)
    with keep_awake("win32") as awake:
        assert not awake
