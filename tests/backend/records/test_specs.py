"""Settings: what people type becomes typed values or is refused; removed settings in older files are ignored."""

import json
import math
from pathlib import Path
from typing import Any, Literal

import pytest

from backend.errors import BadSetting
from backend.records.setting import Settings, setting
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
    for name, fact in TrainSettings.facts().items():
        assert fact.label, name
        assert fact.term.lower() == fact.label.lower(), name
        assert fact.help.endswith("."), name


def test_no_two_settings_share_a_label() -> None:
    facts = TrainSettings.facts().values()
    assert len({fact.label for fact in facts}) == len(facts)


def test_the_settings_of_a_group_follow_each_other() -> None:
    groups = [fact.group for fact in TrainSettings.facts().values()]
    assert groups == sorted(groups, key=groups.index)


def test_the_words_of_the_choices_are_those_of_the_values() -> None:
    for name, fact in TrainSettings.facts().items():
        if fact.choices and name != "target_modules":
            assert set(fact.choices) == set(TrainSettings.options(name)), name


def test_the_allowed_values_of_every_setting_have_words() -> None:
    assert all(TrainSettings.allowed_values(name) for name in TrainSettings.facts())
    assert TrainSettings.allowed_values("precision") == "one of bf16, fp16, fp32, auto"
    assert TrainSettings.allowed_values("weight_decay") == "a number from 0 to 1"
    assert TrainSettings.allowed_values("max_steps") == "a whole number from -1 to 1,000,000"
    assert TrainSettings.allowed_values("learning_rate") == "a number from 0.00000001 to 0.1"
    assert TrainSettings.allowed_values("lr_scheduler_type") == "one of cosine, linear, constant"


class Made(Settings):
    rate: float = setting(0.5, "Learning rate", "How it learns", ge=0, le=1, least=0.1)
    """How fast it
    learns."""
    rounds: int = setting(3, "Epochs", "How it learns", ge=1, le=1000)
    kind: Literal["lora", "full"] = setting("lora", "LoRA method", "What it trains")
    packed: bool = setting(False, "Packing", "What it trains")


def test_typed_text_becomes_values_and_older_values_are_read() -> None:
    typed = Made.parse({"rate": "0.25", "rounds": "4", "kind": "full", "packed": "true"})
    assert typed == Made(rate=0.25, rounds=4, kind="full", packed=True)
    assert Made.parse({"rate": 0.01}).changed(rounds=1) == Made(rate=0.01, rounds=1), "an older run may have less"
    fact = Made.facts()["rate"]
    assert (fact.help, fact.term, Made.facts()["kind"].term) == (
        "How fast it learns.",
        "learning rate",
        "LoRA method",
    )


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("rate", math.nan, "a number from 0.1 to 1"), ("rate", 1.5, "a number from 0.1 to 1"),
        ("rate", 0.01, "a number from 0.1 to 1"), ("rate", None, "a number from 0.1 to 1"),
        ("rounds", 0, "a whole number from 1 to 1,000"), ("rounds", "many", "a whole number from 1 to 1,000"),
        ("kind", "other", "one of lora, full"), ("packed", "perhaps", "true or false"),
        ("rats", 1, "closest match is 'rate'"),
    ],
)  # fmt: skip
def test_another_value_is_refused_in_a_new_run(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(BadSetting) as error:
        Made.parse_new({name: value})
    assert name in error.value.what
    assert allowed in error.value.why
