"""Settings: what people type becomes typed values; anything else is refused with what is allowed."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest

from backend.errors import BadSetting
from backend.records.setting import Settings, setting


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
        ("rate", math.nan, "a number from 0.1 to 1"),
        ("rate", 1.5, "a number from 0.1 to 1"),
        ("rate", 0.01, "a number from 0.1 to 1"),
        ("rate", None, "a number from 0.1 to 1"),
        ("rounds", 0, "a whole number from 1 to 1,000"),
        ("rounds", "many", "a whole number from 1 to 1,000"),
        ("kind", "other", "one of lora, full"),
        ("packed", "perhaps", "true or false"),
        ("rats", 1, "closest match is 'rate'"),
    ],
)
def test_another_value_is_refused_in_a_new_run(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(BadSetting) as error:
        Made.parse_new({name: value})
    assert name in error.value.what
    assert allowed in error.value.why
