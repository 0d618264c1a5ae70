"""A run as one Python file with its data, that trains the same thing anywhere without this project.

    NAME-script/   train.py              the settings at its top, its packages in its header (PEP 723)
                   data/*.jsonl          each row's text, its tokens, and which of them are learned (DPO: twice)
                   tokenizer/            goes with what was learned

The file is static/script/train.py with the settings of the run. It is proved by its first steps: run here, they must
give the losses that the run had.
"""

from __future__ import annotations

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

from backend.export.request import ExportRequest
from backend.hardware import child_process
from backend.models.local import is_local, read_run
from backend.models.model_folder import TOKENIZER_FILES
from backend.records.encoded import IGNORED
from backend.records.events import StepEvent, parse
from backend.records.specs import RunSpec
from backend.runs.token_rows import TokenRow, read_rows
from backend.settings import PROJECT_ROOT
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.run import spread
from backend.training.schedule import schedule
from backend.training.session import VALIDATION_ROWS

TEMPLATE = PROJECT_ROOT / "static" / "script" / "train.py"
PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors")  # whose ranges the header takes over
PROVED_STEPS = 3
SAME = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 2e-2}  # relative difference of two losses that is rounding
_SMALL = 1e-3  # size of gradients below which a difference is rounding
_SECONDS = 1800  # for the proof

_SETTINGS = re.compile(r"(?<=^# settings\n).*?(?=^# end of settings$)", re.DOTALL | re.MULTILINE)


