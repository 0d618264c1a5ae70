"""A run as one Python file with its data, which repeats the training anywhere without
this project.

    NAME-script/   train.py              the settings at the top, the packages in the header (PEP 723)
                   data/*.jsonl          each row's text, its tokens, and the learned spans of them (DPO: twice)
                   tokenizer/            saved with the result
                   start/                the weights that it starts from, of a version that continues another one
                   instruction.txt       the one that most examples start with, if any
                   engines/              configurations of accelerate for several GPUs, and how to start them
                   apprentice/           the run itself, for the zip file with its result (run_archive.py)

The file is static/script/train.py with the settings of the run. Its first steps, run
here, must
give the losses of the run.
"""

import inspect
import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from backend import child_process
from backend.errors import ExportFailed
from backend.export import run_archive
from backend.export.source import Source
from backend.export.target import Target
from backend.files.listing import files_in
from backend.install.pins import REQUIREMENTS, read_requirements
from backend.models import causal_lm, model_folder
from backend.models.local import is_local, read_run
from backend.records.encoded import IGNORED
from backend.records.events import StepEvent, read_valid
from backend.records.exports import ExportFile, ExportResult, ScriptCheck
from backend.records.specs import RunSpec
from backend.records.training import result_of
from backend.runs import own_answers, start
from backend.runs.token_rows import TokenRow, TokenRows, read_rows
from backend.settings import PROJECT_ROOT
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import dpo
from backend.training.run import spread
from backend.training.sampler import epoch_batches
from backend.training.schedule import schedule
from backend.training.session import VALIDATION_ROWS
from backend.work import Report

TEMPLATE = PROJECT_ROOT / "static" / "script" / "train.py"
ENGINES = TEMPLATE.parent / "engines"
CLUSTERS = PROJECT_ROOT / "docs" / "clusters.md"
PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
)  # with their ranges in requirements.txt
_SETTINGS = re.compile(
    r"(?<=^# settings\n).*?(?=^# end of settings$)", re.DOTALL | re.MULTILINE
)
_ORDER = re.compile(r"^from backend\.training\.sampler import .*\n", re.MULTILINE)
STEPS = 3
TOLERANCE = {
    "fp32": 1e-4,
    "bf16": 2e-2,
    "fp16": 2e-2,
}  # relative difference of two losses due to rounding
_LEAST_NORM = 1e-3  # gradient norms below this differ by rounding
_TIMEOUT = 1800  # seconds

Pair = tuple[int, float, float]  # a step, its value in the script, its value in the run


def make(source: Source, target: Target, report: Report) -> list[ExportFile]:
    """Write the script's folder. Raises TrainingFailed for damaged rows, ExportFailed
    without the weights that the run started from.
    """
    report("Writing the script", 0, 1)
    run = source.run
    continues = start.continues(run)
    if continues and not start.is_intact(run, source.folder):
        raise ExportFailed(
            "This version has no training script.",
            "The weights of the version that it continues are missing, as they always are in an imported model.",
            "Make the script on the computer that trained it, or train again from the base model.",
        )
    train, held_out = read_rows(source.folder)
    validation = spread(held_out, VALIDATION_ROWS)
    tokenizer = ChatTokenizer.load(run.model.path)
    folder = target.place / f"{target.name}-script"
    (folder / "data").mkdir(parents=True)
    (folder / "tokenizer").mkdir()
    model_folder.copy_files(
        run.model.path, folder / "tokenizer", model_folder.TOKENIZER_FILES
    )
    if continues:
        shutil.copytree(
            start.folder(source.folder),
            folder / "start",
            ignore=shutil.ignore_patterns(start.BASE),
        )
    own_answers.fetch(source.workspace, source.folder, run)
    general = TokenRows.of(own_answers.rows(source.folder, run, tokenizer))
    for name, rows in (
        ("train", train),
        ("validation", validation),
        ("general", general),
    ):
        lines = (
            json.dumps(example(row, tokenizer), ensure_ascii=False) for row in rows
        )
        (folder / "data" / f"{name}.jsonl").write_text(
            "".join(line + "\n" for line in lines), "utf-8"
        )
    shutil.copytree(ENGINES, folder / "engines")
    shutil.copyfile(CLUSTERS, folder / "engines" / "README.md")
    run_archive.write(
        folder, run, source.folder, source.requested.name or run.name, None, ""
    )
    plan = settings(
        run,
        len(train) + len(general),
        len(validation),
        precision(source),
        tokenizer.pad_id,
    )
    if instruction := source.instruction:
        (folder / "instruction.txt").write_text(instruction, "utf-8", "replace")
    (folder / "train.py").write_text(
        fill_template({"NAME": target.name, **plan}, run), "utf-8"
    )
    return [
        ExportFile(
            name=folder.name,
            bytes=sum(file.stat().st_size for file in files_in(folder)),
        )
    ]


