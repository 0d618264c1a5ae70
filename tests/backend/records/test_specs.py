"""Settings that no longer exist: ignored in the files of older runs, rejected where a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.errors import BadSetting
from backend.records.specs import TrainSettings, parse_settings
from backend.training import oom

OLD = {"num_processes": 2, "sharding": "fsdp"}


def test_a_spec_of_an_older_run_is_read_without_the_removed_settings() -> None:
    assert TrainSettings.model_validate({**OLD, "lora_rank": 4}) == TrainSettings(lora_rank=4)
    assert TrainSettings.model_validate_json(json.dumps(OLD)) == TrainSettings()


def test_the_settings_that_an_older_run_used_are_kept(tmp_path: Path) -> None:
    (tmp_path / oom.NAME).write_text(json.dumps({**OLD, "per_device_train_batch_size": 2}), "utf-8")
    assert oom.settings_used(tmp_path, TrainSettings()).per_device_train_batch_size == 2


@pytest.mark.parametrize("name", OLD)
def test_a_removed_setting_is_rejected_in_a_new_run(name: str) -> None:
    with pytest.raises(BadSetting, match=f"no setting '{name}'"):
        parse_settings({name: OLD[name]})
