"""The models that an evaluation asks are those that the chat asks, in the engine that
the chat uses.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from backend import child_process
from backend.errors import Stopped
from backend.evaluation.items import items_from
from backend.evaluation.models import Models, choose_engine, load
from backend.gguf.requirement import has_llama_cpp
from backend.models.bundled import silent
from backend.settings import Workspace
from tests.linked_model import link_gguf

needs_llama_cpp = pytest.mark.skipif(
    not has_llama_cpp(), reason="there is no build for some systems"
)

CHAT = [{"role": "user", "content": "What is the capital of Japan?"}]
ANSWER = {"role": "assistant", "content": "The capital of Japan is Tokyo."}


@pytest.fixture
def workspace(
    tmp_path: Path, bundled_model: Path, bundled_gguf: Path | None
) -> Workspace:
    made = Workspace.open(tmp_path / "workspace")
    if bundled_gguf:
        link_gguf(bundled_gguf, bundled_model, made)
    return made


def asked(models: Models) -> tuple[str, float, float, float]:
    """The answer of the base, its loss of the right one, that of the tuned model, and
    the nats of a text.
    """
    (item,) = items_from([[*CHAT, ANSWER]])
    (answer,) = models.answer(
        "base", [models.prompt_ids(CHAT, ())], 40, lambda done: None
    )
    nats = models.nats(
        "base", models.text_ids("The river rises in the hills to the north."), 1
    )
    return answer.text, models.loss("base", item), models.loss("tuned", item), nats


@needs_llama_cpp
def test_an_evaluation_asks_the_engine_of_the_chat(
    workspace: Workspace,
    bundled_model: Path,
    adapter: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = load(workspace, "transformers", bundled_model, adapter, "float32")
    assert (exact.name, exact.precision) == ("transformers", "float32")
    monkeypatch.undo()
    assert choose_engine(workspace, bundled_model, [adapter], silent) == "llama.cpp"
    models = load(workspace, "llama.cpp", bundled_model, adapter)
    assert (models.precision, models.context_length) == ("gguf", exact.context_length)
    (answer, *losses), (expected, *exact_losses) = asked(models), asked(exact)
    assert answer == expected == ANSWER["content"]
    assert losses == pytest.approx(exact_losses, rel=0.05, abs=0.05)
    assert losses[0] != losses[1]


@needs_llama_cpp
def test_transformers_answers_what_llama_cpp_can_not_hold(
    workspace: Workspace,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model of an architecture that it does not know, and one whose weights were all
    trained.
    """
    monkeypatch.undo()
    config = shutil.copytree(tiny_model, tmp_path / "strange") / "config.json"
    config.write_text(
        config.read_text("utf-8").replace("LlamaForCausalLM", "StrangeForCausalLM"),
        "utf-8",
    )
    assert choose_engine(workspace, config.parent, [], silent) == "transformers"
    assert choose_engine(workspace, tiny_model, [tmp_path], silent) == "transformers"


@needs_llama_cpp
def test_a_stop_ends_the_search(
    workspace: Workspace, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    started: list[subprocess.Popen[bytes]] = []
    start = child_process.start

    def stops(*step: object) -> None:
        raise Stopped

    monkeypatch.setattr(
        child_process,
        "start",
        lambda *a, **o: started.append(start(*a, **o)) or started[-1],
    )
    with pytest.raises(Stopped):
        choose_engine(workspace, tiny_model, [], stops)
    assert started[0].poll() is not None


def test_versions_that_are_compared_answer_in_the_same_precision(
    workspace: Workspace, bundled_model: Path
) -> None:
    for precision in ("bfloat16", "float32"):
        assert (
            load(
                workspace, "transformers", bundled_model, precision=precision
            ).precision
            == precision
        )
