"""How close the predicted time of a training is to its real time, on this machine.

Ours: the prediction from the dry run (`backend.training.job`), against the run's time
after its dry run, for six different runs of the bundled model. Peer: the estimate
computed from the measured rates of this machine (`backend.hardware.benchmark`), which
is shown until there is a dry run.

    python -m tests.benchmarks.training_time [STEPS] [--smoke]
    python -m tests.benchmarks.training_time --promise [STEPS]
    python -m tests.benchmarks.training_time --verdict [SAMPLE]

With 12 steps it takes about ten minutes on two idle cores. The last line is JSON: mean
absolute errors in percent; ratio is peer / ours.

--promise asks only how far the time is off that a person reads before anything ran, as
a factor: for the orders sample, a voice and long rows, with the recommended settings
and 30 steps. It takes about eight minutes.

--verdict prints, part by part, the seconds from Start to the verdict of a first
version: a whole run of a sample and the check that follows. The result is what the
check takes of the training's processor seconds (the goal is 0.5), beside what it took
of its time in BEFORE.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from statistics import mean
from typing import Any

import psutil

from backend.files.json_file import read_json
from backend.models import local
from backend.records.events import DryRunEvent, LoggedEvent
from backend.records.specs import ATTENTION
from backend.settings import SAMPLES, Workspace
from jobs.records import Job, State
from tests.backend.tiny_run import make_model
from tests.benchmarks.measuring import print_result
from tests.measured_speed import store_speed
from ui.cli.model_commands import require_model
from ui.services.app import App
from ui.services.selection import Choice

RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("orders", {}), ("orders", {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "lora_rank": 32}),
    ("orders", {"gradient_checkpointing": True}), ("orders", {"method": "qlora", "per_device_train_batch_size": 4}),
    ("support", {"target_modules": ATTENTION}), ("orders", {"method": "full"}),
)  # fmt: skip
PROMISED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("orders", {}),
    ("support", {}),
    ("long", {}),
)
BEFORE = {
    "training": 128.0,
    "check": 170.0,
}  # seconds of the orders on two quiet cores, 28 November 2026
LONG = 6  # conversations of the orders sample in one


def examples(sample: str, folder: Path) -> Path:
    """The file of a sample; of "long", several of the orders in one conversation."""
    if sample != "long":
        return SAMPLES / f"{sample}.jsonl"
    chats = [
        json.loads(line)["messages"]
        for line in (SAMPLES / "orders.jsonl").read_text("utf-8").splitlines()
    ]
    together = [
        [turn for chat in chats[at : at + LONG] for turn in chat]
        for at in range(0, len(chats) - LONG, LONG)
    ]
    file = folder / "long.jsonl"
    file.write_text(
        "".join(json.dumps({"messages": turns}) + "\n" for turns in together), "utf-8"
    )
    return file


def timed(
    app: App, model_id: str, sample: str, changes: dict[str, Any], steps: int
) -> dict[str, float]:
    """Seconds as computed, as predicted by the dry run, and of the run itself; MiB as
    measured by both.
    """
    data_id = app.datasets.add(examples(sample, app.workspace.root), f"{sample}.jsonl")
    advised = app.advice.settings(Choice(data_id=data_id)).settings
    settings = advised.changed(max_steps=steps, early_stopping=False, **changes)
    before = app.planning.plan(data_id, model_id, settings)
    assert before.seconds is not None
    dry_runs: list[tuple[float, DryRunEvent]] = []

    def note_dry_run(logged: LoggedEvent) -> None:
        if isinstance(logged.event, DryRunEvent):
            dry_runs.append((logged.time, logged.event))

    run_id = app.planning.start(data_id, model_id, settings, evaluate=False)
    job = app.runner.wait(run_id, on_event=note_dry_run)
    assert job.state is State.COMPLETED, job.failure
    assert job.ended is not None
    after = app.planning.plan(data_id, model_id, settings)
    assert after.time_measured
    assert after.seconds is not None
    return {
        "computed": (before.seconds[0] * before.seconds[1]) ** 0.5,
        "dry_run": (after.seconds[0] * after.seconds[1]) ** 0.5,
        "took": job.ended - dry_runs[0][0],
        "memory_dry_run": float(
            dry_runs[0][1].memory_mib
        ),  # the plan has the run's own peak by now
        "memory_took": float(job.result["peak_memory_mib"]),
    }


def verdict(sample: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = App(Workspace.open(Path(folder)))
        require_model(app, "")
        data_id = app.datasets.add(
            examples(sample, app.workspace.root), f"{sample}.jsonl"
        )
        settings = app.advice.settings(Choice(data_id=data_id)).settings
        run_id = app.planning.start(
            data_id, "", settings, evaluate=False
        )  # where it is busy none would follow
        trained = by_part(app, run_id)
        ours, peer = (
            by_part(app, app.evaluations.start(run_id)) / trained,
            BEFORE["check"] / BEFORE["training"],
        )
    print_result(
        "verdict",
        "of the training's processor seconds",
        round(ours, 2),
        round(peer, 2),
        round(peer / ours, 2),
    )


def by_part(app: App, job_id: str) -> float:
    """Prints the seconds of each phase of a job; returns all of the processor's."""
    clock, processor = Counter[str](), Counter[str]()
    last = [time.perf_counter(), 0.0]

    def look(job: Job) -> None:
        now, part = (
            time.perf_counter(),
            job.progress.phase if job.progress else "Starting",
        )
        used = max(last[1], _used(app.runner.folder(job_id)))
        clock[part] += now - last[0]
        processor[part] += used - last[1]
        last[:] = now, used

    job = app.runner.wait(job_id, on_job=look)
    assert job.state is State.COMPLETED, job.failure
    for part in clock:
        print(
            f"{job.kind:9} {part:50} {clock[part]:6.0f} s, {processor[part]:6.0f} of the processor"
        )
    print(
        f"{job.kind:9} {'all':50} {clock.total():6.0f} s, {processor.total():6.0f} of the processor",
        flush=True,
    )
    return processor.total()


