"""The catalogue's entries and the evidence for them: complete, correct, and extended by
models in folders.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadInput, MissingPart, WorkspaceProblem
from backend.estimate.reading import SUPPORTED
from backend.models import catalogue, evidence
from backend.models.catalogue import Entry
from backend.models.evidence import Evidence

ENTRIES = catalogue.entries()
FAMILIES = (
    "Llama 3", "Phi-3", "Phi-4", "Gemma 2", "Gemma 3", "CodeGemma", "Qwen2.5", "Qwen3", "SmolLM2", "SmolLM3",
    "Mistral", "LFM2.5", "Qwen3.5", "OLMo 3", "EXAONE", "MiniCPM",
)  # fmt: skip

MODEL_TYPES = {
    "Mistral": "mistral", "SmolLM3": "smollm3", "Qwen2.5": "qwen2", "Qwen3": "qwen3", "Phi-3": "phi3",
    "Phi-4": "phi3", "Gemma 2": "gemma2", "Gemma 3": "gemma3_text", "CodeGemma": "gemma", "OLMo 2": "olmo2",
    "Granite": "granite", "Granite 4.0": "granitemoehybrid", "LFM2.5": "lfm2", "Qwen3.5": "qwen3_5_text",
    "OLMo 3": "olmo3", "EXAONE": "exaone4",
}  # fmt: skip


def ids(entry: Entry) -> str:
    return entry.id


def test_popular_families_are_listed_and_one_free_model_is_bundled() -> None:
    assert {entry.family for entry in ENTRIES} >= set(FAMILIES)
    assert len({entry.id for entry in ENTRIES}) == len(ENTRIES)
    bundled = [entry for entry in ENTRIES if entry.bundled]
    assert bundled == [catalogue.default()]
    assert bundled[0].commercial_use
    assert not bundled[0].gated


@pytest.mark.parametrize("entry", ENTRIES, ids=ids)
def test_an_entry_is_complete_and_its_parameters_add_up(entry: Entry) -> None:
    assert all((entry.licence, entry.languages, entry.good_for))
    assert entry.context_length >= 2048
    assert entry.gated == bool(entry.access)
    assert re.fullmatch(r"[0-9a-f]{40}|", entry.revision)
    assert entry.architecture.num_params == entry.parameters
    assert set(entry.all_linear_targets) == set(
        catalogue.targets_of(MODEL_TYPES.get(entry.family, "llama"))
    )
    off = (
        1e-4 if entry.family in ("Qwen2.5", "OLMo 2", "OLMo 3") else 0
    )  # as published, to the last one
    assert entry.architecture.counted_params == pytest.approx(entry.parameters, rel=off)
    if not entry.bundled:
        needed = entry.parameters * 2 / 2**20
        # The note mentions parts that are not trained; the file of Qwen3 0.6B has its
        # embeddings twice.
        more = "pictures" in entry.note or entry.id == "Qwen/Qwen3-0.6B"
        assert (
            (1.05 if more else 1.0)
            <= entry.download_mib / needed
            <= (1.3 if more else 1.05)
        )


@pytest.mark.parametrize("kind", sorted(SUPPORTED))
def test_the_targets_of_a_model_type_are_its_linear_layers(kind: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    shape: dict[str, Any] = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
    }  # fmt: skip
    if kind in ("exaone4", "olmo3"):
        shape["layer_types"] = [*["sliding_attention"] * 3, "full_attention"]
    if kind == "lfm2":
        shape["layer_types"] = [*["conv"] * 3, "full_attention"]
    if kind == "granitemoehybrid":
        shape |= {
            "layer_types": ["attention"] * 4,
            "num_local_experts": 0,
            "mamba_n_heads": 8,
        }
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**shape))
    names = {
        name.rpartition(".")[2]
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear)
    }
    assert set(catalogue.targets_of(kind)) == names - {"lm_head"}


def test_a_model_is_found_by_id_and_name_and_an_unknown_one_reported_with_the_closest() -> (
    None
):
    assert catalogue.find("qwen3-8b").id == "Qwen/Qwen3-8B"
    assert catalogue.find("microsoft/Phi-4-mini-instruct").name == "Phi-4 mini"
    with pytest.raises(BadInput) as unknown:
        catalogue.find("Qwen/Qwen3-9B")
    assert "Qwen/Qwen3-8B" in unknown.value.why


def folder_with(tmp_path: Path, **config: object) -> Path:
    folder = tmp_path / "My model"
    folder.mkdir()
    config_values = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 256, "tie_word_embeddings": True,
        "max_position_embeddings": 2048, **config,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config_values))
    (folder / "model.safetensors").write_bytes(b"\0" * 2048)
    return folder


def test_a_model_in_a_folder_is_read_from_its_config(tmp_path: Path) -> None:
    entry = catalogue.from_folder(folder_with(tmp_path))
    assert entry.id == "local/My-model"
    assert (
        entry.parameters
        == 256 * 64 + 2 * (64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 128 + 2 * 64) + 64
    )
    assert entry.context_length == 2048


def test_a_model_with_its_own_code_and_a_folder_without_one_are_rejected(
    tmp_path: Path,
) -> None:
    with pytest.raises(MissingPart):
        catalogue.from_folder(tmp_path)
    with pytest.raises(WorkspaceProblem):
        catalogue.from_folder(
            folder_with(tmp_path, auto_map={"AutoConfig": "evil.Config"})
        )


@pytest.mark.parametrize(
    "more",
    [
        {"layer_types": ["full_attention", "mamba"]},
        {"num_local_experts": 4},
        {"model_type": "falcon_h1"},
    ],
)
def test_a_model_whose_memory_is_not_modeled_is_read_from_its_tensors(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    import numpy
    from safetensors.numpy import save_file

    folder = folder_with(tmp_path, **more)
    shapes = {
        "model.embed_tokens.weight": (256, 64), "model.layers.0.self_attn.q_proj.weight": (64, 64),
        "model.layers.1.self_attn.q_proj.weight": (64, 64), "model.layers.1.mlp.up_proj.weight": (128, 64),
        "model.layers.1.mlp.gate.weight": (4, 64), "model.layers.1.mlp.experts.0.w1.weight": (128, 64),
        "model.layers.1.norm.weight": (64,), "model.layers.1.mamba.out_proj.weight": (64, 2),
        "model.layers.1.moe.router.layer.weight": (4, 64),
    }  # fmt: skip
    save_file(
        {name: numpy.zeros(shape, numpy.float16) for name, shape in shapes.items()},
        folder / "model.safetensors",
    )
    entry = catalogue.from_folder(folder)
    assert entry.all_linear_targets == ("q_proj", "up_proj")
    assert not entry.architecture.is_modeled
    assert (entry.architecture.num_layers, entry.parameters) == (
        2,
        256 * 64 + 2 * 64 * 64 + 2 * 128 * 64 + 11 * 64,
    )


@pytest.mark.parametrize(
    "more",
    [
        {"model_type": "never_heard_of"},
        {"model_type": "t5", "is_encoder_decoder": True},
        {"model_type": "bert"},
        {"model_type": "qwen2_5_vl", "text_config": {"model_type": "qwen2_5_vl_text"}},
        {
            "model_type": "gemma4",
            "text_config": {"model_type": "gemma4_text"},
        },  # without weights
        {"model_type": "falcon_h1"},  # its file is damaged
    ],
    ids=str,
)
def test_what_cannot_be_loaded_as_a_language_model_is_rejected(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    with pytest.raises(BadInput) as rejected:
        catalogue.from_folder(folder_with(tmp_path, **more))
    assert rejected.value.why
    assert rejected.value.next


RESULTS = [
    (model_id, one) for model_id, found in evidence.published().items() for one in found
]


@pytest.mark.parametrize(
    ("model_id", "result"),
    RESULTS,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_result_has_a_source_and_belongs_to_a_listed_model(
    model_id: str, result: Evidence
) -> None:
    assert catalogue.find(model_id).id == model_id
    assert all((result.source, result.publisher))
    assert result.url.startswith("https://")
    assert not result.date or "2025" <= result.date < "2027"
    assert result.models >= result.places
    assert (result.rank is None) == (result.interval is None)
    if result.place is not None:
        assert 1 <= result.place <= result.places
    if result.rank is not None and result.interval is not None:
        assert result.place is not None
        assert sum(result.interval) / 2 == pytest.approx(result.rank)


def test_places_follow_the_mean_ranks() -> None:
    for source in {one.source for _, one in RESULTS}:
        found = [
            one for _, one in RESULTS if one.source == source and one.rank is not None
        ]
        ranked = sorted((one.rank, one.place or 0) for one in found)
        assert len(ranked) == 6
        assert [place for _, place in ranked] == sorted(place for _, place in ranked)


@pytest.mark.parametrize(
    ("name", "date", "place", "rank", "interval"),
    [
        ("Qwen3-8B", "2026-03", 1, 2.33, (1.76, 2.90)), ("Qwen3-4B-Instruct-2507", "2026-03", 2, 3.33, (1.43, 5.23)),
        ("Llama-3.2-3B-Instruct", "2026-03", 3, 4.11, (2.83, 5.39)), ("Qwen3-0.6B", "2026-03", 6, 5.44, (2.84, 8.04)),
        ("granite-3.3-8b-instruct", "", None, None, None), ("SmolLM2-135M-Instruct", "2026-03", None, None, None),
    ],
)  # fmt: skip
def test_the_newest_comparison_counts(
    name: str,
    date: str,
    place: int | None,
    rank: float | None,
    interval: tuple[float, float] | None,
) -> None:
    newest = catalogue.find(name).evidence[0]
    assert (newest.date, newest.place, newest.rank, newest.interval) == (
        date,
        place,
        rank,
        interval,
    )
    assert newest.standing == (rank or 8)


def test_models_in_both_comparisons_have_both_results_and_those_in_none_have_none() -> (
    None
):
    assert [one.rank for one in catalogue.find("Qwen3-4B-Instruct-2507").evidence] == [
        3.33,
        2.25,
    ]
    unpublished = {
        "Phi-3",
        "Phi-4",
        "Qwen3.5",
        "Falcon3",
        "OLMo 2",
        "OLMo 3",
        "EXAONE",
        "SmolLM3",
    }
    assert not any(entry.evidence for entry in ENTRIES if entry.family in unpublished)


@pytest.mark.parametrize(
    "entry",
    [one for one in catalogue.entries() if one.replaced_by],
    ids=lambda one: one.id,
)
def test_a_newer_model_is_of_the_same_makers_and_of_about_the_same_size(
    entry: Entry,
) -> None:
    newer = catalogue.find(entry.replaced_by)
    assert newer.id.partition("/")[0] == entry.id.partition("/")[0]
    assert 0.9 <= newer.parameters / entry.parameters <= 1.4
    assert not newer.replaced_by
    assert newer.evidence or not entry.evidence or entry.evidence[0].place is None
