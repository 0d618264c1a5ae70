"""A batch in parts has the stored loss curve of a whole one, trained by the command and its worker.

The rounding of processors differs, so they are compared with a tolerance, which a planted fault exceeds.
`python -m tests.backend.training.test_trajectories` writes the curve again.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.settings import HOME_VARIABLE, PROJECT_ROOT
from backend.training.train_step import TrainStep
from jobs import process
from jobs.folder import JobFolder
from tests.backend.tiny_run import FakeWork, conversations, make_model
from tests.jobs.conftest import is_free
from ui.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # peft and trl use names that transformers renames

CURVE = PROJECT_ROOT / "tests" / "data" / "loss_curve.json"
WORKSPACE = "Jürgens Übungen für 東京"  # a name as people give to folders
TOLERANCE = 2e-3  # nats; the planted fault differs by 3e-2
COMMON = {
    "precision": "fp32", "lora_dropout": 0, "learning_rate": 0.01, "max_steps": 10, "early_stopping": "false",
    "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "max_length": 64,
    "packing": "false", "gradient_checkpointing": "false", "method": "lora", "seed": 0,
}  # fmt: skip
WITHOUT_DRY_RUN = """
import sys
from backend import training
from backend.training import job
from jobs import worker
job._measure_and_train = training.run
sys.exit(worker.main(sys.argv[1:]))
"""
IN_PARTS = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}


def train(folder: Path, **settings: Any) -> Path:
    """Trains on the toy task through the command line; returns the run's folder."""
    model, data = make_model(folder / "model"), folder / "toy.jsonl"
    data.write_text("\n".join(json.dumps({"messages": messages}) for messages in conversations(48)), "utf-8")
    chosen = [f"{name}={value}" for name, value in {**COMMON, **settings}.items()]
    command = ["train", "--data", str(data), "--model", str(model), "--set", *chosen]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, "")  # which the command sets
        patch.setattr(process, "WORKER", (sys.executable, "-c", WITHOUT_DRY_RUN))
        assert main([*command, "--no-evaluation", "--json", "--workspace", str(folder / WORKSPACE)]) == 0
    (run,) = (folder / WORKSPACE / "runs").iterdir()
    process.exit_code(run.name, attempt=1, timeout=60)  # waits for the worker, unless the runner has done so
    assert is_free(JobFolder(run))
    return run


def losses(run: Path) -> list[float]:
    events = [json.loads(line) for line in (run / "events.jsonl").read_text("utf-8").splitlines()]
    return [event["data"]["loss"] for event in events if event["kind"] in ("step", "eval")]


def stored() -> Any:
    return pytest.approx(json.loads(CURVE.read_text("utf-8")), abs=TOLERANCE)


def test_parts_of_a_batch_share_the_curve_if_averaged_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is a well-known one: the loss of a step as the mean over its micro batches."""
    run = train(tmp_path, **IN_PARTS)
    assert losses(run) == stored()
    loss = TrainStep.loss
    monkeypatch.setattr(
        TrainStep, "loss", lambda self, net, part, _: loss(self, net, part, 4 * sum(row.learned for row in part))
    )
    again = FakeWork(tmp_path / "again", json.loads((run / "spec.json").read_text("utf-8")))
    shutil.copytree(run / "data", again.folder / "data")
    training.run(again)
    faulty = [event["loss"] for kind, event in again.events if kind in ("step", "eval")]
    assert len(faulty) == len(losses(run))
    assert faulty != stored()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        CURVE.write_text(json.dumps(losses(train(Path(place)))), "utf-8")
