"""How long it takes from Start to the verdict, part by part, for a sample and the bundled model.

Ours: the check of a second version, for which the answers of the base model are known. Peer: that of the first one,
where all models are asked everything. Both include the model's loading.

    python -m tests.benchmarks.start_to_verdict [SAMPLE] [--smoke]

With the orders it takes about five minutes on two idle cores. The last line is JSON: seconds of the check; ratio is
peer / ours.
"""

import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.evaluation import job
from backend.models import local
from backend.settings import SAMPLES, Workspace
from jobs.records import State
from tests.backend.tiny_run import make_model
from tests.measured_speed import store_speed
from ui.cli.model_commands import unpack_bundled_model
from ui.services.app import App


@dataclass
class Timed:
    """The context of an evaluation: the seconds of each of its phases."""

    workspace: Workspace
    folder: Path
    spec: dict[str, Any]
    parts: dict[str, float] = field(default_factory=dict)
    phase: str = "Loading"
    since: float = field(default_factory=time.perf_counter)

    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None:
        now = time.perf_counter()
        self.parts[self.phase] = self.parts.get(self.phase, 0.0) + now - self.since
        self.phase, self.since = phase, now

    def should_stop(self) -> bool:
        return False


def check(workspace: Workspace, run_id: str) -> dict[str, float]:
    """The seconds of each phase of an evaluation."""
    with tempfile.TemporaryDirectory() as folder:
        timed = Timed(workspace, Path(folder), {"run": run_id})
        job.run(timed)
        timed.progress("")
        return timed.parts


def main(sample: str, *, smoke: bool = False) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app, model_id = App(Workspace.open(Path(folder))), ""
        if smoke:
            model_id = local.register_folder(app.workspace, make_model(Path(folder) / "tiny"))
            store_speed(app.workspace)
        else:
            unpack_bundled_model(app)
        data_id = app.datasets.add(SAMPLES / f"{sample}.jsonl", f"{sample}.jsonl")
        settings = app.advice.settings(model_id, data_id).settings.changed(**{"max_steps": 2} if smoke else {})
        began = time.perf_counter()
        run_id = app.planning.start(data_id, model_id, settings, evaluate=False)
        assert app.runner.wait(run_id).state is State.COMPLETED
        print(f"Start to trained model: {time.perf_counter() - began:.1f} s")
        first, second = (check(app.workspace, run_id) for _ in range(2))
    for phase in first:
        print(f"{phase}: {first[phase]:.1f} s, then {second.get(phase, 0.0):.1f} s")
    ours, peer = sum(second.values()), sum(first.values())
    result = {"ours": round(ours, 1), "peer": round(peer, 1), "ratio": round(peer / ours, 2)}
    print(json.dumps({"name": "start_to_verdict", **result, "unit": "s"}))


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    main(names[0] if names else "orders", smoke="--smoke" in sys.argv[1:])
