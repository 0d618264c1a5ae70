"""Settings: what people type becomes typed values or is refused; removed settings in
older files are ignored.
"""

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


def test_removed_settings_are_ignored_in_an_older_run_and_rejected_in_a_new_one() -> (
    None
):
    assert TrainSettings.model_validate({**OLD, "lora_rank": 4}) == TrainSettings(
        lora_rank=4
    )
    assert TrainSettings.model_validate_json(json.dumps(OLD)) == TrainSettings()
    for name, value in OLD.items():
        with pytest.raises(BadSetting, match=f"no setting '{name}'"):
            TrainSettings.parse({name: value})


def test_the_settings_that_an_older_run_used_are_kept(tmp_path: Path) -> None:
    (tmp_path / oom.NAME).write_text(
        json.dumps({**OLD, "per_device_train_batch_size": 2}), "utf-8"
    )
    assert oom.settings_used(tmp_path, TrainSettings()).per_device_train_batch_size == 2


def test_each_setting_has_a_label_of_its_own_a_sentence_and_words_for_its_choices() -> (
    None
):
    facts = TrainSettings.facts()
    for name, fact in facts.items():
        assert fact.label, name
        assert fact.term.lower() == fact.label.lower(), name
        assert fact.help.endswith("."), name
        if fact.choices and name != "target_modules":
            assert set(fact.choices) == set(TrainSettings.options(name)), name
    assert len({fact.label for fact in facts.values()}) == len(facts)
    groups = [fact.group for fact in facts.values()]
    assert groups == sorted(groups, key=groups.index), (
        "the settings of a group follow each other"
    )


def test_the_allowed_values_of_every_setting_have_words() -> None:
    assert all(TrainSettings.allowed_values(name) for name in TrainSettings.facts())
    words = {
        "precision": "one of bf16, fp16, fp32, auto", "weight_decay": "a number from 0 to 1",
        "max_steps": "a whole number from -1 to 1,000,000", "learning_rate": "a number from 0.00000001 to 0.1",
        "lr_scheduler_type": "one of cosine, linear, constant",
    }  # fmt: skip
    assert {name: TrainSettings.allowed_values(name) for name in words} == words


class Made(Settings):
    rate: float = setting(0.5, "Learning rate", "How it learns", ge=0, le=1, least=0.1)
    """How fast it
    learns."""
    rounds: int = setting(3, "Epochs", "How it learns", ge=1, le=1000)
    kind: Literal["lora", "full"] = setting("lora", "LoRA method", "What it trains")
    packed: bool = setting(False, "Packing", "What it trains")


def test_typed_text_becomes_values_and_older_values_are_read() -> None:
    typed = Made.parse(
        {"rate": "0.25", "rounds": "4", "kind": "full", "packed": "true"}
    )
    assert typed == Made(rate=0.25, rounds=4, kind="full", packed=True)
    assert Made.parse({"rate": 0.01}).changed(rounds=1) == Made(rate=0.01, rounds=1), (
        "an older run may have less"
    )
    rate, kind = Made.facts()["rate"], Made.facts()["kind"]
    assert (rate.help, rate.term, kind.term) == (
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
def test_another_value_is_refused_in_a_new_run(
    name: str, value: Any, allowed: str
) -> None:
    with pytest.raises(BadSetting) as error:
        Made.parse_new({name: value})
    assert name in error.value.what
    assert allowed in error.value.why
