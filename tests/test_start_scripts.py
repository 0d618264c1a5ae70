"""start.bat, start.sh and start.command: how they find a Python, what they say without
one, which windows stay open.

start.bat runs in `Cmd`, the part of cmd.exe's rules that it uses; the others run in a
real shell, among made-up programs.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from backend.install.pins import CONSTRAINTS, NEWEST, OLDEST, SPACE_REQUIREMENTS
from backend.settings import PROJECT_ROOT

ON_POSIX = pytest.mark.skipif(
    os.name != "posix", reason="start.bat does this on Windows"
)
LOCAL = "C:\\Users\\Jörg Müller\\AppData\\Local"
NOT_FOUND = 9009  # cmd.exe's exit code for an unknown program
Program = Callable[[list[str]], int]


class Cmd:
    """cmd.exe, by its documented rules: variables are replaced before a line runs, `if
    errorlevel N` holds from N on, `&&` goes on after 0 only, a variable that does not
    exist is nothing, and `exit /b` keeps the last code.
    """

    def __init__(
        self,
        programs: dict[str, Program],
        keys: str = "",
        files: Sequence[str] = ("start.py",),
    ) -> None:
        self.programs, self.keys, self.files = programs, keys, files
        self.variables = {"localappdata": LOCAL, "programfiles": "C:\\Program Files"}
        self.code, self.printed, self.pauses = 0, "", 0
        self.lines = (PROJECT_ROOT / "start.bat").read_text("utf-8").splitlines()

    def run(self, *arguments: str) -> int:
        self._from(0, list(arguments))
        return self.code

    def _from(self, number: int, arguments: list[str]) -> None:
        while number < len(self.lines):
            line = self._expand(self.lines[number], arguments)
            target = (
                None
                if line.startswith(":")
                else self._command(line.removeprefix("@"), arguments)
            )
            if target == "":
                return
            number = self._label(target) if target else number + 1

    def _label(self, name: str) -> int:
        return (
            next(
                number
                for number, line in enumerate(self.lines)
                if line.lower() == name.lower()
            )
            + 1
        )

    def _expand(self, line: str, arguments: list[str]) -> str:
        line = line.replace("%~dp0", "C:\\here\\").replace("%*", " ".join(arguments))
        line = line.replace("%~1", arguments[0].strip('"') if arguments else "")
        line = line.replace("%errorlevel%", str(self.code))
        return re.sub(
            r"%(\w+)%",
            lambda match: self.variables.get(match.group(1).lower(), ""),
            line,
        )

    def _command(self, text: str, arguments: list[str]) -> str | None:
        """Where the script continues: None at the next line, "" after this call, else
        at a label.
        """
        word, _, rest = text.partition(" ")
        if word in ("rem", "setlocal", "") or text == "echo off":
            return None
        if word == "if":
            negated, rest = rest.startswith("not "), rest.removeprefix("not ")
            match = re.match(
                r'(defined \w+|errorlevel \d+|exist "[^"]*"|"[^"]*"=="[^"]*") (.*)',
                rest,
            )
            assert match, text
            return (
                self._command(match.group(2), arguments)
                if self._holds(match.group(1)) != negated
                else None
            )
        if word == "goto":
            return rest
        if word == "exit":
            assert rest.startswith("/b")
            self.code = int(rest[3:] or self.code)
            return ""
        if " && " in text:
            first, _, then = text.partition(" && ")
            self._command(first, arguments)
            return self._command(then, arguments) if self.code == 0 else None
        self._run(word, rest)
        return None

    def _holds(self, condition: str) -> bool:
        what, _, value = condition.partition(" ")
        if what == "defined":
            return value.lower() in self.variables
        if what == "errorlevel":
            return self.code >= int(value)
        if what == "exist":
            return value.strip('"').rpartition("\\")[2] in self.files
        left, _, right = condition.partition("==")
        return left == right

    def _run(self, word: str, rest: str) -> None:
        words = re.findall(r'"[^"]*"|\S+', re.sub(r" 2?>nul", "", f"{word} {rest}"))
        if word == "set":
            quoted = (
                rest.strip()
                .removeprefix('"')
                .removesuffix('"' if rest.startswith('"') else "")
            )
            name, _, value = quoted.partition("=")
            self.variables.pop(name.lower(), None)
            if value:
                self.variables[name.lower()] = value
        elif word == "echo":
            self.printed += rest + "\n"
        elif word == "pause":
            self.pauses += 1
        elif word == "call":
            self._from(self._label(words[1]), words[2:])
        elif word == "where":
            self.code = int(words[1] not in self.programs)
        elif word == "choice":
            self.printed += rest + "\n"
            self.code = (
                "YN".find(self.keys) + 1 if self.keys else 255
            )  # 255: nobody can type
        else:
            name = words[0].strip('"')
            self.code = (
                self.programs[name](words[1:]) if name in self.programs else NOT_FOUND
            )


class Windows:
    """A computer: a launcher `py` with these versions, and what `start.py` got and
    returns.
    """

    def __init__(self, *versions: str, code: int = 0) -> None:
        self.versions, self.code = list(versions), code
        self.started: list[list[str]] = []
        self.installed: list[list[str]] = []

    def py(self, words: list[str]) -> int:
        return (
            self.python(words[1:])
            if words[0].removeprefix("-") in self.versions
            else 103
        )

    def python(self, words: list[str]) -> int:
        if words[0] == "-I":
            return 0
        self.started.append(words)
        return self.code

    def install(self, words: list[str]) -> int:
        self.installed.append(words)
        self.versions.append("3.12")
        return 0


def test_start_bat_runs_start_py_with_its_arguments_and_its_exit_code() -> None:
    windows = Windows("3.14", "3.12", code=7)
    cmd = Cmd({"py": windows.py})
    assert cmd.run("check", '"my file.jsonl"') == 7
    assert windows.started == [['"C:\\here\\start.py"', "check", '"my file.jsonl"']]
    assert cmd.variables["python"] == "py -3.12", "the version that is tested most"
    assert cmd.pauses == 0, "whoever types arguments has a window of his own"
    assert cmd.variables["python_manager_automatic_install"] == "false"


@pytest.mark.parametrize(("code", "pauses"), [(0, 0), (1, 1), (-1073741819, 1)])
def test_a_window_of_a_double_click_stays_open_after_a_failure(
    code: int, pauses: int
) -> None:
    cmd = Cmd({"py": Windows("3.13", code=code).py})
    assert (cmd.run(), cmd.pauses) == (code, pauses)


@pytest.mark.parametrize(
    ("installer", "words"),
    [
        ("pymanager", ["install", "3.12"]),
        ("winget", ["install", "-e", "--id", "Python.Python.3.12"]),
    ],
)
def test_one_yes_installs_a_python(installer: str, words: list[str]) -> None:
    windows = Windows("3.9")
    assert (
        Cmd({"py": windows.py, installer: windows.install}, keys="Y").run("doctor") == 0
    )
    assert windows.installed[0][: len(words)] == words
    assert windows.started == [['"C:\\here\\start.py"', "doctor"]]


def test_a_python_that_was_just_installed_is_found_though_it_is_not_on_the_path() -> (
    None
):
    windows = Windows()
    cmd = Cmd({}, keys="Y")

    def winget(words: list[str]) -> int:
        cmd.programs[f"{LOCAL}\\Programs\\Python\\Python312\\python.exe"] = (
            windows.python
        )
        return 0

    cmd.programs["winget"] = winget
    assert (cmd.run(), windows.started) == (0, [['"C:\\here\\start.py"']])


@pytest.mark.parametrize(
    ("keys", "installers"),
    [("N", ("winget",)), ("", ("winget", "pymanager")), ("Y", ())],
)
def test_without_a_yes_the_window_only_says_where_to_get_a_python(
    keys: str, installers: tuple[str, ...]
) -> None:
    windows = Windows("3.10")
    cmd = Cmd(
        {"py": windows.py, **dict.fromkeys(installers, windows.install)}, keys=keys
    )
    assert (cmd.run(), cmd.pauses) == (1, 1)
    assert windows.installed == windows.started == []
    assert "https://www.python.org/downloads/windows" in cmd.printed
    assert ("choice" in cmd.printed or "now" in cmd.printed) == bool(installers)


def test_in_a_zip_file_it_says_that_it_must_be_unpacked() -> None:
    windows = Windows("3.12")
    cmd = Cmd({"py": windows.py}, files=())
    assert (cmd.run(), cmd.pauses, windows.started) == (1, 1, [])
    assert "Extract All" in cmd.printed


STORE = "C:\\Program Files\\WindowsApps\\PythonSoftwareFoundation.Python.3.12_3.12.10.0_x64__qbz5n2kfra8p0"


@pytest.mark.parametrize(
    ("prefix", "version", "good"),
    [
        (STORE, 12, False), ("C:\\Users\\Anna\\AppData\\Local\\Python\\pythoncore-3.14-64", 14, True),
        ("C:\\Python315", 15, False), ("C:\\Python310", 10, False),
    ],
)  # fmt: skip
def test_start_bat_takes_no_python_of_the_store(
    prefix: str, version: int, good: bool
) -> None:
    check = re.search(
        r'set "CHECK=(.*)"', (PROJECT_ROOT / "start.bat").read_text("utf-8")
    )
    program = f"import sys; sys.base_prefix = {prefix!r}; sys.version_info = (3, {version}, 1); {check.group(1)}"
    assert (subprocess.run([sys.executable, "-c", program]).returncode == 0) == good


def test_start_bat_has_the_line_ends_of_windows_and_only_ascii() -> None:
    assert "*.bat text eol=crlf" in (PROJECT_ROOT / ".gitattributes").read_text("utf-8")
    assert (PROJECT_ROOT / "start.bat").read_text("ascii")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes programs that print a text and exit with a code; they and the shell's own
    are the only ones.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dirname", "sh"):
        (folder / name).symlink_to(shutil.which(name) or "")

    def make(code: int = 0, **texts: str) -> None:
        for name, text in texts.items():
            (folder / name).write_text(
                f"#!/bin/sh\n{text or ':'}\nexit {code}\n", "utf-8"
            )
            (folder / name).chmod(0o755)

    make(uname="echo Linux")
    monkeypatch.setenv("PATH", str(folder))
    return make


def shell(*command: str, keys: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=keys, capture_output=True, text=True, timeout=30
    )


PYTHON = 'case "$1" in -I) exit 0 ;; *) echo "started $*" ;; esac'


@ON_POSIX
@pytest.mark.parametrize(
    ("system", "has", "words"),
    [
        ("Darwin", "brew", "brew install python@3.12"), ("Darwin", "", "https://www.python.org/downloads/macos"),
        ("Darwin", "uv", "https://www.python.org/downloads/macos"),
        ("Linux", "apt-get", "sudo apt install python3 python3-venv"), ("Linux", "dnf", "sudo dnf install"),
        ("Linux", "pacman", "sudo pacman"), ("Linux", "zypper", "sudo zypper"),
        ("Linux", "", "https://docs.astral.sh/uv"), ("Linux", "apt-get python3", "https://docs.astral.sh/uv"),
    ],
)  # fmt: skip
def test_without_a_python_start_sh_names_the_step_for_the_system(
    system: str, has: str, words: str, programs: Callable[..., None]
) -> None:
    texts = dict.fromkeys(has.split(), "echo NEVER RUN")
    if "python3" in texts:  # the system's, of another version
        texts["python3"] = 'case "$3" in *venv*) exit 1 ;; esac'
    programs(uname=f"echo {system}", **texts)
    done = shell("sh", str(PROJECT_ROOT / "start.sh"))
    assert done.returncode == 1
    assert words in done.stderr
    assert "NEVER RUN" not in done.stdout + done.stderr


@pytest.mark.parametrize("script", ["start.sh", "start.bat"])
def test_the_pythons_are_tried_in_the_order_of_their_tests(script: str) -> None:
    """Another order would give existing environments another Python, and install
    everything again.
    """
    tried = re.findall(
        r"(?:py -|python)(3\.1\d)\b(?!@)", (PROJECT_ROOT / script).read_text("utf-8")
    )
    assert tried[:4] == ["3.12", "3.11", "3.13", "3.14"]


@ON_POSIX
def test_a_macs_own_python_is_never_run(
    programs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """/usr/bin/python3 is too old, or a program that opens a dialog."""
    monkeypatch.setenv(
        "PATH", f"{os.environ['PATH']}:/usr/bin:/bin"
    )  # where most Linux systems have a good one
    programs(uname="echo Darwin")
    assert shell("sh", str(PROJECT_ROOT / "start.sh"), "--help").returncode == 1


@ON_POSIX
def test_uv_brings_a_python_on_linux(
    programs: Callable[..., None], tmp_path: Path
) -> None:
    python = tmp_path / "bin" / "of-uv"
    programs(
        uv=f'case "$2" in find) echo "{python}" ;; install) echo "got $3" >&2 ;; esac',
        **{"of-uv": PYTHON},
    )
    done = shell("sh", str(PROJECT_ROOT / "start.sh"), "doctor")
    assert done.stdout == f"started {PROJECT_ROOT}/start.py doctor\n"
    assert "got 3.12" in done.stderr


@ON_POSIX
@pytest.mark.parametrize(("code", "stays"), [(0, False), (3, True)])
def test_a_double_click_shows_why_it_failed(
    code: int, stays: bool, programs: Callable[..., None]
) -> None:
    programs(code, **{"python3.12": 'test "$1" = -I && exit 0; echo "started $*"'})
    done = shell(str(PROJECT_ROOT / "start.command"), keys="\n")
    assert done.returncode == code
    assert done.stdout.startswith(f"started {PROJECT_ROOT}/start.py")
    assert ("Press Return" in done.stdout) == stays


@ON_POSIX
def test_start_sh_runs_in_the_folder_that_it_was_called_from(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "ein Plätzchen", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    shutil.copy(PROJECT_ROOT / "start.sh", place)
    (place / "start.py").write_text(
        "import os, sys; print(os.getcwd(), *sys.argv[1:], sep='|')", "utf-8"
    )
    (elsewhere / "venv.py").write_text(
        "raise SystemExit('imported from the current folder')", "utf-8"
    )
    command = ["sh", "../ein Plätzchen/start.sh", "check", "my file.jsonl"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (f"{elsewhere}|check|my file.jsonl\n", 0)


def test_the_checks_start_as_people_do_and_know_every_python() -> None:
    """The workflow has not run; actionlint and shellcheck find nothing in it."""
    jobs = yaml.safe_load(
        (PROJECT_ROOT / ".github/workflows/checks.yml").read_text("utf-8")
    )["jobs"]
    minors = range(OLDEST[1], NEWEST[1] + 1)
    assert jobs["linux"]["strategy"]["matrix"]["python"] == [
        f"3.{minor}" for minor in minors
    ]
    desktop = jobs["desktop"]
    folder = desktop["defaults"]["run"]["working-directory"]
    assert desktop["steps"][0]["with"]["path"] == folder
    assert len(folder) > 80
    assert {" ", "Ü"} <= set(folder)
    typed = "\n".join(step.get("run", "") for step in desktop["steps"])
    for words in (
        "cmd /c",
        "start.bat",
        "./start.command",
        "max_steps=10",
        " chat ",
        " export ",
        " delete ",
    ):
        assert words in typed


def test_the_monthly_proposal_has_every_file_that_lock_writes() -> None:
    workflow = (PROJECT_ROOT / ".github/workflows/dependencies.yml").read_text("utf-8")
    for path in (CONSTRAINTS, SPACE_REQUIREMENTS):
        assert workflow.count(path.relative_to(PROJECT_ROOT).as_posix()) == 2, (
            "stored, and taken"
        )
