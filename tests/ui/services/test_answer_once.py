"""`chat` sends the model the same prompt as Try does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.records.specs import TrainSettings
from backend.runs.conversations import write_conversations
from backend.settings import SAMPLES, Workspace
from ui.services.app import App
from ui.services.results.chat import ChatSession


@pytest.mark.parametrize("instruction", ["Answer as Rosie.", ""])
@pytest.mark.parametrize("from_file", [False, True])
def test_the_instruction_of_the_examples_comes_first(
    workspace_with_model: Workspace, monkeypatch: pytest.MonkeyPatch, instruction: str, from_file: bool
) -> None:
    app = App(workspace_with_model)
    run_id = app.planning.start(app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"), "", TrainSettings())
    folder = app.runner.folder(run_id)
    chat = [{"role": "user", "content": "Open?"}, {"role": "assistant", "content": "Yes."}]
    system = [{"role": "system", "content": instruction}] if instruction else []
    write_conversations(folder, "train", [[*system, *chat]] * 3)
    monkeypatch.setattr(app.results, "model_folder", lambda run_id: folder)
    asked: list[Any] = []
    for name in ("answer_once", "answer_from_file"):
        monkeypatch.setattr(ChatSession, name, lambda session, *given, **sampling: asked.extend(given) or {})
    app.results.answer_once(run_id, "Closed?", gguf=Path("a.gguf") if from_file else None)
    messages = next(one for one in asked if isinstance(one, list))
    assert messages == [*system, {"role": "user", "content": "Closed?"}]
