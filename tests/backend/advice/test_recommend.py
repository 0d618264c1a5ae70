"""What is recommended for simulated machines, by the guide's rules."""

import json
import re
from functools import partial

import pytest

from backend.advice.reasons import obstacle
from backend.advice.recommend import recommend as recommend_and_compare
from backend.advice.settings import Data, trained_tokens
from backend.datasets.split import split_sizes
from backend.hardware import load_hardware
from backend.models import catalogue
from backend.records.machine import Hardware
from backend.records.specs import ALL_LINEAR, ASKING_TOKENS, TrainSettings
from backend.settings import PROJECT_ROOT

# Comparing the other models takes most of the time, so tests that don't look at them
# leave it out.
recommend = partial(recommend_and_compare, compare=False)
MACHINES = PROJECT_ROOT / "tests" / "backend" / "machines"
BUNDLED = catalogue.default().id


def machine(name: str) -> Hardware:
    return load_hardware(MACHINES / f"{name}.json")


@pytest.mark.parametrize(
    ("name", "least", "most", "method", "precision"),
    [
        ("rtx3090", 7, 8.3, "qlora", "bf16"), ("rtx4090", 7, 8.3, "qlora", "bf16"), ("rtx3060", 1.5, 4.1, "qlora", ""),
        ("t4", 2, 4.1, "", "fp16"), ("laptop4060", 1.5, 4.1, "qlora", ""), ("macbook16", 0.5, 3.8, "lora", ""),
        ("held_card", 0, 3.8, "", ""),
    ],
)  # fmt: skip
def test_each_machine_gets_the_largest_model_that_it_trains_well(
    name: str, least: float, most: float, method: str, precision: str
) -> None:
    found = recommend(machine(name))
    assert least <= found.model.parameters / 1e9 < most
    assert found.fit == "yes"
    assert (method or found.settings.method, precision or found.settings.precision) == (
        found.settings.method, found.settings.precision
    )  # fmt: skip


def test_what_is_special_about_a_machine_counts() -> None:
    assert recommend(machine("macbook16")).memory.device == "mps"
    assert recommend(machine("held_card")).memory.total_mib < 3000, (
        "other programs use the rest"
    )
    assert recommend(machine("two_cards")).model == recommend(machine("rtx3090")).model


@pytest.mark.parametrize(
    "name", ["a6000", pytest.param("h100", marks=pytest.mark.slow)]
)
def test_48_gb_and_more_offer_full_fine_tuning_if_it_fits(name: str) -> None:
    assert recommend_and_compare(machine(name)).full.fit.fits
    assert recommend_and_compare(machine("rtx4090")).full is None, "24 GB"


@pytest.mark.parametrize("name", ["cpu8", "cpu16", "cpu24", "zero_gpu"])
def test_a_processor_trains_the_small_model_with_the_measured_settings(
    name: str,
) -> None:
    settings = recommend(machine(name), Data(rows=200, longest=212)).settings
    assert (settings.method, settings.lora_rank, settings.lora_alpha) == ("lora", 8, 16)
    assert (settings.target_modules, settings.effective_batch) == (ALL_LINEAR, 8)
    assert (settings.num_train_epochs, settings.learning_rate) == (3, 5e-4)
    assert not settings.gradient_checkpointing
    assert recommend(machine(name)).model.id == BUNDLED


def test_larger_models_train_as_others_published() -> None:
    found = recommend(
        machine("rtx3090"), Data(rows=60), model_id="meta-llama/Llama-3.1-8B-Instruct"
    )
    settings = found.settings
    assert (settings.target_modules, settings.learning_rate) == (ALL_LINEAR, 2e-4)
    assert (settings.effective_batch, settings.planned_steps(45)) == (4, 120)
    published = ("target_modules", "per_device_train_batch_size")
    assert all("LoRA Without Regret" in found.why[name] for name in published)
    for name in (*published, "num_train_epochs", "learning_rate"):
        assert "Not measured by us" in found.why[name]
    more = recommend(machine("rtx3090"), Data(rows=500), model_id="Qwen/Qwen3-8B")
    assert (more.settings.effective_batch, more.settings.num_train_epochs) == (8, 3)
    pieces = recommend(
        machine("cpu16"), Data(rows=1, train_rows=400, longest=90_000, documents=True)
    ).settings
    assert pieces.num_train_epochs == 3
    small = recommend(machine("laptop4060"), Data(longest=2048)).settings
    assert (small.effective_batch, small.gradient_accumulation_steps > 1) == (8, True)


def test_if_nothing_fits_or_nothing_can_be_downloaded() -> None:
    found = recommend_and_compare(machine("tiny"))
    assert found.fit == "no"
    assert "No model fits now" in found.reasons[0]
    assert any("It would fit" in reason for reason in found.reasons)
    assert not any(other.fit == "yes" for other in found.others)
    found = recommend_and_compare(machine("rtx4090"), available={BUNDLED})
    assert found.model.id == BUNDLED
    assert found.startable
    assert any("downloaded first" in reason for reason in found.reasons)
    assert not any(other.startable for other in found.others)
    small = machine("rtx4090").model_copy(update={"disk_free_mib": 3000})
    found = recommend_and_compare(small)
    assert found.model.download_mib < 3000
    large = next(other for other in found.others if other.model.id == "Qwen/Qwen3-8B")
    assert not large.startable
    assert "disk" in large.reasons[0]


