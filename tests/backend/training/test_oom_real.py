"""Training the bundled model in a process with a real memory limit: it continues with less."""

import json
import sys
from pathlib import Path

import pytest

from backend.models import bundled
from backend.records.encoded import Encoded
from backend.records.events import NoteEvent
from backend.runs.token_rows import write_rows
from backend.settings import Workspace
from backend.training import oom
from jobs import process
from jobs.records import State
from jobs.runner import Runner
from tests.backend.tiny_run import run_of

# The libraries are loaded first: they need gigabytes of address space, but little memory.
WITHIN = """
import sys, resource, psutil
import torch, transformers, trl, peft, datasets, pyarrow.parquet
torch.ones(64, 64) @ torch.ones(64, 64)
limit = psutil.Process().memory_info().vms + ({mib} << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from jobs import registry, worker
without_dry_run = registry.JobType("backend.training:run", "training", can_use_less_memory=True)
registry.JOB_TYPES["train"] = without_dry_run
sys.exit(worker.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_under_a_real_memory_limit_the_micro_batch_shrinks(
    workspace_with_model: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Encoded([i % 900 + 20 for i in range(300)], [-100] * 150 + [i % 900 + 20 for i in range(150, 300)])] * 8
    made = run_of(
        tmp_path / "made", bundled.folder(workspace_with_model), rows, [],
        max_steps=1, precision="bf16", lora_dropout=0.0, per_device_train_batch_size=8,
    )  # fmt: skip
    made.spec["data"]["held_out_prompts"] = []
    monkeypatch.setattr(process, "WORKER", (sys.executable, "-c", WITHIN.format(mib=1500)))
    runner = Runner(workspace_with_model)
    job_id = runner.submit("train", made.spec, "", prepare=lambda folder: write_rows(folder, rows, []))
    job = runner.wait(job_id)
    notes = [logged.event.title for logged in runner.events(job_id).events if isinstance(logged.event, NoteEvent)]
    assert job.state is State.COMPLETED, (runner.folder(job_id) / "log.txt").read_text()[-3000:]
    assert job.result["steps"] == 1
    assert {"Low on memory"} <= set(notes) <= {"Low on memory", "Out of memory"}
    used = json.loads((runner.folder(job_id) / oom.NAME).read_text())
    assert used["per_device_train_batch_size"] < 8
    assert used["per_device_train_batch_size"] * used["gradient_accumulation_steps"] == 8
