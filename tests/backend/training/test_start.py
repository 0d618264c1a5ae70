"""A run that continues another one starts from exactly its weights, and from nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.errors import RunProblem, TrainingFailed
from backend.records.specs import TrainSettings
from backend.runs import start
from backend.runs.token_rows import list_files
from tests.backend.tiny_run import FakeWork, continue_from, make_pairs_run, make_run

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

EXACT: dict[str, Any] = {"lora_dropout": 0.0, "early_stopping": False}


def continued(folder: Path, model: Path, make: Any = make_run, **settings: Any) -> tuple[FakeWork, FakeWork]:
    first = make(folder / "first", model, max_steps=12, **EXACT, **settings)
    training.run(first)
    after = make(folder / "after", model, max_steps=2, **EXACT, **settings)
    continue_from(first, after)
    return first, after


@pytest.mark.parametrize(
    "settings", [{}, {"use_dora": True, "use_rslora": True}, {"method": "full", "learning_rate": 1e-3}], ids=str
)
def test_it_starts_where_the_other_one_ended(tiny_model: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    first, after = continued(tmp_path, tiny_model, **settings)
    (*_, saved) = first.events_of("eval")
    outcome = training.run(after)
    before = after.events_of("eval")[0]
    assert before["step"] == 0
    assert before["loss"] == pytest.approx(saved["loss"], rel=1e-5)
    assert before["loss"] < first.events_of("eval")[0]["loss"] - 0.05, "the first one learned something"
    assert outcome.weights_changed


def test_preferences_are_learned_against_the_version_that_it_continues(tiny_model: Path, tmp_path: Path) -> None:
    first, after = continued(tmp_path, tiny_model, make_pairs_run)
    training.run(after)
    assert first.events_of("eval")[-1]["reward_margin"] != 0.0
    assert after.events_of("eval")[0]["reward_margin"] == pytest.approx(0.0, abs=1e-5)


def test_a_run_that_learns_nothing_new_fails(tiny_model: Path, tmp_path: Path) -> None:
    _, after = continued(tmp_path, tiny_model)
    after.spec["settings"] |= {"learning_rate": 1e-30}
    with pytest.raises(TrainingFailed):
        training.run(after)


@pytest.mark.parametrize("damage", ["other", "missing", "shape"])
def test_it_never_starts_from_something_else(tiny_model: Path, tmp_path: Path, damage: str) -> None:
    _, after = continued(tmp_path, tiny_model)
    (file,) = start.folder(after.folder).glob("*.safetensors")
    if damage == "other":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(bytes(data))
    elif damage == "missing":
        file.unlink()
    else:
        after.spec["settings"] |= {"lora_rank": 4}
    list_files(after.folder)
    with pytest.raises(TrainingFailed):
        training.run(after)


def test_it_rejects_another_base_model(tiny_model: Path, tmp_path: Path) -> None:
    _, after = continued(tmp_path, tiny_model)
    noted = start.folder(after.folder) / start.BASE
    files = json.loads(noted.read_text())
    files["model.safetensors"]["sha256"] = "0" * 64
    noted.write_text(json.dumps(files))
    list_files(after.folder)
    with pytest.raises(TrainingFailed, match="base model"):
        training.run(after)


def test_a_version_that_changes_while_it_is_copied_is_rejected(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(RunProblem):
        start.copy(tmp_path, tiny_model, tmp_path / "new", "0" * 64)


@pytest.mark.parametrize(
    ("before", "now", "differing"),
    [
        ({}, {}, []), ({}, {"method": "qlora", "learning_rate": 1e-3}, []), ({}, {"lora_rank": 4}, ["lora_rank"]),
        ({}, {"lora_alpha": 8, "use_dora": True}, ["lora_alpha", "use_dora"]),
        ({}, {"target_modules": ("q_proj",)}, ["target_modules"]), ({}, {"method": "full"}, ["method"]),
        ({"method": "full"}, {"method": "full", "lora_rank": 4}, []),
    ],
)  # fmt: skip
def test_settings_that_change_the_shape_of_the_weights_are_named(
    before: dict[str, Any], now: dict[str, Any], differing: list[str]
) -> None:
    assert start.differing(TrainSettings(**before), TrainSettings(**now)) == differing
