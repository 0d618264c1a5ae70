"""The command that writes the files of a Hugging Face Space."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.export import space
from backend.records.units import MIB
from backend.settings import Workspace
from ui.cli.output import AddCommand, Answer
from ui.text import format as fmt

_NEXT = """Written to {folder}: {files} files, {size}. To put them online as YOU/NAME, with your account:
  hf repos create YOU/NAME --repo-type space --space-sdk gradio --flavor {hardware}
  hf upload YOU/NAME {folder} . --repo-type space"""


def add_commands(add: AddCommand) -> None:
    command = add("space", write, "write the files for a demo on Hugging Face Spaces")
    command.add_argument("-o", dest="output", type=Path, required=True, metavar="DIR", help="a new folder")
    command.add_argument(
        "--flavor",
        default=space.ZERO_GPU,
        metavar="F",
        help=f"the Space's hardware, by Hugging Face's name (default: {space.ZERO_GPU}, which is ZeroGPU)",
    )


def write(options: argparse.Namespace, _: Workspace) -> Answer:
    made = space.write(options.output, options.flavor)
    document = {"folder": str(made.folder), "hardware": made.hardware, "files": made.files, "bytes": made.bytes}
    size = fmt.size(made.bytes / MIB)
    text = _NEXT.format(folder=options.output, files=made.files, size=size, hardware=made.hardware)
    return Answer(document, text)
