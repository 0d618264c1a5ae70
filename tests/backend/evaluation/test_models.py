"""The models that an evaluation asks are those that the chat asks, in the engine that the chat uses."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from backend.chat import engines
from backend.evaluation.items import items_from
from backend.evaluation.models import EngineModels, LoadedAs, load
from backend.settings import Workspace
from tests.linked_model import link_gguf

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # peft uses names that transformers renames

CHAT = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = {"role": "assistant", "content": "The capital of France is Paris."}


@pytest.fixture
def workspace(tmp_path: Path, bundled_model: Path, bundled_gguf: Path | None) -> Workspace:
    made = Workspace.open(tmp_path / "workspace")
    if bundled_gguf:
        link_gguf(bundled_gguf, bundled_model, made)
    return made


def asked(models: EngineModels) -> tuple[str, float, float, float]:
    """The answer of the base, its loss of the right one, that of the tuned model, and the nats of a text."""
    (item,) = items_from([[*CHAT, ANSWER]])
    (answer,) = models.answer("base", [models.prompt_ids(CHAT, ())], 40, lambda done: None)
    nats = models.nats("base", models.text_ids("The river rises in the hills to the north."), 1)
    return answer.text, models.loss("base", item), models.loss("tuned", item), nats


@pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is optional")
def test_an_evaluation_asks_the_engine_of_the_chat(
    workspace: Workspace, bundled_model: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = load(workspace, bundled_model, adapter, like=LoadedAs("transformers", "float32", "cpu"))
    assert exact.loaded_as == ("transformers", "float32", "cpu")
    monkeypatch.undo()
    models = load(workspace, bundled_model, adapter)
    assert models.loaded_as == ("llama.cpp", "gguf", "cpu")
    (answer, *losses), (expected, *exact_losses) = asked(models), asked(exact)
    assert answer == expected == ANSWER["content"]
    assert losses == pytest.approx(exact_losses, rel=0.05)
    assert losses[0] != losses[1]


def test_versions_that_are_compared_answer_in_the_same_precision(
    workspace: Workspace, bundled_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "has_llama_cpp", lambda: True)
    for precision in ("bfloat16", "float32"):
        assert load(workspace, bundled_model, like=LoadedAs("transformers", precision, "cpu")).precision == precision
