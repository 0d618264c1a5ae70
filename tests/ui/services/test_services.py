"""The services over a real workspace with the bundled model, without training."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadInput, RunProblem
from backend.gguf.base_file import _key
from backend.models import local
from backend.records.specs import TrainSettings
from backend.runs.conversations import write_conversations
from backend.settings import SAMPLES, Workspace
from jobs.folder import JobFolder
from jobs.records import Failure, State
from tests.ui.conftest import tabs
from ui.services.app import App
from ui.services.results.chat import ChatSession
from ui.services.results.first import FIRST
from ui.services.selection import Choice
from ui.web.page import finished_steps


@pytest.fixture
def app(workspace_with_model: Workspace) -> App:
    return App(workspace_with_model)


def test_the_bundled_model_is_not_recommended_over_itself(tmp_path: Path) -> None:
    fresh = App(Workspace.open(tmp_path / "home"))  # nothing is unpacked yet
    inputs = fresh.advice._inputs(Choice()) | {"available": None, "compare": False}
    while fresh.advice._in_background(inputs) is None:
        time.sleep(0.05)
    assert not fresh.models.is_ready(local.DEFAULT)
    better = fresh.advice.better(Choice())
    assert better is None or better.model.id != local.DEFAULT


def test_a_failed_run_cannot_be_tried_or_exported(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = app.planning.start(data_id, "", TrainSettings())
    folder = JobFolder(app.workspace.run_folder(run_id))
    (folder.path / "result" / "adapter").mkdir(parents=True)
    folder.write_status(folder.status().ended_as(State.FAILED))
    with pytest.raises(RunProblem):
        app.results.model_folder(run_id)
    with pytest.raises(RunProblem):
        app.results.start_export(run_id, "adapter")


def test_a_run_stopped_before_its_first_step_breaks_no_tab(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = app.planning.start(data_id, "", TrainSettings())
    folder = JobFolder(app.workspace.run_folder(run_id))
    folder.write_status(
        folder.status().ended_as(State.STOPPED, result={"state": "stopped", "steps": 0})
    )
    drawn, choice = tabs(app), Choice(data_id=data_id, run_id=run_id)
    train, trying, share = (drawn[name] for name in ("train", "try", "share"))
    assert train.show(choice)[train.forward]["visible"] is False
    assert trying.show(choice)[trying.why_not]
    assert (
        share.show(choice)[share.kind]["visible"]
        is share.show(choice)[share.make]["visible"]
        is False
    )
    assert share.show(choice)[share.script] == {
        "__type__": "update",
        "visible": True,
        "interactive": True,
    }
    assert "train" not in finished_steps(app, choice)
    (folder.path / "result" / "adapter").mkdir(parents=True)
    assert train.show(choice)[train.forward]["visible"] is True
    assert trying.show(choice)[trying.why_not] == ""


def test_a_partial_download_can_be_deleted(app: App) -> None:
    model_id = "HuggingFaceTB/SmolLM2-360M-Instruct"
    job = app.downloads.start(model_id)
    app.runner.stop(job)
    part = app.workspace.models / ".HuggingFaceTB--SmolLM2-360M-Instruct.part"
    part.mkdir()
    (part / "model.safetensors.part").write_bytes(bytes(1 << 20))
    gguf = (
        app.workspace.cache
        / "gguf"
        / f"{_key(local.workspace_folder(app.workspace, model_id))}-1-Q8_0.gguf"
    )
    gguf.parent.mkdir()
    gguf.write_bytes(bytes(1 << 20))
    assert app.remove_model(model_id) == 2.0
    assert not part.exists()
    assert not gguf.exists()
    assert app.models.downloads() == {}
    with pytest.raises(BadInput, match="can't be deleted"):
        app.remove_model("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert app.models.is_ready("")


def test_a_damaged_download_is_skipped(app: App) -> None:
    sound = app.downloads.start("HuggingFaceTB/SmolLM2-360M-Instruct")
    damaged = app.downloads.start("Qwen/Qwen2.5-0.5B-Instruct")
    (app.workspace.run_folder(damaged) / "spec.json").write_text("{")
    found = {model: job.id for model, job in app.models.downloads().items()}
    assert found == {"HuggingFaceTB/SmolLM2-360M-Instruct": sound}


def test_a_failed_unpacking_is_reported(tmp_path: Path) -> None:
    app = App(Workspace.open(tmp_path / "workspace"))
    assert "being unpacked" in app.models.why_not_ready()
    job_id = app.runner.submit("prepare", {}, "Unpack the model")
    folder = JobFolder(app.workspace.run_folder(job_id))
    failure = Failure(what="There is not enough room.")
    folder.write_status(folder.status().ended_as(State.FAILED, failure=failure))
    assert app.models.why_not_ready().startswith("There is not enough room.")


def test_check_again_measures_the_speed_and_keeps_one_job(app: App) -> None:
    app.models.measure_speed_if_old()
    app.models.probe_again()  # one is waiting already
    (waiting,) = app.runner.jobs(kind="calibrate")
    app.runner.stop(waiting.id)
    app.models.probe_again()
    (again,) = app.runner.jobs(kind="calibrate")
    assert again.id != waiting.id


def test_an_import_keeps_the_open_run_until_the_new_examples_go_to_training(
    app: App,
) -> None:
    orders = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = app.planning.start(orders, "", TrainSettings())
    imported = app.datasets.import_files([SAMPLES / "support.jsonl"])
    choice = Choice(data_id=orders, run_id=run_id, import_id=imported)
    assert app.for_training(choice) == choice
    while (choice := app.validated(choice)).import_id:
        time.sleep(0.05)
    assert (choice.data_id, choice.run_id) == (imported, run_id)
    assert app.for_training(choice).run_id == ""


@pytest.mark.parametrize("instruction", ["Answer as Rosie.", ""])
@pytest.mark.parametrize("from_file", [False, True])
def test_the_instruction_of_the_examples_comes_first(
    workspace_with_model: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    instruction: str,
    from_file: bool,
) -> None:
    app = App(workspace_with_model)
    run_id = app.planning.start(
        app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"), "", TrainSettings()
    )
    folder = app.runner.folder(run_id)
    chat = [
        {"role": "user", "content": "Open?"},
        {"role": "assistant", "content": "Yes."},
    ]
    system = [{"role": "system", "content": instruction}] if instruction else []
    write_conversations(folder, "train", [[*system, *chat]] * 3)
    monkeypatch.setattr(app.results, "model_folder", lambda run_id: folder)
    asked: list[Any] = []
    monkeypatch.setattr(
        ChatSession,
        "answer_once",
        lambda session, *given, **sampling: asked.extend(given) or {},
    )
    app.results.answer_once(
        run_id, "Closed?", gguf=Path("a.gguf") if from_file else None
    )
    messages = next(one for one in asked if isinstance(one, list))
    assert messages == [*system, {"role": "user", "content": "Closed?"}]


def test_how_to_sample_reaches_the_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ChatSession, "answers", lambda session, target, asked, **sampling: sampling
    )
    results = App(Workspace.open(tmp_path)).results
    how: dict[str, Any] = {"seed": 3, "grammar": "{}"}
    assert results.answers(FIRST, {}, **how) == {
        "ongoing": False,
        "max_new_tokens": 256,
        **how,
    }


def test_a_selection_survives() -> None:
    choice = Choice(
        "extract",
        True,
        "model",
        "data",
        "run",
        "other",
        "parent",
        True,
        "import",
        7,
        3,
        {"lora_rank": 16},
    )
    assert Choice.from_browser(asdict(choice)) == choice


WRONG = {
    "task": "evil",
    "run_id": 7,
    "data_id": ["a"],
    "model_id": "m" * 999,
    "settings": [1],
    "facts_change": "yes",
}


@pytest.mark.parametrize("stored", [None, [], "x", {**WRONG, "row": -3}])
def test_an_invalid_value_counts_as_not_selected(stored: object) -> None:
    assert Choice.from_browser(stored) == Choice()
