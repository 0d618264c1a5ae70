"""The way that people go: start.py trains in a worker, after a dry run, evaluates,
answers, merges, writes GGUF.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backend.chat.engine import TUNED
from backend.chat.torch_engine import TorchEngine
from backend.estimate.memory import MARGIN
from backend.models import bundled
from backend.runs.token_rows import read_rows
from backend.settings import PROJECT_ROOT, SAMPLES, Workspace
from tests.backend.shallow import use_first_layers
from tests.gpu.place import ENVIRONMENT, Place, Record
from tests.linked_model import link_model

pytestmark = pytest.mark.gpu

FEW = [
    "max_steps=4",
    "per_device_train_batch_size=2",
    "keep_general=0",
]  # on the processor


@pytest.fixture
def home(place: Place, bundled_model: Path, workspace: Workspace) -> Workspace:
    """With the bundled model; on the processor with its first layers."""
    link_model(bundled_model, workspace)
    if not place.is_card:
        use_first_layers(workspace, bundled_model)
    return workspace


def start(home: Workspace, *arguments: str | Path) -> Any:
    """What a command prints as JSON. Its processes choose the card and how torch
    allocates by themselves.
    """
    command = [
        sys.executable,
        "start.py",
        *map(str, arguments),
        "--json",
        "--workspace",
        str(home.root),
    ]
    done = subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_a_model_is_trained_evaluated_asked_exported_and_deleted(
    place: Place, home: Workspace, tmp_path: Path, method: str, record: Record
) -> None:
    if method == "lora" and not place.is_card:
        pytest.skip("a browser goes this way on a processor")
    begun = time.monotonic()
    chosen = [f"method={method}", *([] if place.is_card else FEW)]
    options = [] if place.is_card else ["--no-evaluation"]
    run = start(
        home, "train", "--data", SAMPLES / "orders.jsonl", "--set", *chosen, *options
    )
    record(
        "start.py train",
        method,
        f"{time.monotonic() - begun:.0f} s",
        f"{run['seconds']:.0f} s of them training",
    )
    folder, adapter = (
        home.run_folder(run["run_id"]),
        home.run_folder(run["run_id"]) / "result" / "adapter",
    )
    device = json.loads((folder / "device.json").read_text("utf-8"))
    assert (run["state"], device["kind"], run["settings_changed"]) == (
        "completed",
        place.kind,
        {},
    )
    assert run["eval_loss"] < run["first_eval_loss"]
    assert run["weights_changed"] is run["base_unchanged"] is True
    dry = run["measured"]
    record(
        "Its peak memory",
        method,
        f"{run['peak_memory_mib']} MiB",
        f"dry run {dry['memory_mib']:.0f} MiB",
    )
    record(
        "Its tokens per second",
        method,
        f"{run['tokens_per_second']:.0f}",
        f"{dry['tokens_per_second']:.0f}",
    )
    assert not place.is_card or run["peak_memory_mib"] == pytest.approx(
        dry["memory_mib"], rel=MARGIN - 1
    )
    report = (
        run["evaluation"]
        if place.is_card
        else start(home, "evaluate", run["run_id"], "--items", "2")
    )
    record("Its evaluation", method, str(report["verdict"]))
    for pane in ([], ["--base"]):
        answer = start(
            home,
            "chat",
            run["run_id"],
            "--prompt",
            "Two lamps came broken, please send new ones.",
            *pane,
        )
        case = " ".join([method, *pane])
        record(
            "Its answers",
            case,
            f"{answer['tokens_per_second']:.0f} tokens/s",
            answer["engine"],
        )
        assert answer["tokens"] > 0
    engine = TorchEngine(bundled.folder(home), adapter)
    rows = list(read_rows(folder)[1])
    nats = sum(
        engine.nats(TUNED, row.input_ids.tolist(), row.labels.tolist()) for row in rows
    )
    answered = nats / sum(row.learned for row in rows)
    where = f"{method}, {engine.report.precision} on {engine.report.device}"
    record(
        "Chat after training: loss",
        where,
        f"{answered:.4f}",
        f"trained {run['eval_loss']:.4f}",
    )
    assert engine.report.device == place.kind
    assert engine.report.pane_check
    assert method == "lora" or not place.is_card or engine.report.precision == "4-bit"
    assert answered == pytest.approx(run["eval_loss"], abs=0.05, rel=0.02)
    del engine
    place.clean()
    made = start(
        home,
        "export",
        run["run_id"],
        "--to",
        "merged,gguf:Q8_0",
        "-o",
        tmp_path / "out",
    )
    merged, gguf = made["exports"]
    check = merged["merge"]
    record(
        "Merged weights",
        method,
        f"{check['lost']:.2%} lost",
        f"{check['same_choice']:.1%} same choices",
    )
    file = next(one["path"] for one in gguf["files"] if one["path"].endswith(".gguf"))
    answer = start(
        home,
        "chat",
        run["run_id"],
        "--gguf",
        file,
        "--prompt",
        "Two lamps came broken.",
    )
    record(
        "The GGUF file answers",
        method,
        f"{answer['tokens_per_second']:.0f} tokens/s",
        answer["engine"],
    )
    assert answer["tokens"] > 0
    start(home, "delete", run["run_id"])
    assert start(home, "runs") == {"runs": []}
    assert not folder.exists()
