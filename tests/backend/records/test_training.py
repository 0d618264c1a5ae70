"""The result of a run: older and newest ones are read, damage is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from backend.files.json_file import to_json
from backend.records.training import TrainingResult

NEWEST: dict[str, Any] = {
    "state": "completed", "steps": 40, "weights_changed": True, "train_loss": 1.5, "eval_loss": 1.2, "eval_step": 20,
    "first_eval_loss": 3.1, "best_step": 20, "tokens_per_second": 412.5, "learned_tokens_per_second": 99.5,
    "peak_memory_mib": 1740, "seconds": 240.5, "base_unchanged": True, "precision": "bf16",
    "trainable_parameters": 4096, "reward_accuracy": 0.75, "reward_margin": 0.1,
    "settings_changed": {"per_device_train_batch_size": 1}, "measured": {"memory_mib": 1700.5},
}  # fmt: skip


def test_older_and_newest_results_are_read_as_written() -> None:
    older = TrainingResult.model_validate({"steps": 40, "best_step": 20, "eval_loss": None, "removed": 1})
    assert older.to_json() == {"steps": 40, "best_step": 20, "eval_loss": None}
    assert (older.state, older.precision, older.measured) == ("completed", "", None)
    assert NEWEST.keys() == TrainingResult.model_fields.keys()
    assert TrainingResult.model_validate(json.loads(to_json(NEWEST))).to_json() == NEWEST


@pytest.mark.parametrize(
    "damage",
    [{"steps": 3.5}, {"precision": None}, {"tokens_per_second": None}, {"state": "lost"}, {"peak_memory_mib": 12.5}],
    ids=str,
)
def test_a_damaged_result_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingResult.model_validate({**NEWEST, **damage})