def settings(
    run: RunSpec, rows: int, validation_rows: int, precision: str, pad_id: int
) -> dict[str, Any]:
    """The settings at the top of the script."""
    chosen, plan = run.settings, schedule(rows, validation_rows, run.settings)
    return {
        "MODEL": "" if is_local(run.model.id) else run.model.id,
        "REVISION": run.model.revision,
        "RENAMED": causal_lm.key_mapping(run.model.path),
        **{
            name.upper(): getattr(chosen, name)
            for name, setting in chosen.facts().items()
            if setting.script
        },
        "PRECISION": precision,
        **({"TARGET_MODULES": ()} if chosen.method == "full" else {}),
        "WARMUP_STEPS": plan.warmup(chosen),
        "TOTAL_STEPS": plan.total,
        "EFFECTIVE_BATCH": chosen.effective_batch,
        "MICRO_BATCH": chosen.per_device_train_batch_size,
        "EVAL_STEPS": tuple(sorted(plan.evaluations)),
        "SAVE_BEST": run.data.validation_chooses,
        "PATIENCE": chosen.early_stopping_patience if chosen.early_stopping else 0,
        "PAD_ID": pad_id,
    }


# Behind the settings at the top of the script.
_COMMENTS = {
    "NAME": "of the run",
    "MODEL": "its name on the Hugging Face hub; --model takes a folder",
    "REVISION": "its commit there; if empty, the newest one is used",
    "RENAMED": (
        "if the model also reads pictures or sound: its language weights' names in the "
        "whole model, and alone"
    ),
    "TRAINER": (
        "sft learns the answers; dpo the difference between a better and a worse answer"
    ),
    "BETA": "dpo only: how closely it stays to the base model",
    "METHOD": "lora, qlora (4-bit) or full",
    "PRECISION": (
        "of the arithmetic: fp32, bf16 (GPUs since 2020, newer processors) or fp16 "
        "(older GPUs)"
    ),
    "SAVE_BEST": "the step with the lowest validation loss; otherwise the last step",
    "PATIENCE": "evaluations without improvement before it stops early; 0: never",
    "EFFECTIVE_BATCH": "examples per step",
    "MICRO_BATCH": "examples at a time; fewer need less memory and change nothing else",
}


def template() -> str:
    """train.py with the source of the function that orders rows, so that it needs
    nothing of this project.
    """
    source = f"import random\nfrom collections.abc import Sequence\n\n\n{inspect.getsource(epoch_batches)}"
    return _ORDER.sub(lambda _: source, TEMPLATE.read_text("utf-8"))


def fill_template(values: dict[str, Any], run: RunSpec) -> str:
    """The script with these settings and the packages it needs."""
    lines = [
        f"{name} = {value!r}".replace("'", '"')
        + (f"  # {_COMMENTS[name]}" if name in _COMMENTS else "")
        for name, value in values.items()
    ]
    text = _SETTINGS.sub(lambda _: "\n".join(lines) + "\n", template())
    in_few_bits = run.settings.method == "qlora" or run.settings.optim != "adamw"
    needed = (*PACKAGES, "bitsandbytes") if in_few_bits else PACKAGES
    packages = "".join(
        f'#     "{requirement}",\n' for requirement in requirements(needed)
    )
    return text.replace(
        "# dependencies = []\n", f"# dependencies = [\n{packages}# ]\n", 1
    )


def requirements(names: Iterable[str]) -> Iterator[str]:
    """The lines of requirements.txt for these packages."""
    by_name = {
        re.split(r"[<>=!~]", line)[0]: line for line in read_requirements(REQUIREMENTS)
    }
    return (by_name[name] for name in names)


def example(row: TokenRow, tokenizer: ChatTokenizer) -> dict[str, Any]:
    """A row in the script's format: text (for people), input_ids, learn (spans of
    input_ids, end excluded). A pair has these under `better` and `worse`.
    """
    if row.rejected is not None:
        better = replace(row, rejected=None)
        return {
            "better": example(better, tokenizer),
            "worse": example(row.rejected, tokenizer),
        }
    ids = row.input_ids.tolist()
    learned = [False, *(row.labels != IGNORED).tolist(), False]
    edges = [at for at, (before, now) in enumerate(pairwise(learned)) if before != now]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    return {
        "text": tokenizer.decode(ids, skip_special_tokens=False),
        "input_ids": ids,
        "learn": spans,
    }


def precision(source: Source) -> str:
    """The precision of the run, else the one that this computer would choose."""
    chosen = source.run.settings.precision
    if chosen != "auto":
        return chosen
    if used := result_of(source.folder).precision:
        return used
    from backend.training import device

    return device.choose(source.run.settings).precision


def check(
    source: Source, target: Target, files: list[ExportFile], report: Report
) -> ExportResult:
    """Check that the first steps of the script, run here, have the losses of the run."""
    return ExportResult(
        same=check_script(
            source, target.place / files[0].name, target.work / "trial", target.folder
        )
    )


