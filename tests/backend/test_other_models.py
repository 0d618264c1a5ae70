"""Models that are no Llama: each is trained, stopped, resumed, asked and merged, whatever is known of its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backend import training
from backend.chat.engine import Sampling
from backend.chat.torch_engine import TorchEngine
from backend.estimate import estimate, plan_from
from backend.export.merge import merge
from backend.models import catalogue
from backend.models.catalogue import Entry
from backend.models.local import learned
from backend.records.specs import Hardware
from tests.backend.tiny_run import FakeWork, make_model, make_run

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # peft and trl use names that transformers renames

LAYERS = {
    "gpt2": {"c_attn", "c_proj", "c_fc"},
    "gemma3_text": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "phi": {"q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"},
    "mixtral": {"q_proj", "k_proj", "v_proj", "o_proj"},
}


class Trained(NamedTuple):
    kind: str
    model: Path
    entry: Entry
    work: FakeWork
    result: dict[str, Any]


@pytest.fixture(scope="module", params=sorted(LAYERS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of six steps that was stopped after the third and resumed."""
    folder = tmp_path_factory.mktemp(request.param)
    model = make_model(folder / "model", request.param)
    entry = catalogue.from_folder(model)
    work = run(folder / "stopped", model, entry)
    work.stop_at = 3
    assert training.run(work)["state"] == "stopped"
    work.stop_at, work.attempt = None, 2
    return Trained(request.param, model, entry, work, training.run(work))


def run(folder: Path, model: Path, entry: Entry) -> FakeWork:
    work = make_run(
        folder, model, rows=24, validation=4, max_steps=6, lora_dropout=0.0, target_modules=entry.all_linear_targets
    )
    more = [[{"role": "user", "content": "w1 w2 w3 w4"}], [{"role": "user", "content": "w5"}]]
    work.spec["data"]["held_out_prompts"] += more
    return work


def adapter(work: FakeWork) -> Path:
    return learned(work.folder, "lora")


def test_its_linear_layers_are_found_and_its_size(trained: Trained) -> None:
    assert set(trained.entry.all_linear_targets) == LAYERS[trained.kind]
    assert trained.entry.parameters > 10_000


def test_its_memory_is_computed_only_where_its_structure_is_known(trained: Trained) -> None:
    settings = training_settings(trained.work)
    found = estimate(trained.entry.architecture, plan_from(settings, "fp32"), Hardware())
    assert (found.fit.badge == "unknown") == (trained.kind != "gemma3_text")
    assert found.fit.fits
    assert (found.memory.parts.keys() == {"weights"}) == (trained.kind != "gemma3_text")


def training_settings(work: FakeWork) -> Any:
    from backend.records.specs import RunSpec

    return RunSpec.model_validate(work.spec).settings


def test_a_resumed_run_is_the_same_as_an_uninterrupted_one(trained: Trained, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", trained.model, trained.entry)
    result = training.run(whole)
    assert trained.result["state"] == result["state"] == "completed"
    assert result["weights_changed"]
    assert trained.work.losses() == whole.losses()
    assert weights(adapter(trained.work)) == weights(adapter(whole))


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def test_it_answers_and_its_merged_weights_answer_alike(trained: Trained, tmp_path: Path) -> None:
    import torch

    engine = TorchEngine(trained.model, adapter(trained.work), dtype=torch.float32)
    question = engine.prompt_ids([{"role": "user", "content": "w1 w2 w3"}])
    text = [*question, *range(4, 12)]
    assert merge(trained.model, adapter(trained.work), tmp_path / "merged", [text]).ok
    merged = TorchEngine(tmp_path / "merged", dtype=torch.float32)
    sampling = Sampling(max_new_tokens=8)
    assert list(merged.tokens("base", question, sampling)) == list(engine.tokens("tuned", question, sampling))
    assert merged.nats("base", text, text) == pytest.approx(engine.nats("tuned", text, text), rel=1e-3)
    assert engine.nats("base", text, text) != pytest.approx(engine.nats("tuned", text, text), rel=1e-3)
