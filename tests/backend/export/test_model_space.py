"""The small app for a Space: its files. tests/browser/test_model_space.py starts it."""

import json
import os
import re
import shutil
from pathlib import Path

from backend.export import space
from backend.models import local
from tests.backend.synthetic import make_finished_run

INSTRUCTION = "Answer with one short sentence."


def make_space(tmp_path: Path, bundled_model: Path) -> Path:
    """The folder of a Space with the bundled model as it is."""
    run = tmp_path / "run"
    make_finished_run(run, bundled_model, "HuggingFaceTB/SmolLM2-135M-Instruct")
    folder = tmp_path / "space"
    shutil.copytree(bundled_model, folder / space.MODEL, copy_function=os.link)
    space.write_model_app(folder, "orders", local.read_run(run), INSTRUCTION)
    return folder


def test_its_files_name_exact_versions_and_hold_no_example(tmp_path: Path, bundled_model: Path) -> None:
    folder = make_space(tmp_path, bundled_model)
    readme = (folder / "README.md").read_text("utf-8")
    assert re.search(r"^sdk_version: \d+\.\d+\.\d+$", readme, re.MULTILINE)
    assert 'title: "orders"' in readme, "a name such as 2026 has to stay a text"
    requirements = (folder / "requirements.txt").read_text("utf-8").splitlines()
    assert {re.split("[= ]", line)[0] for line in requirements} >= {"transformers", "torch", "safetensors"}
    assert all("==" in line or "sha256=" in line for line in requirements)
    assert json.loads((folder / "settings.json").read_text("utf-8")) == {"name": "orders", "instruction": INSTRUCTION}
