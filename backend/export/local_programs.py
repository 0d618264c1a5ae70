"""The job "add": puts an exported GGUF file into a program of this computer, Ollama or LM Studio.

Nothing that is there is overwritten: where a name is taken, a number follows it. No shell takes part, and what a person
typed becomes neither a command nor a path: names are those of the export's files.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Container
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

from backend import child_process
from backend.errors import MissingPart, RunProblem
from backend.export.hub_push import link
from backend.files.atomic import replace_file
from backend.records.base import Record
from backend.records.exports import AddedModel
from backend.settings import child_environment, child_path
from backend.work import JobContext

LocalProgram = Literal["Ollama", "LM Studio"]
PROGRAMS: tuple[LocalProgram, ...] = get_args(LocalProgram)
_PUBLISHER = "apprentice"  # the folder among LM Studio's models
_OF_MAC = "/Applications/Ollama.app/Contents/Resources/ollama"  # not on the path before it was opened once
_POLL = 0.2  # seconds


class AddSpec(Record):
    """The program, and an export's GGUF file."""

    program: LocalProgram
    export: str
    file: str


def installed() -> list[LocalProgram]:
    """The programs that are on this computer."""
    there: dict[LocalProgram, object] = {"Ollama": ollama(), "LM Studio": lm_studio_models()}
    return [program for program in PROGRAMS if there[program]]


def ollama() -> str | None:
    """Ollama's command, None where it is not installed."""
    return shutil.which("ollama") or shutil.which(_OF_MAC)


def lm_studio_models() -> Path | None:
    """LM Studio's folder of models, None where it was never started."""
    folders = (Path.home() / ".lmstudio" / "models", Path.home() / ".cache" / "lm-studio" / "models")
    return next(filter(Path.is_dir, folders), None)


def run(context: JobContext) -> dict[str, Any]:
    """Add the file that `context.spec` (an `AddSpec`) names. Returns an `AddedModel` as JSON, or {} when stopped.
    Raises MissingPart where the program or the file is gone, RunProblem with the program's reason, OSError."""
    spec = AddSpec.model_validate(context.spec)
    file = child_path(child_path(context.workspace.exports, spec.export), spec.file)
    context.progress(f"Adding it to {spec.program}")
    if not file.is_file() or not file.with_suffix(".Modelfile").is_file():
        raise MissingPart("The file is no longer here.", "It was deleted.", "Make the file again.")
    added = _to_ollama(context, file) if spec.program == "Ollama" else _to_lm_studio(file)
    return AddedModel(program=spec.program, name=added).to_json() if added else {}


def _to_ollama(context: JobContext, file: Path) -> str:
    """The model's name in Ollama; "" when stopped."""
    if (listed := _ask_ollama(context, file.parent, "list")) is None:
        return ""
    taken = {re.sub(r":latest$", "", line.split()[0]) for line in listed.splitlines()[1:] if line.strip()}
    name = _free_name(file.stem.lower(), taken)
    made = _ask_ollama(context, file.parent, "create", name, "-f", f"{file.stem}.Modelfile")
    return "" if made is None else name


def _ask_ollama(context: JobContext, folder: Path, *arguments: str) -> str | None:
    """What Ollama prints in a folder, None when stopped. Raises MissingPart, RunProblem."""
    program = ollama()
    if program is None:
        raise MissingPart("Ollama is no longer on this computer.", "", "Install it again, or use the file itself.")
    environment = {name: value for name, value in os.environ.items() if name.startswith("OLLAMA_")}
    options: dict[str, Any] = {"cwd": folder, "env": {**child_environment(), **environment}}
    with tempfile.TemporaryFile() as output:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        with subprocess.Popen([program, *arguments], **pipes, **options) as child:
            child_process.end_with_us(child.pid)
            try:
                while child.poll() is None:
                    if context.should_stop():
                        return None
                    context.alive()
                    time.sleep(_POLL)
            finally:
                child.kill()
        output.seek(0)
        printed = output.read().decode("utf-8", "replace")
    if child.returncode != 0:
        reason = (printed.strip().splitlines() or ["it printed nothing"])[-1][:200]
        raise RunProblem("The model was not added.", f"Ollama reports: {reason}.", "Start Ollama, then try again.")
    return printed


def _to_lm_studio(file: Path) -> str:
    """The model's name in LM Studio."""
    models = lm_studio_models()
    if models is None:
        raise MissingPart("LM Studio is no longer on this computer.", "", "Install it again, or use the file itself.")
    place = models / _PUBLISHER
    taken = {path.name for path in place.iterdir()} if place.is_dir() else set()
    name = _free_name(file.stem, taken)
    (place / name).mkdir(parents=True)
    part = place / name / f"{file.name}.part"  # LM Studio may be looking
    link(file, part)
    replace_file(part, part.with_suffix(""))
    return name


def _free_name(name: str, taken: Container[str]) -> str:
    return next(free for free in (name if n == 1 else f"{name}-{n}" for n in count(1)) if free not in taken)
