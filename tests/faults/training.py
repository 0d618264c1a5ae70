"""Faults in real training of a tiny model: `python -m tests.faults.training COUNT SEED`.

After each of COUNT faults, spread over the operations of a run, the run is resumed until it is complete: its weights
and its curve are, bit for bit, those of a run without a fault.
"""

import hashlib
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend import training
from backend.files import manifest
from backend.files.json_file import read_json, write_json
from backend.records.events import StepEvent
from backend.settings import Workspace
from backend.training.state import checkpoints
from jobs import process
from jobs.records import State
from jobs.registry import JOB_TYPES, JobType
from jobs.runner import Runner
from tests.backend.tiny_run import make_model, make_run
from tests.faults import failing_disk, forked_workers
from tests.faults.failing_disk import Fault, Tally
from tests.faults.forked_workers import wait

SETTINGS: dict[str, Any] = {"num_train_epochs": 2, "per_device_train_batch_size": 4}
ROWS, VALIDATION = 16, 4
EXPECTED: list[Any] = []


def train(context: Any) -> dict[str, Any]:
    """The job "train" without its dry run."""
    return training.run(context).to_json()


def outcome(runner: Runner, job_id: str) -> tuple[str, dict[int, float]]:
    """The digest of the saved weights, and the loss of each step."""
    weights = runner.folder(job_id) / "result" / "adapter" / "adapter_model.safetensors"
    events = [logged.event for logged in runner.events(job_id).events]
    losses = {event.step: event.loss for event in events if isinstance(event, StepEvent)}
    return hashlib.sha256(weights.read_bytes()).hexdigest(), losses


def make(folder: Path) -> int:
    """A model, and a run folder of it with its spec; done in a fork, because a worker must not inherit an open box."""
    run = make_run(folder / "run", make_model(folder / "model"), rows=ROWS, validation=VALIDATION, **SETTINGS)
    write_json(folder / "spec.json", {**run.spec, "evaluate": False})
    return 0


def fails_with(made: Path) -> Callable[[Path, int, Fault | None], int]:
    def fails(folder: Path, operation: int, fault: Fault | None) -> int:
        workspace, count = Workspace.open(folder / "workspace"), folder / "count"
        forked_workers.install(
            lambda: failing_disk.arm(workspace.root, operation, fault or 0),
            lambda: count.write_text(str(failing_disk.operations())) and None,
        )
        runner = Runner(workspace)

        def prepare(staging: Path) -> None:
            shutil.copytree(made / "run", staging, dirs_exist_ok=True)

        job_id = runner.submit("train", read_json(made / "spec.json"), "", prepare=prepare)
        runner.tick()
        forked_workers.install()
        process._children[job_id, 1].wait(120)
        runner = Runner(workspace)
        job = wait(runner, job_id)
        for folder_of in checkpoints._by_step(runner.folder(job_id) / "checkpoints"):
            whole = manifest.holds(folder_of, content=True)
            assert whole == checkpoints.is_valid(folder_of, content=True), "half a checkpoint counts as one"
        for _ in range(3):
            if job.state.can_resume:
                assert job.failure
                runner.resume(job_id)
                job = wait(runner, job_id)
        assert job.state is State.COMPLETED, job.failure
        found = outcome(runner, job_id)
        if fault is None:
            EXPECTED[:] = found
        weights, losses = found
        assert weights == EXPECTED[0], "other weights"
        if fault is Fault.POWER_CUT:  # takes the events of the last second
            assert losses.items() <= EXPECTED[1].items(), "another curve"
        else:
            assert losses == EXPECTED[1], "another curve"
        return int(count.read_text()) if count.exists() else 0

    return fails


def spread(total: int, count: int, seed: int) -> list[tuple[Fault, int]]:
    """`count` faults: each kind at operations from each part of the run."""
    draw, kinds = random.Random(seed), list(Fault)
    each = -(-count // len(kinds))
    found = [(kind, 1 + int((part + draw.random()) * total / each)) for part in range(each) for kind in kinds]
    return [(kind, min(operation, total)) for kind, operation in found[:count]]


def main() -> None:
    count, seed = map(int, sys.argv[1:])
    JOB_TYPES["train"] = JobType("tests.faults.training:train", "training")
    folder = Path(os.environ["FAULTS_FOLDER"])
    code, _ = failing_disk.acknowledged(lambda say: make(folder))
    assert code == 0
    import peft  # noqa: F401 (before the forks, which then need not)
    import trl  # noqa: F401
    from transformers import Trainer  # noqa: F401

    tally, check = Tally(), fails_with(folder)
    failing_disk.inject(tally, "training", check, faults=())
    for fault, operation in spread(tally.operations["training"], count, seed):
        failing_disk.one(tally, "training", check, operation, fault)
    print(tally.as_json(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
