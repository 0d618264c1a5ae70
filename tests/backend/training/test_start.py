"""A run that continues another one starts from exactly its weights, and from nothing
else.
"""

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

EXACT: dict[str, Any] = {"lora_dropout": 0.0, "early_stopping": False}


def continued(
    folder: Path, model: Path, make: Any = make_run, **settings: Any
) -> tuple[FakeWork, FakeWork]:
    first = make(folder / "first", model, max_steps=12, **EXACT, **settings)
    training.run(first)
    after = make(folder / "after", model, max_steps=2, **EXACT, **settings)
    continue_from(first, after)
    return first, after


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": "full", "learning_rate": 1e-3},
    ],
    ids=str,
)
def test_it_starts_where_the_other_one_ended(
    tiny_model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    first, after = continued(tmp_path, tiny_model, **settings)
    (*_, saved) = first.events_of("eval")
    outcome = training.run(after)
    before = after.events_of("eval")[0]
    assert before["step"] == 0
    assert before["loss"] == pytest.approx(saved["loss"], rel=1e-5)
    assert before["loss"] < first.events_of("eval")[0]["loss"] - 0.05, (
        "the first one learned something"
    )
    assert outcome.weights_changed


def test_preferences_are_learned_against_the_version_that_it_continues(
    tiny_model: Path, tmp_path: Path
) -> None:
    first, after = continued(tmp_path, tiny_model, make_pairs_run)
    training.run(after)
    assert first.events_of("eval")[-1]["reward_margin"] != 0.0
    assert after.events_of("eval")[0]["reward_margin"] == pytest.approx(0.0, abs=1e-5)


def test_it_starts_from_nothing_else_and_learns_something_new(
    tiny_model: Path, tmp_path: Path
) -> None:
    _, after = continued(tmp_path, tiny_model)
    noted = start.folder(after.folder) / start.BASE
    (file,) = noted.parent.glob("*.safetensors")
    learned, base = file.read_bytes(), noted.read_text()
    other_base = json.loads(base)
    other_base["model.safetensors"]["sha256"] = "0" * 64
    for weights, files, settings, words in (
        (None, base, {}, "missing"), (learned[:-1] + bytes([learned[-1] ^ 1]), base, {}, "changed"),
        (learned, json.dumps(other_base), {}, "base model"), (learned, base, {"lora_rank": 4}, "shape"),
        (learned, base, {"learning_rate": 1e-30}, "learned nothing"),
    ):  # fmt: skip
        file.write_bytes(weights) if weights else file.unlink()
        noted.write_text(files)
        list_files(after.folder)
        work = FakeWork(
            after.folder,
            {**after.spec, "settings": {**after.spec["settings"], **settings}},
        )
        with pytest.raises(TrainingFailed, match=words):
            training.run(work)


def test_a_version_that_changes_while_it_is_copied_is_rejected(
    tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunProblem):
        start.copy(tmp_path, tiny_model, tmp_path / "new", "0" * 64)


@pytest.mark.parametrize(
    ("before", "now", "differing"),
    [
        ({}, {}, []), ({}, {"method": "qlora", "learning_rate": 1e-3}, []), ({}, {"lora_rank": 4}, ["lora_rank"]),
        ({}, {"lora_alpha": 8, "lora_rank": 4}, ["lora_rank", "lora_alpha"]),
        ({}, {"target_modules": ("q_proj",)}, ["target_modules"]), ({}, {"method": "full"}, ["method"]),
        ({"method": "full"}, {"method": "full", "lora_rank": 4}, []),
    ],
)  # fmt: skip
def test_settings_that_change_the_shape_of_the_weights_are_named(
    before: dict[str, Any], now: dict[str, Any], differing: list[str]
) -> None:
    assert start.differing(TrainSettings(**before), TrainSettings(**now)) == differing
