"""The instruction of the examples goes with every export."""

import ast
from pathlib import Path

import pytest

from backend.export import model_card
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings

NUMBERS = dict.fromkeys(("train_rows", "validation_rows", "train_tokens", "learned_tokens", "longest"), 9)
RUN = RunSpec(
    name="Bakery",
    model=ModelRef(id="tests/tiny", path=Path("tiny")),
    data=DataRef(name="bakery.jsonl", sha256="", **NUMBERS),
    settings=TrainSettings(),
)
ODD = "Be \"warm\" and brief.\nSign as `Rosie` 🥐 {x} \\ ''' end\""


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_the_card_shows_how_to_ask_with_the_instruction(form: str) -> None:
    card = model_card.card(RUN, form, "bakery", ODD)
    line = next(line for line in card.split("\n") if line.strip().startswith("instruction ="))
    assert ast.literal_eval(line.partition("=")[2].strip()) == ODD
    assert '"system"' in card
    assert "instruction" not in model_card.card(RUN, form, "bakery")