@pytest.mark.parametrize("share", [0.5, 1.1, 1.1999])
def test_more_disk_space_is_needed_than_is_free(share: float) -> None:
    """Some stays free, so a disk that just holds the download is too small."""
    entry = catalogue.find("Qwen/Qwen3-8B")
    small = machine("rtx4090").model_copy(
        update={"disk_free_mib": int(share * entry.download_mib)}
    )
    needs, has = (
        float(size) for size in re.findall(r"([\d.]+) GB", obstacle(entry, small, None))
    )
    assert needs > has


def test_task_language_and_length_matter() -> None:
    assert (
        "extract" in recommend(machine("rtx4090"), Data(task="extract")).model.good_for
    )
    assert "de" in recommend(machine("cpu24"), Data(language="de")).model.languages
    assert (
        recommend(machine("rtx4090"), Data(longest=9000)).model.context_length >= 9000
    )


def test_settings_depend_on_the_number_and_length_of_rows() -> None:
    few, many = (
        recommend(machine("rtx4090"), Data(rows=rows)).settings for rows in (500, 5000)
    )
    assert (
        (few.lora_rank, many.lora_rank),
        (few.effective_batch, many.effective_batch),
    ) == ((8, 16), (8, 16))
    assert few.num_train_epochs == 3
    assert many.num_train_epochs < 3
    assert recommend(machine("rtx4090"), Data(longest=300)).settings.max_length == 320
    long = recommend(machine("rtx4090"), Data(longest=20_000))
    assert long.settings.max_length == 4096
    assert "overlapping parts" in long.why["max_length"]
    documents = recommend(
        machine("rtx4090"), Data(longest=50_000, documents=True)
    ).settings
    assert (
        documents.long_documents,
        documents.max_length,
        documents.window_overlap,
    ) == ("windows", 4096, 512)


@pytest.mark.parametrize(
    ("rows", "epochs"), [(10, 20), (30, 20), (57, 10), (120, 5), (240, 3), (2000, 3)]
)
def test_few_examples_are_repeated_until_there_are_enough_steps(
    rows: int, epochs: int
) -> None:
    small = recommend(machine("cpu16"), Data(rows=rows))
    assert (
        small.settings.num_train_epochs,
        "our tests" in small.why["num_train_epochs"],
    ) == (epochs, epochs > 3)
    large = recommend(machine("rtx4090"), Data(rows=rows))
    assert abs(large.settings.num_train_epochs - epochs) <= 1
    assert ("Not measured by us" in large.why["num_train_epochs"]) == (epochs > 3), (
        "only on a small model"
    )
    pairs = recommend(machine("rtx4090"), Data(rows=rows, trainer="dpo"))
    assert pairs.settings.num_train_epochs <= 5


def test_every_setting_has_a_reason_and_the_json_its_keys() -> None:
    found = recommend_and_compare(
        machine("rtx3060"), Data(task="voice", rows=200, longest=400, tokens=60_000)
    )
    assert set(found.why) >= {
        "method", "lora_rank", "target_modules", "learning_rate", "max_length", "num_train_epochs",
        "per_device_train_batch_size", "gradient_checkpointing", "precision",
    }  # fmt: skip
    fits = [("yes", "tight", "no").index(other.fit) for other in found.others]
    assert (fits, len(found.others)) == (sorted(fits), len(catalogue.entries()) - 1)
    document = json.loads(json.dumps(found.to_json()))
    assert set(document) >= {
        "hardware",
        "model",
        "settings",
        "estimate",
        "reasons",
        "others",
    }
    assert set(document["others"][0]) >= {
        "model",
        "fit",
        "settings",
        "estimate",
        "reasons",
        "startable",
    }
    assert document["estimate"]["time"]["seconds"] > 0
    assert document["estimate"]["memory"]["total_mib"] < 11_800


def test_the_time_contains_the_answers_of_a_base_model_that_is_not_known() -> None:
    data, settings = (
        Data(rows=60, tokens=6000, longest=120),
        TrainSettings(keep_general=0.2, num_train_epochs=10.0),
    )
    other = next(entry for entry in catalogue.entries() if not entry.bundled)
    more = (
        trained_tokens(other, data, settings),
        trained_tokens(catalogue.default(), data, settings),
    )
    assert all(more)
    assert (
        (more[0] or 0) - (more[1] or 0)
        == settings.general_rows(split_sizes(60)[0]) * ASKING_TOKENS
        > 0
    )
    alone = settings.changed(keep_general=0.0)
    assert trained_tokens(other, data, alone) == trained_tokens(
        catalogue.default(), data, alone
    )
