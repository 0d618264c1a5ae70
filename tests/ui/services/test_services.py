"""The services over a real workspace with the bundled model, without training."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import ApprenticeError, BadInput, RunProblem, UnusableGpu
from backend.evaluation.work import REPORT
from backend.files.json_file import write_json
from backend.gguf.base_file import _key
from backend.hardware import Probe
from backend.models import local
from backend.records.specs import Gpu, Hardware, MachineProblem, TrainSettings
from backend.runs.conversations import read_conversations
from backend.runs.token_rows import read_rows
from backend.settings import SAMPLES, Workspace
from backend.training import measured as measurements
from backend.training import preconditions
from backend.training.measured import Measured
from jobs.folder import JobFolder
from jobs.records import Failure, State
from tests.ui.fake_records import report
from tests.ui.web.test_page import tabs
from ui.records.runs import Plan
from ui.services import evaluations, runs, training_plan
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.page import finished_steps


@pytest.fixture
def app(workspace_with_model: Workspace) -> App:
    return App(workspace_with_model)


def test_the_validation_share_is_the_one_in_the_settings(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    for fraction, rows in ((0.0, 0), (0.1, 24), (0.5, 120)):
        plan = app.planning.plan(data_id, "", TrainSettings(validation_fraction=fraction))
        assert (plan.train_rows, plan.set_aside, plan.validation_rows) == (240 - rows, rows, rows // 2)
        assert plan.chooses is (rows > 0)
        assert str(rows // 2 + 40) in plan.proves, "those of the sample, too"


def test_the_seed_decides_the_validation_rows(app: App) -> None:
    checked = app.datasets.checked(app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"))
    rows = [checked.split_at(0.1, seed).validation for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]


def test_the_bundled_model_is_not_recommended_over_itself(tmp_path: Path) -> None:
    fresh = App(Workspace.open(tmp_path / "home"))  # nothing is unpacked yet
    inputs = fresh.advice._inputs("", "") | {"available": None, "compare": False}
    while fresh.advice._in_background(inputs) is None:
        time.sleep(0.05)
    assert not fresh.models.is_ready(local.DEFAULT)
    better = fresh.advice.better()
    assert better is None or better.model.id != local.DEFAULT


def test_a_persons_own_validation_file_is_used(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    app.validation_files.set(data_id, SAMPLES / "orders.held_out.jsonl", "mine.jsonl")
    own = [json.loads(line) for line in (SAMPLES / "orders.held_out.jsonl").read_text("utf-8").splitlines()]
    state, plan = app.datasets.state(Choice(data_id=data_id)), app.planning.plan(data_id, "", TrainSettings(seed=5))
    assert (state.validation_name, state.report.split.validation) == ("mine.jsonl", len(own))
    assert (plan.train_rows, plan.set_aside) == (state.report.split.train, len(own))
    assert plan.validation_rows == 20
    assert "6 of the 20" in plan.proves
    run_id = app.planning.start(data_id, "", TrainSettings(seed=5))
    assert app.runs.spec(run_id).data.validation_rows == len(own) // 2
    _, validation = read_rows(app.runner.folder(run_id))
    tokenizer = app.models.tokenizer("")
    assert tokenizer is not None
    own_ids = [tokenizer.encode(row["messages"]).input_ids for row in own]
    choosing = [row.input_ids.tolist() for row in validation]
    judging = read_conversations(app.runner.folder(run_id), "held_out")
    assert all(ids in own_ids for ids in choosing)
    assert sorted([*choosing, *(tokenizer.encode(one).input_ids for one in judging)]) == sorted(own_ids)
    app.validation_files.clear(data_id)
    assert (
        app.datasets.state(Choice(data_id=data_id)).validation_name,
        app.planning.plan(data_id, "", TrainSettings()).set_aside,
    ) == ("", 24)


def test_the_questions_that_a_sample_adds_are_counted(app: App) -> None:
    """The orders sample sets 12 rows aside to judge and adds 40 questions; a person's own file replaces these."""
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    proves = app.planning.plan(data_id, "", TrainSettings()).proves
    assert "40 extra" in proves
    assert "of the 52" in proves
    assert proves in app.datasets.state(Choice(data_id=data_id)).split_summary
    app.validation_files.set(data_id, SAMPLES / "orders.held_out.jsonl", "mine.jsonl")
    assert "extra" not in app.planning.plan(data_id, "", TrainSettings()).proves