def check_script(source: Source, folder: Path, out: Path, logs: Path) -> ScriptCheck:
    """Runs the first steps of the script in `folder` and compares their losses with the
    run's. For DPO, where every run starts at the loss ln 2, the first gradient norm is
    compared too (later ones drift: the optimizer turns rounding into whole steps). No
    verdict if the run trained a variant of LoRA, made no step on this computer or switched to 4-bit after its
    first steps, or if the script took too long here.

    out: a folder for its result
    logs: a folder for its output
    """
    if source.run.variant:
        return ScriptCheck(
            ok=None,
            sentence=f"Not compared: the script trains plain LoRA, this run {source.run.variant}.",
        )
    steps = first_steps(source.folder / "events.jsonl")
    if not steps:
        return ScriptCheck(
            ok=None,
            sentence="This run made no steps here, so the script was not compared with it.",
        )
    if any(
        step.general_loss is not None and step.mean_loss is None
        for step in steps.values()
    ):
        return ScriptCheck(
            ok=None,
            sentence="Not compared: an earlier version recorded no loss of all rows together.",
        )
    count = min(STEPS, len(steps))
    options = [
        "--model",
        str(source.run.model.path),
        "--steps",
        str(count),
        "--out",
        str(out),
    ]
    try:
        environment = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
        code, output = child_process.run(
            [str(folder / "train.py"), *options], environment, _TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return ScriptCheck(
            ok=None,
            sentence=f"Not compared: its first {count} steps took over half an hour here.",
        )
    (logs / "script.log").write_text(output, "utf-8")
    if code:
        return ScriptCheck(
            ok=False,
            sentence="The script failed; its output is in script.log of this export.",
        )
    lines = [
        json.loads(line)
        for line in (out / "losses.jsonl").read_text("utf-8").split("\n")
        if line
    ]
    script = {line["step"]: line for line in lines if "loss" in line}
    tolerance = TOLERANCE[precision(source)]
    ran = {
        step: event.loss if event.mean_loss is None else event.mean_loss
        for step, event in steps.items()
    }
    losses = [(step, script[step]["loss"], ran[step]) for step in range(1, count + 1)]
    differing = _differing(losses, wide := max(tolerance, _rounding_of_pairs(source)))
    sentence = f"Its first {count} steps, run here, have {_compared('loss', losses, differing, wide)}."
    if (
        source.run.settings.trainer == "dpo"
        and (norm := steps[1].grad_norm) is not None
    ):
        norms = [(1, script[1]["grad_norm"], norm)]
        differing_norms = _differing(norms, tolerance, _LEAST_NORM)
        sentence += f" The first has {_compared('gradient norm', norms, differing_norms, tolerance)}."
        differing = differing_norms or differing
    if (
        differing
        and read_run(source.folder).settings.method != source.run.settings.method
    ):
        return ScriptCheck(
            ok=None,
            sentence=f"{sentence} The run itself switched to 4-bit when memory ran out.",
        )
    return ScriptCheck(
        ok=not differing,
        sentence=sentence,
        first_difference=differing[0] if differing else None,
    )


def _rounding_of_pairs(source: Source) -> float:
    """How far rounding can move a DPO loss near ln 2; 0 for other losses. The loss
    moves by beta/2 for each nat between the two answers, and in 16 bits rounding moves
    the log-probability of an answer by about one unit of its 8 (bf16) or 11 bits: by up
    to 0.5% where bf16 was measured.
    """
    if source.run.settings.trainer != "dpo" or not (
        bits := {"bf16": 8, "fp16": 11}.get(precision(source))
    ):
        return 0.0
    pairs = dpo.read(source.folder)
    if not pairs:
        return 0.0
    nats = sum(abs(better) + abs(worse) for better, worse in pairs) / len(pairs)
    return float(source.run.settings.beta / 2 * nats * 2.0**-bits)


def _differing(pairs: list[Pair], tolerance: float, least: float = 1.0) -> list[int]:
    """The steps whose two values differ. tolerance: relative to the run's value, which
    counts as at least `least`.
    """
    return [
        step
        for step, script, run in pairs
        if not abs(script - run) <= tolerance * max(least, abs(run))
    ]


def _compared(
    name: str, pairs: list[Pair], differing: list[int], tolerance: float
) -> str:
    values = ", ".join(f"{script:.4f} and {run:.4f}" for _, script, run in pairs)
    verdict = (
        f"another {name} than the run"
        if differing
        else f"the run's {name}, within {100 * tolerance:.2g}%"
    )
    return f"{verdict} (script and run: {values})"


def first_steps(events: Path) -> dict[int, StepEvent]:
    """The latest record of each of a run's first steps, up to the first one whose loss
    is not finite.
    """
    steps = [
        event
        for event in (read_valid(events) if events.is_file() else ())
        if isinstance(event, StepEvent)
    ]
    return {
        step.step: step
        for step in takewhile(lambda step: math.isfinite(step.loss), steps)
    }