def write(order: ExportRequest) -> Path:
    """Writes the folder of the script into `order.out` and gives it.

    Raises TrainingFailed for damaged rows.
    """
    train, validation = read_rows(order.run_folder)
    validation = spread(validation, VALIDATION_ROWS)
    tokenizer = ChatTokenizer.load(order.run.model.path)
    folder = order.out / f"{order.name}-script"
    (folder / "data").mkdir(parents=True)
    (folder / "tokenizer").mkdir()
    for name in TOKENIZER_FILES:
        if (order.run.model.path / name).is_file():
            shutil.copyfile(order.run.model.path / name, folder / "tokenizer" / name)
    for name, rows in (("train", train), ("validation", validation)):
        lines = (json.dumps(readable(row, tokenizer), ensure_ascii=False) for row in rows)
        (folder / "data" / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")
    names = settings(order.run, len(train), len(validation), precision(order), tokenizer.pad_id)
    (folder / "train.py").write_text(filled(names, order.run), "utf-8")
    return folder


def settings(run: RunSpec, rows: int, validation_rows: int, precision: str, pad_id: int) -> dict[str, Any]:
    """The names at the top of the script, with their values."""
    chosen, plan = run.settings, schedule(rows, validation_rows, run.settings)
    full = chosen.method == "full"
    return {
        "MODEL": "" if is_local(run.model.id) else run.model.id,
        "REVISION": run.model.revision,
        "TRAINER": chosen.trainer,
        "BETA": chosen.beta,
        "METHOD": chosen.method,
        "PRECISION": precision,
        "LORA_RANK": chosen.lora_rank,
        "LORA_ALPHA": chosen.lora_alpha,
        "LORA_DROPOUT": chosen.lora_dropout,
        "TARGET_MODULES": () if full else chosen.target_modules,
        "USE_RSLORA": chosen.use_rslora,
        "USE_DORA": chosen.use_dora,
        "LEARNING_RATE": chosen.learning_rate,
        "LR_SCHEDULER_TYPE": chosen.lr_scheduler_type,
        "WARMUP_STEPS": plan.warmup(chosen),
        "WEIGHT_DECAY": chosen.weight_decay,
        "MAX_GRAD_NORM": chosen.max_grad_norm,
        "TOTAL_STEPS": plan.total,
        "EFFECTIVE_BATCH": chosen.effective_batch,
        "MICRO_BATCH": chosen.per_device_train_batch_size,
        "GRADIENT_CHECKPOINTING": chosen.gradient_checkpointing,
        "SEED": chosen.seed,
        "TEST_AFTER_STEPS": tuple(sorted(plan.evaluations)),
        "PATIENCE": chosen.early_stopping_patience if chosen.early_stopping else 0,
        "PAD_ID": pad_id,
    }


_SAID = {
    "MODEL": "its name on the Hugging Face hub; --model takes a folder",
    "REVISION": "its commit there; empty where it is not known, then the newest is taken",
    "TRAINER": "sft learns the answers; dpo the difference between a better and a worse one",
    "BETA": "of dpo: how strongly the model is held to the one it came from",
    "METHOD": "lora, qlora (4 bit) or full",
    "PRECISION": "of the arithmetic: fp32, bf16 (cards since 2020, newer processors) or fp16 (older cards)",
    "PATIENCE": "tests without a better one before it ends early; 0: never",
    "EFFECTIVE_BATCH": "examples of a step",
    "MICRO_BATCH": "of them at a time; smaller needs less memory and changes nothing else",
}


def filled(names: dict[str, Any], run: RunSpec) -> str:
    """The script with these settings and the packages that it needs."""
    lines = [
        f"{name} = {value!r}".replace("'", '"') + (f"  # {_SAID[name]}" if name in _SAID else "")
        for name, value in names.items()
    ]
    text = _SETTINGS.sub(lambda _: "\n".join(lines) + "\n", TEMPLATE.read_text("utf-8"))
    needed = (*PACKAGES, "bitsandbytes") if run.settings.method == "qlora" else PACKAGES
    packages = "".join(f'#     "{requirement}",\n' for requirement in requirements(needed))
    return text.replace("# dependencies = []\n", f"# dependencies = [\n{packages}# ]\n", 1)


def requirements(names: Iterable[str]) -> Iterator[str]:
    """The lines of requirements.txt for these packages."""
    known = {}
    for line in (PROJECT_ROOT / "requirements.txt").read_text("utf-8").split("\n"):
        requirement = line.partition("#")[0].strip()
        known[re.split(r"[<>=!~]", requirement)[0]] = requirement
    return (known[name] for name in names)


def readable(row: TokenRow, tokenizer: ChatTokenizer) -> dict[str, Any]:
    """A row as the script reads it: text (for people), input_ids, learn (spans of input_ids, end excluded); of a pair
    `better` and `worse`, each with these."""
    if row.rejected is not None:
        better = replace(row, rejected=None)
        return {"better": readable(better, tokenizer), "worse": readable(row.rejected, tokenizer)}
    ids = row.input_ids.tolist()
    learned = [False, *(row.labels != IGNORED).tolist(), False]
    edges = [at for at, (before, now) in enumerate(pairwise(learned)) if before != now]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    return {"text": tokenizer.decode(ids, skip_special_tokens=False), "input_ids": ids, "learn": spans}


def precision(order: ExportRequest) -> str:
    """What the run calculated in, else what this computer would."""
    chosen = order.run.settings.precision
    if chosen != "auto":
        return chosen
    try:
        result = json.loads((order.run_folder / "status.json").read_text("utf-8")).get("result") or {}
        told = result.get("precision")
    except (OSError, ValueError):
        told = None
    if isinstance(told, str):
        return told
    from backend.training import device

    return device.choose(order.run.settings).precision


def prove(order: ExportRequest, folder: Path) -> dict[str, Any]:
    """Runs the script's first steps and compares their losses with the run's; of DPO, where every run begins at the
    loss ln 2, the size of the first gradients too (later ones drift: the optimizer turns rounding into whole steps).
    Gives {ok, sentence, first_difference}.

    ok is None where the run has made no step on this computer, or went over to 4 bit after its first ones, or the
    script could not be run here.
    """
    steps = first_steps(order.run_folder / "events.jsonl")
    wanted = {step: event.loss for step, event in steps.items()}
    if not wanted:
        return {"ok": None, "sentence": "This run made no step here, so the script was not compared with it."}
    count, out = min(PROVED_STEPS, len(wanted)), order.work / "tried"
    options = ["--model", str(order.run.model.path), "--steps", str(count), "--out", str(out)]
    try:
        code, output = child_process.run_script(
            folder / "train.py", options, {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}, _SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"ok": None, "sentence": f"Its first {count} steps took over half an hour here and were not compared."}
    (order.context.folder / "script.log").write_text(output, "utf-8")
    if code:
        return {"ok": False, "sentence": "The script did not run; its output is in script.log of this export."}
    lines = [json.loads(line) for line in (out / "losses.jsonl").read_text("utf-8").split("\n") if line]
    made = {line["step"]: line for line in lines if "loss" in line}
    pairs = [(step, made[step]["loss"], wanted[step]) for step in range(1, count + 1)]
    same = SAME[precision(order)]
    differing = _differing(pairs, same)
    sentence = f"Its first {count} steps, made here, give {_compared('loss', pairs, differing, same)}."
    if order.run.settings.trainer == "dpo" and (norm := steps[1].grad_norm) is not None:
        first = [(1, made[1]["grad_norm"], norm)]
        apart = _differing(first, same, _SMALL)
        sentence += f" The first gives {_compared('size of the gradients', first, apart, same)}."
        differing = apart or differing
    if differing and read_run(order.run_folder).settings.method != order.run.settings.method:
        return {"ok": None, "sentence": f"{sentence} The run went over to 4 bit on the way, for lack of memory."}
    return {"ok": not differing, "sentence": sentence, "first_difference": differing[0] if differing else None}


def _differing(pairs: list[tuple[int, float, float]], tolerance: float, least: float = 1.0) -> list[int]:
    """The steps at which what the script made is not what the run had. pairs: step, made, had. tolerance: relative,
    of a figure that is at least `least`."""
    return [step for step, made, had in pairs if not abs(made - had) <= tolerance * max(least, abs(had))]


def _compared(figure: str, pairs: list[tuple[int, float, float]], differing: list[int], same: float) -> str:
    """same: the relative difference up to which two figures are taken as the same."""
    said = ", ".join(f"{made:.4f} and {had:.4f}" for _, made, had in pairs)
    verdict = (
        f"another {figure} than the run" if differing else f"the same {figure} as the run, within {100 * same:g} %"
    )
    return f"{verdict} (script and run: {said})"


def first_steps(events: Path) -> dict[int, StepEvent]:
    """The latest record of each of a run's first steps, up to the first one whose loss is not a number."""
    if not events.is_file():
        return {}
    found: dict[int, StepEvent] = {}
    for line in events.read_bytes().split(b"\n"):
        if (logged := parse(line)) and isinstance(logged.event, StepEvent):
            found[logged.event.step] = logged.event
    return dict(takewhile(lambda step: math.isfinite(step[1].loss), sorted(found.items())))
