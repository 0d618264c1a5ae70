"""Every training setting can be set on the page and is explained there; a new one needs only its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.export import script
from backend.records.setting import setting
from backend.records.specs import TECHNICAL, DataRef, ModelRef, RunSpec, TrainSettings
from backend.training import measured
from tests.ui.conftest import in_loop
from ui.services.training.overrides import apply_overrides, as_input
from ui.web.train import settings_form


class Planted(TrainSettings):
    offload: bool = setting(False, "Offloading", TECHNICAL)
    """Moves what is not needed at once to the computer's memory."""


def built() -> dict[str, gr.components.Component]:
    def build() -> dict[str, gr.components.Component]:
        with gr.Blocks(analytics_enabled=False):
            return settings_form.build()

    return in_loop(build)


def test_a_new_setting_needs_only_its_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is part of the key of a measurement, on the page with its help, on the command line and in the script."""
    without, with_it = Planted(), Planted.parse({"offload": "true"})

    model = ModelRef(id="tests/none", path=tmp_path)
    first, second = (measured.key(model, settings, "", 1, 1, 1) for settings in (without, with_it))
    assert first != second

    monkeypatch.setattr(settings_form, "TrainSettings", Planted)
    field = built()["offload"]
    assert isinstance(field, gr.Checkbox)
    assert (field.label, field.info) == ("Offloading", "Moves what is not needed at once to the computer's memory.")
    assert apply_overrides({"offload": True}, without).changed == {"offload"}

    data = DataRef(name="", sha256="", train_rows=1, validation_rows=1, train_tokens=1, learned_tokens=1, longest=1)
    run = RunSpec(name="", model=model, data=data, settings=with_it)
    values = script.settings(run, 1, 1, "fp32", 0)
    assert "\nOFFLOAD = True\n" in script.fill_template(values, run)


def test_inputs_show_the_defaults_and_give_them_back() -> None:
    for name, part in built().items():
        read = apply_overrides({name: part.value}, TrainSettings())
        assert (read.settings, read.changed, read.faults) == (TrainSettings(), frozenset(), {})


def test_a_changed_setting_replaces_the_recommended_one() -> None:
    recommended = TrainSettings(max_length=128, learning_rate=5e-4)
    read = apply_overrides(
        {"lora_rank": 16, "target_modules": "attention", "max_length": 128, "seed": None}, recommended
    )
    assert read.settings == recommended.changed(lora_rank=16, target_modules="attention")
    assert read.changed == {"lora_rank", "target_modules"}


def test_layers_of_their_own_are_left_as_recommended() -> None:
    recommended = TrainSettings(target_modules=("qkv_proj", "o_proj"))
    shown = as_input("target_modules", recommended.target_modules)
    assert apply_overrides({"target_modules": shown}, recommended) == apply_overrides({}, recommended)


def test_a_number_out_of_range_is_refused_by_name_and_the_others_count() -> None:
    for rate in (7, 1e-99):
        read = apply_overrides({"learning_rate": rate, "lora_rank": 0, "seed": 4}, TrainSettings())
        assert read.settings == TrainSettings(seed=4)
        assert read.changed == {"seed"}
        assert str(read.faults["learning_rate"]).startswith("Learning rate can't be ")
        assert "It must be a number from 0.00000001 to 0.1." in str(read.faults["learning_rate"])
    assert "a whole number from 1 to 256" in str(read.faults["lora_rank"])
    kept = TrainSettings.parse({"learning_rate": 1e-99})
    assert kept.changed(seed=1) == TrainSettings(learning_rate=1e-99, seed=1), "a stored run may have it"


@pytest.mark.parametrize("junk", [{"no_such": 1}, {"seed": {"a": []}}, {"target_modules": 5}, {"": None}])
def test_browser_state_of_an_older_page_breaks_nothing(junk: dict[str, Any]) -> None:
    assert apply_overrides(junk, TrainSettings()).settings == TrainSettings()
