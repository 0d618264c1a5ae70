"""Makes the finished apprentice that a first visit begins with, in static/first.

    python -m tests.static.make_first [WORKSPACE]

It trains the bundled model on the orders sample as the app does, with the recommended
settings, and evaluates it on the sample's held-out rows. WORKSPACE: where (default: a
temporary folder); an evaluated run that lies there is taken.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from backend.evaluation.report import REPORT
from backend.files.json_file import read_json
from backend.models import bundled
from backend.records.evaluation import EvaluationReport
from backend.records.specs import RunSpec
from backend.settings import PROJECT_ROOT, Workspace

FOLDER = PROJECT_ROOT / "static" / "first"
SAMPLE = PROJECT_ROOT / "static" / "samples" / "orders.jsonl"
RECORDED = 4  # messages


def evaluated(workspace: Workspace) -> tuple[Path, Path] | None:
    """The folders of the latest evaluation in the workspace, and of the run that it is
    about.
    """
    reports = sorted(workspace.runs.glob(f"*/{REPORT}"))
    if not reports:
        return None
    folder = reports[-1].parent
    return folder, workspace.runs / read_json(folder / "spec.json")["run"]


def save_half(source: Path, to: Path) -> None:
    """Copies an adapter's weights in half precision, which is exact enough to answer
    the same.
    """
    import torch
    from safetensors.torch import load_file, save_file

    save_file(
        {
            name: weights.to(torch.float16)
            for name, weights in load_file(source).items()
        },
        to,
    )


def main() -> None:
    workspace = Workspace.open(
        Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    )
    if evaluated(workspace) is None:
        train = [
            "train",
            "--data",
            str(SAMPLE),
            "--name",
            "Orders",
            "--workspace",
            str(workspace.root),
        ]
        subprocess.run([sys.executable, "app.py", *train], cwd=PROJECT_ROOT, check=True)
    found = evaluated(workspace)
    assert found, "The training ended without an evaluation."
    evaluation, run = found
    spec, report = (
        RunSpec.model_validate(read_json(run / "spec.json")),
        EvaluationReport.model_validate(read_json(evaluation / REPORT)),
    )
    assert report.general
    adapter = run / "result" / "adapter"
    save_half(
        adapter / "adapter_model.safetensors", FOLDER / "adapter_model.safetensors"
    )
    shutil.copy(adapter / "adapter_config.json", FOLDER)
    right = [row for row in report.answers if row.scores["tuned"] == 1]
    answers = [
        {name: row.model_dump()[name] for name in ("question", "base", "tuned")}
        for row in right[:RECORDED]
    ]
    recorded = {
        "model": bundled.MODEL_ID, "examples": spec.data.train_rows, "settings": spec.settings.model_dump(),
        "versions": spec.versions, "asked": len(report.answers), "right": len(right),
        "base_right": sum(row.scores["base"] == 1 for row in report.answers),
        "general": {"base_right": report.general.base_right, "kept": report.general.kept}, "answers": answers,
    }  # fmt: skip
    (FOLDER / "recorded.json").write_text(
        json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main()
