"""Every training setting can be set on the page and is explained."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from backend.estimate import Plan
from backend.estimate.memory import memory
from backend.models import catalogue
from backend.records.machine import Gpu, Hardware
from backend.records.specs import TrainSettings, allowed_values, parse_settings
from tests.ui.conftest import in_loop
from ui.services.training.overrides import apply_overrides, as_input
from ui.text.memory_parts import PARTS
from ui.text.settings_help import GROUPS, SETTINGS
from ui.web.train import settings_fields

SMALL = catalogue.default().architecture
CARD = Gpu(name="RTX 3090", memory_total_mib=24576, memory_free_mib=24000, compute_capability=(8, 6))
FIELDS = set(TrainSettings.model_fields)


def test_each_setting_has_one_place_and_a_sentence() -> None:
    placed = [name for names in GROUPS.values() for name in names]
    assert sorted(placed) == sorted(FIELDS)
    assert set(SETTINGS) == FIELDS
    for name, help in SETTINGS.items():
        assert help.label, name
        assert help.term.lower() == help.label.lower(), name
        assert help.says.endswith("."), name


def test_no_two_settings_share_a_label() -> None:
    assert len({help.label for help in SETTINGS.values()}) == len(SETTINGS)


def test_inputs_show_the_defaults_and_give_them_back() -> None:
    def build() -> dict[str, gr.components.Component]:
        with gr.Blocks(analytics_enabled=False):
            return settings_fields.build()

    inputs = in_loop(build)
    for name, part in inputs.items():
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
        assert str(read.faults["learning_rate"]).startswith(SETTINGS["learning_rate"].label)
        assert "It must be a number from 0.00000001 to 0.1." in str(read.faults["learning_rate"])
    assert "a whole number from 1 to 256" in str(read.faults["lora_rank"])
    kept = parse_settings({"learning_rate": 1e-99})
    assert kept.changed(seed=1) == TrainSettings(learning_rate=1e-99, seed=1), "a stored run may have it"


@pytest.mark.parametrize("junk", [{"no_such": 1}, {"seed": {"a": []}}, {"target_modules": 5}, {"": None}])
def test_browser_state_of_an_older_page_breaks_nothing(junk: dict[str, Any]) -> None:
    assert apply_overrides(junk, TrainSettings()).settings == TrainSettings()


def test_the_allowed_values_of_every_setting_have_words() -> None:
    assert {name: allowed_values(name) for name in TrainSettings.model_fields}[
        "precision"
    ] == "one of bf16, fp16, fp32, auto"
    assert allowed_values("weight_decay") == "a number from 0 to 1"
    assert allowed_values("max_steps") == "a whole number from -1 to 1,000,000"
    assert allowed_values("learning_rate") == "a number from 0.00000001 to 0.1"
    assert allowed_values("lr_scheduler_type") == "one of cosine, linear, constant"


def test_every_part_of_the_memory_has_its_words_and_its_source() -> None:
    plans = [
        (Plan(method=method, precision=precision, fp32_norms=method == "qlora"), hardware)
        for method in ("lora", "qlora", "full")
        for precision in ("bf16", "fp32")
        for hardware in (Hardware(), Hardware(unified_memory=True), Hardware(gpus=(CARD,)))
    ]
    parts = {name for plan, hardware in plans for name in memory(SMALL, plan, hardware).parts}  # type: ignore[arg-type]
    assert parts == set(PARTS)
    assert all(part.words and part.source for part in PARTS.values())