def test_a_run_does_what_its_plan_said(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    settings = app.advice.settings("extract", data_id).settings.changed(max_steps=7)
    plan = app.planning.plan(data_id, "", settings)
    spec = app.runs.spec(app.planning.start(data_id, "", settings))
    assert (spec.settings, spec.data.train_rows, spec.data.longest) == (settings, plan.train_rows, plan.longest)
    assert (plan.steps, plan.blocked) == (7, "")


def test_nothing_trains_while_the_graphics_card_that_should_cannot(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    problem = MachineProblem(what="The card has no driver.", next="Install it.", blocks_training=True)
    app.models._probe = app.models.probe().model_copy(update={"problems": (problem,)})
    assert problem.what in app.planning.plan(data_id, "", TrainSettings()).blocked
    with pytest.raises(UnusableGpu, match="no driver"):
        app.planning.start(data_id, "", TrainSettings())
    app.models._probed -= 61
    assert not app.models.probe().blocked, "looked at again after a minute: the driver may work by now"


def test_an_estimate_advises_and_only_weights_that_do_not_fit_prevent_a_training(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")

    def plan_with(free: int) -> Plan:
        machine = Hardware(memory_total_mib=4096, memory_available_mib=free)
        app.models._probe = app.models.probe().model_copy(update={"hardware": machine})
        return app.planning.plan(data_id, "", TrainSettings())

    ample, scarce, hopeless = plan_with(4000), plan_with(1300), plan_with(700)
    assert [plan.blocked != "" for plan in (ample, scarce, hopeless)] == [False, False, True]
    assert scarce.memory_mib > scarce.available_mib
    assert len(scarce.notes) == len(ample.notes) + 1


def test_a_plan_shows_measured_and_computed_memory(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    settings = app.advice.settings("extract", data_id).settings
    computed = app.planning.plan(data_id, "", settings)
    spec = app.runs.spec(app.planning.start(data_id, "", settings))
    measured = Measured(
        settings=settings, memory_mib=2000, startup=10, seconds_per_step=2, tokens_per_second=400,
        evaluation_seconds=0, sample_seconds=0,
    )  # fmt: skip
    measurements.store(app.workspace, spec, measured)
    plan = app.planning.plan(data_id, "", settings)
    assert (plan.memory_measured, plan.memory_mib) == (True, 2000)
    assert plan.memory_computed_mib == computed.memory_mib
    assert plan.seconds is not None
    assert plan.seconds[0] < 10 + 2 * plan.steps < plan.seconds[1]
    other = app.planning.plan(data_id, "", settings.changed(lora_rank=64))
    assert not other.memory_measured


def test_the_larger_of_measured_and_computed_memory_counts(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    computed = app.planning.plan(data_id, "", app.advice.settings("extract", data_id).settings)
    few_steps = Measured(
        settings=computed.settings, memory_mib=700, startup=10, seconds_per_step=2, tokens_per_second=400,
        evaluation_seconds=0, sample_seconds=0,
    )  # fmt: skip
    plan = training_plan.with_measured(computed, few_steps)
    assert (plan.memory_measured, plan.memory_measured_mib, plan.memory_mib) == (False, 700, computed.memory_mib)


def test_the_longest_validation_row_counts_in_plan_and_measurement(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    own = app.workspace.root / "own.jsonl"
    turns = [{"role": "user", "content": "and " * 400}, {"role": "assistant", "content": "so"}]
    own.write_text(json.dumps({"messages": turns}))
    app.validation_files.set(data_id, own, "own.jsonl")
    settings = TrainSettings(max_length=1024)
    plan, run_id = app.planning.plan(data_id, "", settings), app.planning.start(data_id, "", settings)
    assert [one.expected for one in app.results.unseen_questions(run_id)] == ["so"], "not the sample's own questions"
    spec = app.runs.spec(run_id)
    assert plan.longest == spec.data.longest > 400
    measured = Measured(
        settings=settings, memory_mib=2000, startup=10, seconds_per_step=2, tokens_per_second=400,
        evaluation_seconds=0, sample_seconds=0,
    )  # fmt: skip
    measurements.store(app.workspace, spec, measured)
    assert app.planning.plan(data_id, "", settings).memory_measured_mib == 2000


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
    folder.write_status(folder.status().ended_as(State.STOPPED, result={"state": "stopped", "steps": 0}))
    drawn, choice = tabs(app), Choice(data_id=data_id, run_id=run_id)
    train, trying, share = (drawn[name] for name in ("train", "try", "share"))
    assert train.show(choice)[train.forward]["visible"] is False
    assert trying.show(choice)[trying.why_not]
    assert share.show(choice)[share.kind]["visible"] is share.show(choice)[share.make]["visible"] is False
    assert share.show(choice)[share.script] == {"__type__": "update", "visible": True, "interactive": True}
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
    gguf = app.workspace.cache / "gguf" / f"{_key(local.workspace_folder(app.workspace, model_id))}-1-Q8_0.gguf"
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
    assert [(model, job.id) for model, job in app.models.downloads().items()] == [
        ("HuggingFaceTB/SmolLM2-360M-Instruct", sound)
    ]


def test_a_failed_unpacking_is_reported(tmp_path: Path) -> None:
    app = App(Workspace.open(tmp_path / "workspace"))
    assert "being unpacked" in app.models.why_not_ready()
    job_id = app.runner.submit("prepare", {}, "Unpack the model")
    folder = JobFolder(app.workspace.run_folder(job_id))
    failure = Failure(what="There is not enough room.")
    folder.write_status(folder.status().ended_as(State.FAILED, failure=failure))
    assert app.models.why_not_ready().startswith("There is not enough room.")


def test_half_a_surrogate_in_pasted_text_is_a_problem_of_its_row(app: App) -> None:
    good = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "yes, it is"}]}'
    data_id = app.dataset_store.add_text("\n".join([good % "is it?", good % "bad \ud800 one"]))
    assert [
        (p.row, p.severity)
        for p in app.datasets.state(Choice(data_id=data_id)).report.problems
        if p.severity == "error"
    ] == [(2, "error")]


def test_a_preview_of_a_document_is_learned_text_cut_for_the_page(app: App) -> None:
    story = app.dataset_store.add_text("Once upon a time there was a lamp. " * 2000)
    shown = app.datasets.preview(Choice(data_id=story, row=1))
    assert [(piece.kind, piece.tokens) for piece in shown.pieces[:-1]] == [("learned", 4096)] * 4
    assert "5 pieces of at most 4,096 tokens" in shown.note
    assert all(len(piece.text) < 10_000 for piece in shown.pieces)


def test_checks_and_preview_use_the_planned_length(app: App) -> None:
    good = '{"messages": [{"role": "user", "content": "what is %s?"}, {"role": "assistant", "content": "number %d"}]}'
    rows = [*(good % (i, i) for i in range(20)), good % ("this " * 300, 7)]
    choice = Choice(data_id=app.dataset_store.add_text("\n".join(rows)), settings={"max_length": 128}, row=21)
    state = app.datasets.state(choice)
    assert state.blocked == app.planning.plan(choice.data_id, "", TrainSettings(max_length=128)).blocked != ""
    assert app.datasets.state(choice.replace(settings={})).blocked == ""
    shown = app.datasets.preview(choice)
    assert sum(piece.tokens for piece in shown.pieces) == 128
    assert not [piece for piece in shown.pieces if piece.kind == "learned"]
    assert "128 tokens" in shown.note
    app.fixes.accept(choice.data_id, "answer_vanishes", "all")
    assert (app.datasets.state(choice).blocked, app.datasets.write_files(choice).changes) == ("", 1)
    story = Choice(data_id=app.dataset_store.add_text("Once there was a lamp. " * 2000), settings={"max_length": 512})
    pieces = app.planning.plan(story.data_id, "", TrainSettings(max_length=512)).train_rows
    assert len(app.datasets.preview(story).pieces) == pieces > 10
    assert f"{pieces} pieces of at most 512 tokens" in app.datasets.state(story).split_summary


def test_examples_in_a_language_the_model_was_not_made_for_are_reported(app: App) -> None:
    good = '{"messages": [{"role": "user", "content": "was ist das und wo ist die Nummer %d?"}, %s]}'
    answer = '{"role": "assistant", "content": "das ist nicht die Nummer, die ich auf dem Zettel habe"}'
    rows = [good % (i, answer) for i in range(60)]
    choice = Choice(data_id=app.dataset_store.add_text("\n".join(rows)))
    found = {p.kind: p.message for p in app.datasets.state(choice).problems}
    assert "German" in found["language_mismatch"]
    assert "English" in found["language_mismatch"]


def test_unreadable_rows_block_until_the_person_leaves_them_out(app: App) -> None:
    good = '{"messages": [{"role": "user", "content": "what is %d?"}, {"role": "assistant", "content": "number %d"}]}'
    data_id = app.dataset_store.add_text("\n".join([*(good % (i, i) for i in range(20)), "{broken", "[1]"]))
    state = app.datasets.state(Choice(data_id=data_id))
    assert "Example 21 (line 21)" in state.blocked
    for kind in state.unreadable:
        app.fixes.accept(data_id, kind, "all")
    assert app.datasets.state(Choice(data_id=data_id)).blocked == ""
    for kind in state.unreadable:
        app.fixes.undo(data_id, kind)
    assert app.datasets.state(Choice(data_id=data_id)).blocked


def test_a_simulated_machine_shows_everything_and_trains_nothing(app: App) -> None:
    gpu = Gpu(name="RTX 4090", memory_total_mib=24564, memory_free_mib=23900, compute_capability=(8, 9))
    simulated = App(app.workspace, Hardware(gpus=(gpu,), memory_total_mib=32768))
    found = simulated.advice.recommendation()
    assert found.model.parameters > 7e9
    assert simulated.models.probe().sentences[0].startswith("RTX 4090")
    data_id = simulated.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    assert "only simulated" in simulated.planning.plan(data_id, "", TrainSettings()).blocked
    with pytest.raises(BadInput, match="only simulated"):
        simulated.planning.start(data_id, "", TrainSettings())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_length": 16_384}, "longer than this model"),
        ({"max_steps": 0}, "nothing to do"),
        ({}, "disk space"),
    ],
)
def test_an_impossible_run_is_rejected_and_leaves_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch, settings: dict[str, int], words: str
) -> None:
    """An answer longer than the model's context, no step to do, and a disk with 65 MiB free."""
    long = json.dumps([{"role": "user", "content": "Count."}, {"role": "assistant", "content": "one two " * 5000}])
    data_id = app.dataset_store.add_text(
        "\n".join(f'{{"messages": {long.replace("Count.", f"Count {i}.")}}}' for i in range(3))
    )
    if not settings:
        data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
        monkeypatch.setattr(preconditions.shutil, "disk_usage", lambda _: SimpleNamespace(free=65 << 20))
    with pytest.raises(ApprenticeError, match=words):
        app.planning.start(data_id, "", TrainSettings(**settings, validation_fraction=0))
    assert app.runner.jobs() == []
    assert list(app.workspace.runs.iterdir()) == []