def _used(folder: Path) -> float:
    """Processor seconds of a job's worker and of its children; 0 before it began, and
    when it has ended.
    """
    with suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        worker = psutil.Process(int(read_json(folder / "status.json")["pid"]))
        return sum(
            sum(each.cpu_times()[:4])
            for each in (worker, *worker.children(recursive=True))
        )
    return 0.0


def main(steps: int, *, smoke: bool = False, promise: bool = False) -> None:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        app = App(Workspace.open(Path(folder)))
        model_id = ""
        if smoke:
            model_id = local.register_folder(
                app.workspace, make_model(Path(folder) / "tiny")
            )
            store_speed(app.workspace)
        else:
            require_model(app, "")
            app.runner.wait(app.runner.submit("calibrate", {}, "Measure this computer"))
        for sample, changes in PROMISED if promise else RUNS[:1] if smoke else RUNS:
            one = timed(app, model_id, sample, changes, steps)
            found.append(one)
            print(
                f"{sample} {changes}: "
                + ", ".join(f"{name} {value:.0f}" for name, value in one.items()),
                flush=True,
            )
    if promise:
        factors = [
            max(one["computed"] / one["took"], one["took"] / one["computed"])
            for one in found
        ]
        print(
            json.dumps(
                {
                    "name": "promise",
                    "off": [round(factor, 2) for factor in factors],
                    "unit": "times",
                }
            )
        )
        return
    off = {
        name: 100 * mean(abs(one[name] / one["took"] - 1) for one in found)
        for name in ("computed", "dry_run")
    }
    worst = max(abs(one["dry_run"] / one["took"] - 1) for one in found)
    ours, peer = off["dry_run"], off["computed"]
    figures = round(ours, 1), round(peer, 1), round(peer / max(0.1, ours), 2)
    print_result(
        "training_time", "% mean absolute error", *figures, worst=round(100 * worst, 1)
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--smoke"]:
        main(2, smoke=True)
    elif sys.argv[1:2] == ["--verdict"]:
        verdict((sys.argv[2:] or ["orders"])[0])
    elif sys.argv[1:2] == ["--promise"]:
        main(int((sys.argv[2:] or ["30"])[0]), promise=True)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
