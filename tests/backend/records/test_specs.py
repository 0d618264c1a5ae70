"""Settings: each has its facts. Those that no longer exist are ignored in older files, and rejected when typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.errors import BadSetting
from backend.records.specs import TrainSettings
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
        TrainSettings.parse({name: OLD[name]})


def test_each_setting_has_a_label_and_a_sentence() -> None:
    for name, setting in TrainSettings.facts().items():
        assert setting.label, name
        assert setting.term.lower() == setting.label.lower(), name
        assert setting.help.endswith("."), name


def test_no_two_settings_share_a_label() -> None:
    facts = TrainSettings.facts().values()
    assert len({setting.label for setting in facts}) == len(facts)


def test_the_settings_of_a_group_follow_each_other() -> None:
    groups = [setting.group for setting in TrainSettings.facts().values()]
    assert groups == sorted(groups, key=groups.index)


def test_the_words_of_the_choices_are_those_of_the_values() -> None:
    for name, setting in TrainSettings.facts().items():
        if setting.choices and name != "target_modules":
            assert set(setting.choices) == set(TrainSettings.options(name)), name


def test_the_allowed_values_of_every_setting_have_words() -> None:
    assert all(TrainSettings.allowed_values(name) for name in TrainSettings.facts())
    assert TrainSettings.allowed_values("precision") == "one of bf16, fp16, fp32, auto"
    assert TrainSettings.allowed_values("weight_decay") == "a number from 0 to 1"
    assert TrainSettings.allowed_values("max_steps") == "a whole number from -1 to 1,000,000"
    assert TrainSettings.allowed_values("learning_rate") == "a number from 0.00000001 to 0.1"
    assert TrainSettings.allowed_values("lr_scheduler_type") == "one of cosine, linear, constant"
