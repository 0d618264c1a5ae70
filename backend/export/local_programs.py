"""Puts an exported GGUF file into a program of this computer, Ollama or LM Studio.

Nothing that is there is overwritten: where a name is taken, a number follows it. No
shell takes part, and what a person typed becomes neither a command nor a path: names
are those of the export's files.
"""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Container
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from backend.errors import MissingPart, RunProblem, WorkspaceProblem
from backend.export.hub_push import link
from backend.files.atomic import replace_file
from backend.files.disk_errors import disk_words
from backend.settings import child_environment

_OF_MAC = "/Applications/Ollama.app/Contents/Resources/ollama"  # not on the path before it was opened once
_PATIENCE = 900.0  # seconds that Ollama may take to copy a file
_adding = threading.Lock()  # from choosing a free name until it is taken


def ollama() -> str | None:
    """Ollama's command, None where it is not installed."""
    return shutil.which("ollama") or shutil.which(_OF_MAC)


def lm_studio_models() -> Path | None:
    """LM Studio's folder of models, None where it was never started."""
    folders = (
        Path.home() / ".lmstudio" / "models",
        Path.home() / ".cache" / "lm-studio" / "models",
    )
    return next(filter(Path.is_dir, folders), None)


def add_to_ollama(file: Path) -> str:
    """Add a GGUF file with the Modelfile beside it; returns the model's name there.
    Raises MissingPart, RunProblem.
    """
    with _adding:
        _, *rows = _ask_ollama(file.parent, "list").splitlines()
        name = _free_name(
            file.stem.lower(),
            {re.sub(":latest$", "", row.split()[0]) for row in rows if row.strip()},
        )
        _ask_ollama(file.parent, "create", name, "-f", f"{file.stem}.Modelfile")
    return name


def _ask_ollama(folder: Path, *arguments: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if name.startswith("OLLAMA_")
    }
    try:
        done = subprocess.run(
            [ollama() or "ollama", *arguments],
            cwd=folder,
            env={**child_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = "It could not be started, or took too long."
        raise MissingPart(
            "Ollama did not take the model.", why, "Start Ollama, then try again."
        ) from error
    printed = done.stdout.decode("utf-8", "replace").strip() or "nothing"
    if done.returncode != 0:
        why = f"It reports: {printed.splitlines()[-1][:200]}."
        raise RunProblem(
            "Ollama did not take the model.", why, "Start Ollama, then try again."
        )
    return printed


def add_to_lm_studio(file: Path) -> str:
    """Add a GGUF file; returns the model's name there. Raises MissingPart,
    WorkspaceProblem.
    """
    models = lm_studio_models()
    if models is None:
        raise MissingPart(
            "LM Studio is no longer on this computer.", "", "Install it again."
        )
    place = models / "apprentice"
    try:
        with _adding, ExitStack() as undo:
            place.mkdir(exist_ok=True)
            name = _free_name(file.stem, {path.name for path in place.iterdir()})
            (place / name).mkdir()
            undo.callback(shutil.rmtree, place / name, ignore_errors=True)
            part = place / name / f"{file.name}.part"  # LM Studio may be looking
            link(file, part)
            replace_file(part, part.with_suffix(""))
            undo.pop_all()
    except OSError as error:
        raise WorkspaceProblem(
            "The model could not be added to LM Studio.", *disk_words(error)
        ) from error
    return name


def _free_name(name: str, taken: Container[str]) -> str:
    return next(
        free
        for free in (name if n == 1 else f"{name}-{n}" for n in count(1))
        if free not in taken
    )
