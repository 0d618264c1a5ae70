"""How near the time that is shown before a training comes to what it takes, on this machine.

Ours: `backend.training.job`, a few steps in a process of their own before the run; against the run's own time, from
the end of that rehearsal to its end, over six different runs of the embedded model. Peer: the estimate computed from
the measured rates of this machine (`backend.hardware.benchmark`), which was shown before there was a rehearsal.

Run: python -m tests.benchmarks.training_time [STEPS] (with 12 steps about ten minutes on two idle cores). The last
line is JSON: mean absolute errors in percent; ratio is peer / ours.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from backend.records.events import DryRunEvent, LoggedEvent
from backend.records.specs import ATTENTION
from backend.settings import SAMPLES, Workspace
from jobs.records import State
from ui.cli.model_commands import unpack_bundled_model
from ui.services.app import App

RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("orders", {}),
    ("orders", {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "lora_rank": 32}),
    ("orders", {"gradient_checkpointing": True}),
    ("orders", {"method": "qlora", "per_device_train_batch_size": 4}),
    ("support", {"target_modules": ATTENTION}),
    ("orders", {"method": "full"}),
)


def timed(app: App, sample: str, changes: dict[str, Any], steps: int) -> dict[str, float]:
    """Seconds as computed, as rehearsed, and as the run took."""
    data_id = app.datasets.add(SAMPLES / f"{sample}.jsonl", f"{sample}.jsonl")
    settings = app.advice.settings("", data_id).settings.changed(max_steps=steps, early_stopping=False, **changes)
    before = app.runs.plan(data_id, "", settings)
    assert before.seconds is not None
    dry_runs: list[tuple[float, DryRunEvent]] = []

    def note_dry_run(logged: LoggedEvent) -> None:
        if isinstance(logged.event, DryRunEvent):
            dry_runs.append((logged.time, logged.event))

    run_id = app.runs.start(data_id, "", settings)
    job = app.runner.wait(run_id, on_event=note_dry_run)
    assert job.state is State.COMPLETED, job.failure
    assert job.ended is not None
    after = app.runs.plan(data_id, "", settings)
    assert after.time_measured
    assert after.seconds is not None
    return {
        "computed": (before.seconds[0] * before.seconds[1]) ** 0.5,
        "rehearsed": (after.seconds[0] * after.seconds[1]) ** 0.5,
        "took": job.ended - dry_runs[0][0],
        "memory_rehearsed": float(dry_runs[0][1].memory_mib),  # by now the plan has the run's own peak
        "memory_took": float(job.result["peak_memory_mib"]),
    }


def main(steps: int) -> None:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        app = App(Workspace.open(Path(folder)))
        unpack_bundled_model(app)
        app.runner.wait(app.runner.submit("calibrate", {}, "Measure this computer"))
        for sample, changes in RUNS:
            one = timed(app, sample, changes, steps)
            found.append(one)
            print(
                f"{sample} {changes}: " + ", ".join(f"{name} {value:.0f}" for name, value in one.items()), flush=True
            )
    off = {name: 100 * mean(abs(one[name] / one["took"] - 1) for one in found) for name in ("computed", "rehearsed")}
    worst = max(abs(one["rehearsed"] / one["took"] - 1) for one in found)
    print(
        json.dumps(
            {
                "name": "training_time",
                "ours": round(off["rehearsed"], 1),
                "peer": round(off["computed"], 1),
                "ratio": round(off["computed"] / max(0.1, off["rehearsed"]), 2),
                "unit": "% mean absolute error",
                "worst": round(100 * worst, 1),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
