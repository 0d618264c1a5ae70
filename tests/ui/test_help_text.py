"""Every number of the recipe can be set on the page, and is explained."""

from __future__ import annotations

import gradio as gr
import pytest

from backend.errors import BadSetting
from backend.specs import TrainSettings
from tests.ui.conftest import in_loop
from ui import advanced
from ui.help_text import GROUPS, SETTINGS

FIELDS = set(TrainSettings.model_fields)


def test_each_setting_has_one_place_and_a_sentence() -> None:
    placed = [name for names in GROUPS.values() for name in names]
    assert sorted(placed) == sorted(FIELDS)
    assert set(SETTINGS) == FIELDS
    for name, help in SETTINGS.items():
        assert help.label, name
        assert help.term, name
        assert help.says.endswith("."), name


def test_no_two_settings_share_a_label() -> None:
    assert len({help.label for help in SETTINGS.values()}) == len(SETTINGS)


def test_inputs_show_the_defaults_and_give_them_back() -> None:
    def build() -> dict[str, gr.components.Component]:
        with gr.Blocks(analytics_enabled=False):
            return advanced.build()

    inputs = in_loop(build)
    values = {name: part.value for name, part in inputs.items()}
    assert advanced.changed(values, TrainSettings()) == {}
    assert advanced.changed({**values, "lora_rank": 16, "target_modules": "attention"}, TrainSettings()) == {
        "lora_rank": 16,
        "target_modules": "attention",
    }


def test_a_number_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="learning_rate"):
        advanced.changed({"learning_rate": 7}, TrainSettings())
