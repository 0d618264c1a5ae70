"""Models that are no Llama: each is trained, stopped, resumed, asked and merged,
whatever is known of its memory.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from backend import training
from backend.chat.engine import Sampling
from backend.chat.torch_engine import TorchEngine
from backend.errors import BadInput
from backend.estimate import estimate, plan_from
from backend.models import catalogue, model_folder
from backend.models.catalogue import Entry
from backend.models.local import learned
from backend.records.machine import Hardware
from backend.records.specs import RunSpec
from backend.records.training import TrainingResult
from backend.settings import PROJECT_ROOT, SAMPLES
from tests.backend.merging import merge
from tests.backend.tiny_run import FakeWork, make_model, make_run, saved

LAYERS = {
    "gpt2": {"c_attn", "c_proj", "c_fc"},
    "gemma3": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "phi": {"q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"}, "mixtral": {"q_proj", "k_proj", "v_proj", "o_proj"},
}  # fmt: skip


class Trained(NamedTuple):
    kind: str
    model: Path
    entry: Entry
    work: FakeWork
    result: TrainingResult


@pytest.fixture(scope="module", params=sorted(LAYERS))
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A run of six steps that was stopped after the third and resumed."""
    folder = tmp_path_factory.mktemp(request.param)
    model = make_model(folder / "model", request.param)
    entry = catalogue.from_folder(model)
    work = run(folder / "stopped", model, entry)
    work.stop_at = 3
    assert training.run(work).state == "stopped"
    work.stop_at, work.attempt = None, 2
    return Trained(request.param, model, entry, work, training.run(work))


def run(folder: Path, model: Path, entry: Entry) -> FakeWork:
    work = make_run(
        folder,
        model,
        rows=24,
        validation=4,
        max_steps=6,
        lora_dropout=0.0,
        target_modules=entry.all_linear_targets,
    )
    more = [
        [{"role": "user", "content": "w1 w2 w3 w4"}],
        [{"role": "user", "content": "w5"}],
    ]
    work.spec["data"]["held_out_prompts"] += more
    return work


@pytest.mark.parametrize("kind", ["gemma3", "gemma4", "mistral3"])
def test_a_language_part_alone_answers_as_in_the_whole_model(
    kind: str, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForImageTextToText

    model = make_model(tmp_path / "model", kind)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    pictures = {"token_type_ids": torch.zeros_like(ids)} if kind == "gemma3" else {}
    whole = AutoModelForImageTextToText.from_pretrained(
        model, dtype=torch.float32, local_files_only=True
    ).eval()
    alone = model_folder.load(model, torch.float32)
    assert not [name for name, _ in alone.named_modules() if "vision" in name]
    with torch.inference_mode():
        assert torch.equal(
            alone(input_ids=ids).logits, whole(input_ids=ids, **pictures).logits
        )


def test_missing_weights_are_noticed(tmp_path: Path, tiny_model: Path) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_model, tmp_path / "model")
    weights = load_file(tiny_model / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=r"up_proj"):
        model_folder.load(tmp_path / "model", torch.float32)


def test_all_weights_of_a_language_part_become_a_model_of_its_own(
    tmp_path: Path,
) -> None:
    """Stored with the names of one: transformers would give them those in the whole
    model.
    """
    import torch

    model = make_model(tmp_path / "model", "mistral3")
    work = make_run(
        tmp_path / "run", model, rows=8, validation=2, max_steps=2, method="full"
    )
    assert training.run(work).state == "completed"
    assert merge(
        model, learned(work.folder, "full"), tmp_path / "merged", [[4, 5, 6, 7]]
    ).ok
    assert (
        type(model_folder.load(tmp_path / "merged", torch.float32)).__name__
        == "Ministral3ForCausalLM"
    )


def adapter(work: FakeWork) -> Path:
    return learned(work.folder, "lora")


def test_layers_size_and_memory_are_known_as_far_as_the_structure(
    trained: Trained,
) -> None:
    assert set(trained.entry.all_linear_targets) == LAYERS[trained.kind]
    assert trained.entry.parameters > 10_000
    settings = RunSpec.model_validate(trained.work.spec).settings
    found = estimate(
        trained.entry.architecture, plan_from(settings, "fp32"), Hardware()
    )
    assert (found.fit.badge == "unknown") == (trained.kind != "gemma3")
    assert found.fit.fits
    assert (found.memory.parts.keys() == {"weights"}) == (trained.kind != "gemma3")


@pytest.mark.slow
def test_the_command_line_trains_it_on_the_sample(
    trained: Trained, tmp_path: Path
) -> None:
    data, model = SAMPLES / "orders.jsonl", trained.model
    command = [
        sys.executable,
        "app.py",
        "train",
        "--data",
        str(data),
        "--model",
        str(model),
        "--set",
        "max_steps=3",
    ]
    command += ["--no-evaluation", "--json", "--workspace", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = (tmp_path / "runs").iterdir()
    assert (learned(folder, "lora") / "adapter_model.safetensors").is_file()


def test_a_resumed_run_is_the_same_as_an_uninterrupted_one(
    trained: Trained, tmp_path: Path
) -> None:
    whole = run(tmp_path / "whole", trained.model, trained.entry)
    result = training.run(whole)
    assert trained.result.state == result.state == "completed"
    assert result.weights_changed
    assert trained.work.losses() == whole.losses()
    assert saved(trained.work) == saved(whole)


def test_it_answers_and_its_merged_weights_answer_alike(
    trained: Trained, tmp_path: Path
) -> None:
    import torch

    engine = TorchEngine(trained.model, adapter(trained.work), dtype=torch.float32)
    question = engine.prompt_ids([{"role": "user", "content": "w1 w2 w3"}])
    text = [*question, *range(4, 12)]
    assert merge(trained.model, adapter(trained.work), tmp_path / "merged", [text]).ok
    merged = TorchEngine(tmp_path / "merged", dtype=torch.float32)
    sampling = Sampling(max_new_tokens=8)
    assert list(merged.tokens("base", question, sampling)) == list(
        engine.tokens("tuned", question, sampling)
    )
    assert merged.nats("base", text, text) == pytest.approx(
        engine.nats("tuned", text, text), rel=1e-3
    )
    assert engine.nats("base", text, text) != pytest.approx(
        engine.nats("tuned", text, text), rel=1e-3
    )
