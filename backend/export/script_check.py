"""The check of an exported script: its first steps, run here, must give the losses of the run."""

import json
import math
import subprocess
from itertools import takewhile
from pathlib import Path

from backend import child_process
from backend.export.script import precision
from backend.export.source import Source
from backend.export.target import Report, Target
from backend.models.local import read_run
from backend.records.events import StepEvent, parse
from backend.records.exports import ExportFile, ExportResult, ScriptCheck
from backend.training import dpo_reference

STEPS = 3
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 2e-2}  # relative difference of two losses due to rounding
_LEAST_NORM = 1e-3  # gradient norms below this differ by rounding
_TIMEOUT = 1800  # seconds

Pair = tuple[int, float, float]  # a step, its value in the script, its value in the run


def check(source: Source, target: Target, files: list[ExportFile], report: Report) -> ExportResult:
    """Check that the first steps of the script, run here, have the losses of the run."""
    return ExportResult(same=check_script(source, target.place / files[0].name, target.work / "trial", target.folder))


def check_script(source: Source, folder: Path, out: Path, logs: Path) -> ScriptCheck:
    """Runs the first steps of the script in `folder` and compares their losses with the run's. For DPO, where every
    run starts at the loss ln 2, the first gradient norm is compared too (later ones drift: the optimizer turns
    rounding into whole steps). No verdict if the run made no step on this computer or switched to 4-bit after its
    first steps, or if the script took too long here. out: a folder for its result. logs: for its output."""
    steps = first_steps(source.folder / "events.jsonl")
    if not steps:
        return ScriptCheck(ok=None, sentence="This run made no steps here, so the script was not compared with it.")
    count = min(STEPS, len(steps))
    options = ["--model", str(source.run.model.path), "--steps", str(count), "--out", str(out)]
    try:
        environment = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
        code, output = child_process.run([str(folder / "train.py"), *options], environment, _TIMEOUT)
    except subprocess.TimeoutExpired:
        return ScriptCheck(ok=None, sentence=f"Not compared: its first {count} steps took over half an hour here.")
    (logs / "script.log").write_text(output, "utf-8")
    if code:
        return ScriptCheck(ok=False, sentence="The script failed; its output is in script.log of this export.")
    lines = [json.loads(line) for line in (out / "losses.jsonl").read_text("utf-8").split("\n") if line]
    script = {line["step"]: line for line in lines if "loss" in line}
    tolerance = TOLERANCE[precision(source)]
    losses = [(step, script[step]["loss"], steps[step].loss) for step in range(1, count + 1)]
    differing = _differing(losses, wide := max(tolerance, _rounding_of_pairs(source)))
    sentence = f"Its first {count} steps, run here, have {_compared('loss', losses, differing, wide)}."
    if source.run.settings.trainer == "dpo" and (norm := steps[1].grad_norm) is not None:
        norms = [(1, script[1]["grad_norm"], norm)]
        differing_norms = _differing(norms, tolerance, _LEAST_NORM)
        sentence += f" The first has {_compared('gradient norm', norms, differing_norms, tolerance)}."
        differing = differing_norms or differing
    if differing and read_run(source.folder).settings.method != source.run.settings.method:
        return ScriptCheck(ok=None, sentence=f"{sentence} The run itself switched to 4-bit when memory ran out.")
    return ScriptCheck(ok=not differing, sentence=sentence, first_difference=differing[0] if differing else None)


def _rounding_of_pairs(source: Source) -> float:
    """How far rounding can move a DPO loss near ln 2; 0 for other losses. The loss moves by beta/2 for each nat
    between the two answers, and in 16 bits rounding moves the log-probability of an answer by about one unit of its 8
    (bf16) or 11 bits: by up to 0.5% where bf16 was measured."""
    if source.run.settings.trainer != "dpo" or not (bits := {"bf16": 8, "fp16": 11}.get(precision(source))):
        return 0.0
    pairs = dpo_reference.read(source.folder)
    if not pairs:
        return 0.0
    nats = sum(abs(better) + abs(worse) for better, worse in pairs) / len(pairs)
    return float(source.run.settings.beta / 2 * nats * 2.0**-bits)


def _differing(pairs: list[Pair], tolerance: float, least: float = 1.0) -> list[int]:
    """The steps whose two values differ. tolerance: relative to the run's value, which counts as at least `least`."""
    return [step for step, script, run in pairs if not abs(script - run) <= tolerance * max(least, abs(run))]


def _compared(name: str, pairs: list[Pair], differing: list[int], tolerance: float) -> str:
    values = ", ".join(f"{script:.4f} and {run:.4f}" for _, script, run in pairs)
    verdict = f"another {name} than the run" if differing else f"the run's {name}, within {100 * tolerance:.2g}%"
    return f"{verdict} (script and run: {values})"


def first_steps(events: Path) -> dict[int, StepEvent]:
    """The latest record of each of a run's first steps, up to the first one whose loss is not finite."""
    if not events.is_file():
        return {}
    steps: dict[int, StepEvent] = {}
    for line in events.read_bytes().split(b"\n"):
        if (logged := parse(line)) and isinstance(logged.event, StepEvent):
            steps[logged.event.step] = logged.event
    return dict(takewhile(lambda step: math.isfinite(step[1].loss), sorted(steps.items())))
