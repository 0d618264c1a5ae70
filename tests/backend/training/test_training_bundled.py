"""The bundled model, trained for a few steps on rows of a sample: weights change, and the loss falls."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend import training
from backend.settings import PROJECT_ROOT, SAMPLES, Workspace
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.tiny_run import run_of

PAIRS = PROJECT_ROOT / "tests" / "data" / "pairs.jsonl"

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def test_a_few_steps_on_the_orders_sample(bundled_model: Path, tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    lines = (SAMPLES / "orders.jsonl").read_text("utf-8").splitlines()[:22]
    rows = [tokenizer.encode(json.loads(line)["messages"]) for line in lines]
    work = run_of(
        tmp_path, bundled_model, rows[:16], rows[16:],
        max_steps=4, learning_rate=2e-3, per_device_train_batch_size=4, lora_dropout=0.0, precision="auto",
    )  # fmt: skip
    work.spec["data"]["held_out_prompts"] = []
    result = training.run(work)
    assert result.weights_changed is result.base_unchanged is True
    assert result.eval_loss < 0.8 * result.first_eval_loss
    losses = list(work.losses().values())
    assert losses[-1] < losses[0]
    (verified,) = work.events_of("verification")
    assert verified["changed_tensors"] == verified["trainable_tensors"] == 2 * 7 * 30
    assert verified["reloaded_loss"] == pytest.approx(verified["trained_loss"], rel=1e-4)


@pytest.mark.slow
def test_dpo_learns_pairs_from_the_command_line(workspace_with_model: Workspace) -> None:
    """`train --data pairs.jsonl --set trainer=dpo`, in a queued process: the better answers become more likely. In
    fp32: in 16 bits an answer's log-probability depends on its batch, so that the first loss is only about ln 2."""
    command = [sys.executable, str(PROJECT_ROOT / "app.py"), "train", "--data", str(PAIRS), "--json"]
    command += [
        "--set", "trainer=dpo", "max_steps=10", "precision=fp32", "learning_rate=2e-4", "--workspace",
        str(workspace_with_model.root),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    assert answer["state"] == "completed"
    assert answer["first_eval_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert answer["eval_loss"] < 0.5
    assert answer["reward_accuracy"] == 1.0
    assert answer["weights_changed"] is True