def test_a_full_disk_blocks_the_plan(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    assert app.planning.plan(data_id, "", TrainSettings()).blocked == ""
    full = app.models.hardware().model_copy(update={"disk_free_mib": 65})
    monkeypatch.setattr(app.models, "probe", lambda: Probe.of(full))
    assert "disk space (computed)" in app.planning.plan(data_id, "", TrainSettings()).blocked


def test_an_evaluation_is_counted_cancelled_and_deleted_with_its_run(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = app.planning.start(data_id, "", TrainSettings(validation_fraction=0.5))
    folder = JobFolder(app.workspace.run_folder(run_id))
    folder.write_status(folder.status().ended_as(State.STOPPED))
    (folder.path / "result" / "adapter").mkdir(parents=True)
    assert app.evaluations.questions(run_id) > 0
    job_id = app.evaluations.start(run_id)
    app.evaluations.stop(run_id)
    latest = app.evaluations.latest(run_id)
    assert latest is not None
    assert (latest.id, latest.state) == (job_id, State.STOPPED)
    assert app.evaluations.latest_report(run_id) is None
    evaluation = JobFolder(app.workspace.run_folder(job_id))
    found = report()
    evaluation.write_status(evaluation.status().ended_as(State.COMPLETED, result=found))
    write_json(evaluation.path / REPORT, found)
    assert app.evaluations.latest_report(run_id) == found
    assert set(app.evaluations.summaries()) == {run_id}
    app.delete_run(run_id)
    assert not evaluation.path.exists()
    assert app.evaluations.summaries() == {}


def trained(app: App) -> tuple[str, JobFolder]:
    """A run that completed with a model, and its folder."""
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = app.planning.start(data_id, "", TrainSettings())
    folder = JobFolder(app.workspace.run_folder(run_id))
    (folder.path / "result" / "adapter").mkdir(parents=True)
    folder.write_status(folder.status().ended_as(State.COMPLETED))
    return run_id, folder


def evaluated(app: App, run_id: str, found: dict[str, Any]) -> JobFolder:
    evaluation = JobFolder(app.workspace.run_folder(app.evaluations.start(run_id)))
    write_json(evaluation.path / REPORT, found)
    evaluation.write_status(evaluation.status().ended_as(State.COMPLETED, result=found))
    return evaluation


@pytest.mark.parametrize("damage", ["questions", "report", "older report"])
def test_a_damaged_file_is_reported_in_its_card_and_the_tabs_still_show(app: App, damage: str) -> None:
    run_id, folder = trained(app)
    if damage == "questions":
        (folder.path / "data" / "held_out.jsonl").write_text("[]\n")
    else:
        older = report()
        del older["general"]["kept"]
        evaluation = evaluated(app, run_id, older)
        assert app.evaluations.summaries() == {}
        if damage == "report":
            (evaluation.path / REPORT).write_text("[]")
    drawn, choice = tabs(app), Choice(data_id="", run_id=run_id)
    train, trying = drawn["train"], drawn["try"]
    assert 'class="alert bad"' in train.show(choice)[train.running.outcome]
    shown = trying.show(choice)
    assert 'class="alert bad"' in shown[trying.evaluation.card]
    assert shown[trying.evaluation.check]["interactive"] is (damage != "questions")
    assert app.results.unseen_questions(run_id) == [] or damage != "questions"


def test_the_report_is_written_once_for_each_evaluation(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id, _ = trained(app)
    evaluated(app, run_id, report())
    drawn: list[str] = []

    def draw(found: Any) -> str:
        drawn.append(found["verdict"])
        return "a page"

    first = app.evaluations.page(run_id, draw)
    assert first == app.evaluations.page(run_id, draw)
    assert first is not None
    assert first.read_text() == "a page"
    assert drawn == ["better"]
    evaluated(app, run_id, report() | {"verdict": "worse"})

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluations, "write_text", full)
    assert app.evaluations.page(run_id, draw) is None
    trying = tabs(app)["try"]
    shown = trying.show(Choice(run_id=run_id))[trying.evaluation.card]
    assert 'class="alert bad"' in shown, "the verdict"
    assert "download" not in shown
    monkeypatch.undo()
    assert app.evaluations.page(run_id, draw) != first
    assert drawn[-1] == "worse"


def test_deleting_a_run_stops_its_evaluation(app: App) -> None:
    run_id, folder = trained(app)
    app.evaluations.start(run_id)
    app.delete_run(run_id)
    assert not folder.path.exists()
    assert app.runner.jobs() == []


def test_a_run_whose_evaluation_does_not_stop_is_not_deleted(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id, folder = trained(app)
    app.evaluations.start(run_id)
    monkeypatch.setattr(runs, "STOPPING", 0.1)
    monkeypatch.setattr(app.runner, "stop", lambda job_id: None)
    with pytest.raises(RunProblem):
        app.delete_run(run_id)
    assert folder.path.exists()


def test_check_again_measures_the_speed_and_keeps_one_job(app: App) -> None:
    app.models.measure_speed_if_old()
    app.models.probe_again()  # one is waiting already
    (waiting,) = app.runner.jobs(kind="calibrate")
    app.runner.stop(waiting.id)
    app.models.probe_again()
    (again,) = app.runner.jobs(kind="calibrate")
    assert again.id != waiting.id


def test_an_import_keeps_the_open_run_until_the_new_examples_go_to_training(app: App) -> None:
    orders = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = app.planning.start(orders, "", TrainSettings())
    imported = app.datasets.import_file(SAMPLES / "support.jsonl", "support.jsonl")
    choice = Choice(data_id=orders, run_id=run_id, import_id=imported)
    assert app.for_training(choice) == choice
    while (choice := app.validated(choice)).import_id:
        time.sleep(0.05)
    assert (choice.data_id, choice.run_id) == (imported, run_id)
    assert app.for_training(choice).run_id == ""
