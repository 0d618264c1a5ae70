"""The next version of a model, and trials of prompts: what they start from, and what
stays as it was.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.chat.torch_engine import TorchEngine
from backend.errors import BadInput, RunProblem, TrainingFailed
from backend.estimate import Rates
from backend.evaluation.items import judging_items, training_items
from backend.evaluation.report import REPORT
from backend.export.model_card import card
from backend.files import manifest
from backend.files.json_file import write_json
from backend.models import model_folder
from backend.models.local import learned
from backend.records.specs import TrainSettings
from backend.runs import division, start
from backend.runs.conversations import read_conversations
from backend.settings import SAMPLES, Workspace
from backend.training import preconditions
from jobs.folder import JobFolder
from jobs.records import State
from tests.backend.merging import merge
from tests.backend.synthetic import make_adapter
from tests.ui.fake_records import report, trial_report
from ui.services.app import App
from ui.services.selection import Choice
from ui.services.training.prompt_trials import NO_QUESTIONS
from ui.web.runs.views import lines_of_descent, listing

WORDS = [
    "oak",
    "elm",
    "ash",
    "fir",
    "yew",
    "box",
    "bay",
    "fig",
    "oat",
    "rye",
    "kale",
    "leek",
    "pear",
    "plum",
    "lime",
]
CHATS = [
    {"messages": [{"role": "user", "content": f"Where is my parcel {n}, {word}?"},
                  {"role": "assistant", "content": f"It is with {word} in street {n * 7}. Rosie x"}]}
    for n, word in enumerate(WORDS * 5)
]  # fmt: skip


@pytest.fixture
def app(workspace_with_model: Workspace) -> App:
    return App(workspace_with_model)


def dataset(app: App, tmp_path: Path, count: int = 48) -> str:
    file = tmp_path / "voice.jsonl"
    file.write_text("\n".join(map(json.dumps, CHATS[:count])), "utf-8")
    return app.datasets.add(file, "voice.jsonl")


def trained(app: App, data_id: str, version: Any = None, **settings: Any) -> str:
    """A run that has completed, with an adapter."""
    chosen = TrainSettings().changed(**settings)
    run_id = app.planning.start(data_id, "", chosen, version=version)
    job, spec = JobFolder(app.workspace.run_folder(run_id)), app.runs.spec(run_id)
    make_adapter(
        learned(job.path, chosen.method), spec.model.path, seed=len(app.runs.jobs())
    )
    job.write_status(
        job.status().ended_as(
            State.COMPLETED, result={"weights_changed": True, "best_step": 3}
        )
    )
    return run_id


@pytest.fixture
def data_id(app: App, tmp_path: Path) -> str:
    return dataset(app, tmp_path)


@pytest.fixture
def first(app: App, data_id: str) -> str:
    """The first version of a model."""
    return trained(app, data_id)


def side(app: App, run_id: str, name: str) -> set[str]:
    return {
        str(one.row.messages)
        for one in division.read(app.runner.folder(run_id))
        if one.side == name
    }


def test_a_version_that_continues_has_its_own_copy_of_the_weights(
    app: App, data_id: str, first: str
) -> None:
    second = trained(app, data_id, app.versions.next(first))
    descent = app.runs.spec(second).descent
    weights = start.digest(app.results.model_folder(first))
    assert (descent.first, descent.parent, descent.version, descent.weights) == (
        first,
        first,
        2,
        weights,
    )
    folder = app.runner.folder(second)
    assert start.digest(start.folder(folder)) == weights
    assert manifest.holds(folder / "data", content=True)
    app.delete_run(first)
    third = trained(app, data_id, app.versions.next(second, from_base=True))
    after = app.runs.spec(third).descent
    assert (after.first, after.parent, after.version, after.weights) == (
        first,
        second,
        3,
        "",
    )
    assert not start.folder(app.runner.folder(third)).exists()


def test_rows_stay_on_their_sides_in_examples_that_grew(
    app: App, tmp_path: Path
) -> None:
    first = trained(app, dataset(app, tmp_path, 40))
    second = trained(app, dataset(app, tmp_path, 64), app.versions.next(first))
    for name in ("train", "judging"):
        assert side(app, first, name) <= side(app, second, name)
    held_out = {
        str(chat) for chat in read_conversations(app.runner.folder(second), "held_out")
    }
    assert held_out == side(app, second, "judging")
    settings = app.runs.spec(second).settings
    plan = app.planning.plan(
        app.versions.data_id(second), "", settings, app.versions.next(first)
    )
    assert plan.train_rows == app.runs.spec(second).data.train_rows


def test_a_repetition_of_a_later_version_starts_where_that_one_did(
    app: App, data_id: str, first: str
) -> None:
    second = trained(app, data_id, app.versions.next(first))
    again = app.versions.retry(second, report(retry={"learning_rate": 1e-4}))
    before, now = app.runs.spec(second).descent, app.runs.spec(again).descent
    assert before
    assert now
    assert now == before.model_copy(update={"version": 3})
    assert start.digest(start.folder(app.runner.folder(again))) == now.weights


def test_why_a_version_can_not_be_continued(app: App, data_id: str, first: str) -> None:
    settings = app.runs.spec(first).settings
    assert app.versions.why_not_continue(first, "", settings) == ""
    assert (
        app.versions.why_not_continue(
            first, "", settings.changed(method="qlora", seed=4)
        )
        == ""
    )
    assert "LoRA rank" in app.versions.why_not_continue(
        first, "", settings.changed(lora_rank=32)
    )
    assert "full fine-tuning" in app.versions.why_not_continue(
        first, "", settings.changed(method="full")
    )
    assert "base model" in app.versions.why_not_continue(
        first, "Qwen/Qwen3-0.6B", settings
    )
    with pytest.raises(BadInput):
        app.versions.check(app.versions.next(first), "", settings.changed(lora_rank=32))
    app.versions.check(
        app.versions.next(first, from_base=True), "", settings.changed(lora_rank=32)
    )
    app.versions.check(None, "", settings)
    advice = app.advice.settings(Choice(data_id=data_id))
    other = trained(app, data_id, lora_rank=32)
    kept = app.versions.settings(other, advice)
    assert kept.settings.lora_rank == 32
    assert kept.settings.num_train_epochs <= 3
    assert kept.settings.learning_rate == advice.settings.learning_rate / 2
    assert "not measured" in kept.why["learning_rate"]
    assert "lora_rank" in kept.why
    assert app.versions.why_not_continue(other, "", kept.settings) == ""


def make_dora(model: Path, to: Path) -> None:
    """Replaces an adapter by one as older versions trained it."""
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=4,
        target_modules=["q_proj"],
        use_dora=True,
        use_rslora=True,
        init_lora_weights=False,
    )
    base = model_folder.load(model, torch.float32)
    get_peft_model(base, config).save_pretrained(to)


def test_an_older_run_with_dora_can_be_used_and_its_repetition_is_plain_lora(
    app: App, data_id: str
) -> None:
    old = trained(app, data_id)
    folder, weights = app.runs.folder(old), app.results.model_folder(old)
    stored = json.loads((folder / "spec.json").read_text("utf-8"))
    stored["settings"] |= {"use_dora": True, "use_rslora": True}
    write_json(folder / "spec.json", stored)
    spec = app.runs.spec(old)
    make_dora(spec.model.path, weights)
    assert spec.variant == "rsLoRA and DoRA"
    assert spec.variant in card(spec, "adapter", "old")
    engine = TorchEngine(spec.model.path, weights)
    assert engine.prompt_ids([{"role": "user", "content": "Hello"}])
    merged = folder / "merged"
    assert merge(spec.model.path, weights, merged, [[1, 4, 5, 2, 5, 4, 3]]).ok
    with pytest.raises(BadInput, match="plain LoRA"):
        app.versions.check(app.versions.next(old), "", spec.settings)
    with pytest.raises(TrainingFailed):
        preconditions.before_resume(folder, spec)
    again = app.versions.retry(old, report(retry={"learning_rate": 1e-4}))
    assert "plain LoRA" in app.runs.info(again).name
    assert app.runs.spec(again).variant == ""


def test_without_a_model_or_examples_there_is_no_next_version(
    app: App, data_id: str
) -> None:
    waiting = app.planning.start(data_id, "", TrainSettings())
    first = trained(app, data_id)
    for run_id in (waiting, "20200101-000000-0000"):
        with pytest.raises(RunProblem):
            app.versions.next(run_id)
    app.datasets.delete(data_id)
    with pytest.raises(RunProblem):
        app.for_next_version(Choice(), first)
    (app.runner.folder(first) / "data" / "division.jsonl").write_text("{")
    with pytest.raises(RunProblem):
        app.versions.next(first)


def test_edited_examples_go_to_the_next_version_of_the_run(
    app: App, tmp_path: Path, data_id: str, first: str
) -> None:
    same = app.for_training(Choice(run_id=first, data_id=data_id))
    assert (same.run_id, same.parent) == (first, "")
    chosen = app.for_next_version(Choice(run_id=first), first)
    assert (chosen.run_id, chosen.parent, chosen.data_id) == ("", first, data_id)
    assert (app.validated(chosen), app.for_training(chosen)) == (chosen, chosen)
    others = chosen.replace(data_id=dataset(app, tmp_path, 60), from_base=True)
    assert app.for_training(others) == others.replace(parent="", from_base=False)
    app.delete_run(first)
    assert app.validated(chosen).parent == ""


def test_a_run_is_renamed_everywhere_and_its_spec_never_changes(
    app: App, first: str
) -> None:
    folder = app.runner.folder(first)
    before = (folder / "spec.json").read_bytes(), (folder / "job.json").read_bytes()
    app.versions.describe(first, name="  <b>../../Rosie</b>\n\u202e ")
    app.versions.describe(first, note="Better with\ncommas. \x00")
    assert (
        app.runs.job(first).name
        == app.runs.info(first).name
        == app.runs.all()[0].info.name
    )
    assert app.runs.info(first).name == "<b>../../Rosie</b>"
    assert app.runs.note(first) == app.runs.all()[0].note == "Better with\ncommas."
    assert (
        (folder / "spec.json").read_bytes(),
        (folder / "job.json").read_bytes(),
    ) == before
    html = listing(app.runs.all(), "", 0.0)
    assert "<b>" not in html
    assert "&lt;b&gt;../../Rosie" in html
    app.versions.describe(first, name="")
    assert app.runs.info(first).name == app.runs.spec(first).name
    app.versions.describe(first, name="x" * 500)
    assert len(app.runs.info(first).name) == 100
    with pytest.raises(RunProblem):
        app.versions.describe(app.runner.submit("calibrate", {}, "Speed"), name="x")
    (folder / "about.json").write_text("[")
    assert app.runs.info(first).name == app.runs.spec(first).name, (
        "a damaged file only loses the name"
    )


def test_a_next_version_takes_the_name_of_the_one_before(
    app: App, data_id: str, first: str
) -> None:
    app.versions.describe(first, name="Rosie")
    second = trained(app, data_id, app.versions.next(first))
    other = trained(app, data_id)
    assert app.runs.info(second).name == "Rosie"
    lines = [[run.info.id for run in line] for line in lines_of_descent(app.runs.all())]
    assert lines == [[other], [second, first]]


def test_a_sample_s_own_questions_judge_both_versions(app: App) -> None:
    data_id = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    version = app.versions.next(trained(app, data_id))
    corrected = read_conversations(version.folder, "held_out")[0]
    app.corrections.add(version.parent, corrected[:-1], '{"intent": "other"}', "{}")
    changes = app.planning.plan(data_id, "", TrainSettings(), version).changes
    assert (changes.new, changes.gone) == (1, 0)
    assert changes.judging == app.evaluations.judging(version.parent)[0] - 1


def test_a_corrected_example_that_was_set_aside_is_named(
    app: App, data_id: str
) -> None:
    """Also where the answer that was expected is accepted as it is."""
    version = app.versions.next(trained(app, data_id))
    *asked, expected = read_conversations(version.folder, "held_out")[0]
    before = app.planning.plan(data_id, "", TrainSettings(), version).changes
    app.corrections.add(
        version.parent, asked, str(expected["content"]), "I don't know."
    )
    after = app.planning.plan(data_id, "", TrainSettings(), version).changes
    assert (before.moved, after.moved, after.new, after.gone) == (0, 1, 0, 0)
    assert after.judging == before.judging - 1


def test_a_model_from_a_folder_is_named_after_it(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = trained(app, dataset(app, tmp_path))
    spec = app.runs.spec(run_id)
    for model_id, name in (
        ("local/gemma-3f2a1c", "gemma"),
        ("someone/gemma", "someone/gemma"),
    ):
        model = spec.model.model_copy(
            update={"id": model_id, "path": tmp_path / "gemma"}
        )
        monkeypatch.setattr(
            app.runs,
            "spec",
            lambda _, model=model: spec.model_copy(update={"model": model}),
        )
        assert app.runs.info(run_id).model_name == name


@pytest.fixture
def choice(app: App) -> Choice:
    return Choice(data_id=app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"))


def completed(app: App, job_id: str) -> None:
    """As its worker leaves a completed trial."""
    folder = JobFolder(app.runner.folder(job_id))
    write_json(folder.path / REPORT, trial_report())
    folder.write_status(folder.status().ended_as(State.COMPLETED))


def test_it_asks_the_questions_that_a_training_would_set_aside(
    app: App, choice: Choice
) -> None:
    assert app.prompt_trials.why_not(choice) == ""
    trial = app.runner.folder(app.prompt_trials.start(choice))
    settings = app.datasets.settings(choice)
    run = app.runner.folder(app.planning.start(choice.data_id, "", settings))
    assert len(judging_items(trial)) == app.prompt_trials.ahead(choice)[0]
    assert (judging_items(trial), training_items(trial)) == (
        judging_items(run),
        training_items(run),
    )


def test_its_time_follows_from_the_measured_speed(
    app: App, choice: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.prompt_trials.ahead(choice)[1] is None, "nothing was measured yet"
    slow, fast = (
        Rates(
            rate16=rate,
            rate32=rate,
            bandwidth=1e11,
            launch=0.0,
            spread=1.25,
            basis="measured",
        )
        for rate in (1e11, 1e12)
    )
    monkeypatch.setattr(app.models, "rates", lambda: slow)
    least, most = app.prompt_trials.ahead(choice)[1] or (0, 0)
    monkeypatch.setattr(app.models, "rates", lambda: fast)
    assert 0 < (app.prompt_trials.ahead(choice)[1] or (0, 0))[1] < least < most


def test_a_second_trial_replaces_the_first(app: App, choice: Choice) -> None:
    first = app.prompt_trials.start(choice)
    app.prompt_trials.stop(choice)
    second = app.prompt_trials.start(choice)
    assert [job.id for job in app.runner.jobs(kind="try_prompts")] == [second]
    assert second != first


def test_a_result_knows_whether_the_examples_have_changed(
    app: App, choice: Choice
) -> None:
    completed(app, app.prompt_trials.start(choice))
    job = app.prompt_trials.latest(choice)
    assert app.prompt_trials.report(job.id).best == "few_shot"
    assert app.prompt_trials.is_current(job, choice)
    assert not app.prompt_trials.is_current(job, choice.replace(settings={"seed": 7}))
    app.validation_files.set(
        choice.data_id, SAMPLES / "orders.held_out.jsonl", "mine.jsonl"
    )
    assert not app.prompt_trials.is_current(job, choice)


def test_plain_texts_have_no_questions(app: App, tmp_path: Path) -> None:
    texts = "\n".join(
        f'{{"text": "Chapter {n}. The river rose in the night of day {n}."}}'
        for n in range(40)
    )
    (tmp_path / "texts.jsonl").write_text(texts)
    choice = Choice(data_id=app.datasets.add(tmp_path / "texts.jsonl", "texts.jsonl"))
    assert app.prompt_trials.why_not(choice) == NO_QUESTIONS
    with pytest.raises(BadInput):
        app.prompt_trials.start(choice)


def test_a_damaged_result_is_reported(app: App, choice: Choice) -> None:
    job_id = app.prompt_trials.start(choice)
    with pytest.raises(RunProblem):
        app.prompt_trials.report(job_id)
    completed(app, job_id)
    whole = trial_report()
    for missing in whole:
        write_json(
            app.runner.folder(job_id) / REPORT,
            {name: whole[name] for name in whole if name != missing},
        )
        with pytest.raises(RunProblem):
            app.prompt_trials.report(job_id)
