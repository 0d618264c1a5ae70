"""Where an export can be used: the texts are complete, and the Python in them runs."""

from pathlib import Path
from typing import Any

import pytest

from backend.export import programs
from backend.models import causal_lm, model_folder
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.synthetic import make_adapter
from tests.backend.tiny_run import make_model

GUIDES = {
    "gguf": programs.for_gguf("bakery-Q8_0.gguf", "Be warm."), "merged": programs.for_merged("bakery", "Be warm."),
    "adapter": programs.for_adapter("bakery", "tests/tiny", "Be warm."), "script": programs.for_script("tests/tiny"),
}  # fmt: skip


def test_each_kind_of_export_has_its_programs() -> None:
    names = {kind: [guide.name for guide in guides] for kind, guides in GUIDES.items()}
    assert names == {
        "gguf": ["LM Studio", "Ollama", "llama.cpp", "Jan"], "merged": ["vLLM", "MLX", "transformers"],
        "adapter": ["transformers and peft"],
        "script": ["accelerate on this computer", "accelerate on a cluster", "Hugging Face Jobs"],
    }  # fmt: skip
    own = programs.for_script()
    assert [guide.name for guide in own] == [
        "accelerate on this computer",
        "accelerate on a cluster",
    ]
    assert all(guide.code.endswith("--model FOLDER") for guide in own)


@pytest.mark.parametrize("kind", GUIDES)
def test_the_text_file_has_all_steps_and_the_instruction(kind: str) -> None:
    text = programs.as_text(GUIDES[kind], "Be warm.")
    words = " ".join(text.split())
    for guide in GUIDES[kind]:
        assert guide.source.startswith("https://")
        assert all(step in words for step in guide.steps)
        assert all(line in text for line in guide.code.splitlines())
    assert text.rstrip().endswith("Be warm.")
    assert "The instruction" not in programs.as_text(programs.for_gguf("a.gguf"))


@pytest.mark.parametrize("family", ["llama", "mistral3"])
@pytest.mark.parametrize("kind", ["merged", "adapter"])
def test_the_python_asks_with_the_tokens_of_training(
    kind: str,
    family: str,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also of a model that sees, of which the language part alone was trained."""
    import torch

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / f"bakery-{kind}"
    model = tiny_model if family == "llama" else make_model(tmp_path / "model", family)
    make_adapter(folder, model) if kind == "adapter" else folder.symlink_to(model)
    renamed = causal_lm.key_mapping(model)
    merged, adapter = (
        programs.for_merged("bakery", "", renamed),
        programs.for_adapter("bakery", str(model), "", renamed),
    )
    guides = merged if kind == "merged" else adapter
    variables: dict[str, Any] = {}
    exec(guides[-1].code, variables)
    assert "vision" not in str(variables["model"])
    loaded, expected = (
        variables.get("base", variables["model"]),
        model_folder.load(model, torch.float32),
    )
    assert torch.equal(
        loaded.get_output_embeddings().weight.float(),
        expected.get_output_embeddings().weight,
    )
    tokens = ChatTokenizer.load(model).prompt_ids(
        [{"role": "user", "content": "Hello"}]
    )
    assert variables["answer"][0, : len(tokens)].tolist() == tokens
