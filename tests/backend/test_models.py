"""Runs find their model again after the workspace was moved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend import models, training
from backend.errors import RunProblem
from backend.specs import RunSpec
from tests.backend.tiny_run import make_run

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def test_a_run_goes_on_and_is_read_after_its_workspace_was_moved(tiny_model: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    model = shutil.copytree(tiny_model, old / "models" / "tiny")
    work = make_run(old / "runs" / "a", model, max_steps=3)
    (work.folder / "spec.json").write_text(RunSpec.model_validate(work.spec).model_dump_json())
    work.stop_at = 2
    training.run(work)
    old.rename(new)
    work.folder, work.stop_at = new / "runs" / "a", None
    assert models.read_run(work.folder).model.path == new / "models" / "tiny"
    assert training.run(work)["steps"] == 3


def test_a_model_outside_the_workspace_stays_where_it_is(tiny_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a"
    work = make_run(run, tiny_model)
    (tmp_path / "models" / tiny_model.name).mkdir(parents=True)
    assert models.located(RunSpec.model_validate(work.spec), run).model.path == tiny_model


def test_a_folder_without_a_readable_spec_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(RunProblem, match="no training run"):
        models.read_run(tmp_path)
