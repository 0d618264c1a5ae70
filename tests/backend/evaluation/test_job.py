"""The job over a tiny model that was really trained, from the run's folder to the
report.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.chat import place, torch_engine
from backend.errors import BadInput, BadSetting, MissingPart, RunProblem, Stopped
from backend.evaluation import answers_so_far, job
from backend.evaluation.models import Models
from backend.evaluation.report import REPORT
from backend.models import model_folder
from backend.records.evaluation import TUNED, EvaluationReport
from backend.records.rows import Row
from backend.runs import division
from backend.runs.conversations import write_conversations, write_texts
from backend.runs.division import Divided
from backend.settings import Workspace, new_id
from tests.backend.tiny_run import FakeWork, continue_from, conversations, make_run
from ui.text import verdicts
from ui.web.try_it import verdict_card


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A run of two steps with 16 held-out conversations; tests get a copy."""
    folder = tmp_path_factory.mktemp("trained") / new_id()
    work = make_run(folder, tiny_model, max_steps=2)
    (folder / "spec.json").write_text(json.dumps(work.spec))
    training.run(work)
    write_conversations(folder, "train", conversations(40))
    write_conversations(folder, "held_out", conversations(16, seed=1))
    return folder


@pytest.fixture
def trained(tmp_path: Path, workspace: Workspace, run_folder: Path) -> FakeWork:
    """The run in a workspace of its own, and the context of its evaluation."""
    shutil.copytree(run_folder, workspace.run_folder(run_folder.name))
    (tmp_path / "evaluation").mkdir()
    return FakeWork(
        tmp_path / "evaluation", {"run": run_folder.name}, workspace=workspace
    )


def of_dataset(trained: FakeWork) -> Path:
    """The folder of a dataset from which the run was trained."""
    file = trained.workspace.run_folder(trained.spec["run"]) / "spec.json"
    spec = json.loads(file.read_text())
    spec["data"]["data_id"] = "data-1"
    file.write_text(json.dumps(spec))
    (trained.workspace.datasets / "data-1").mkdir()
    return trained.workspace.datasets / "data-1"


def test_a_run_of_two_steps_shows_no_difference(trained: FakeWork) -> None:
    (trained.folder / REPORT).write_text(
        '{"verdict": '
    )  # of an evaluation that was killed
    summary = job.run(trained)
    report = json.loads((trained.folder / REPORT).read_text())
    assert (summary["items"], summary["verdict"]) == (16, "no_difference_shown")
    assert summary["general"]["keep_general"] == 0
    assert summary == {
        name: value for name, value in report.items() if name != "answers"
    }
    assert (len(report["answers"]), {"base", "tuned"}) == (16, set(report["systems"]))
    assert report["systems"]["tuned"]["loss"] > 0


def test_baselines_and_a_limit(trained: FakeWork) -> None:
    trained.spec |= {"baselines": True, "items": 7}
    summary = job.run(trained)
    assert (summary["items"], list(summary["systems"])) == (
        7,
        ["base", "tuned", "prompt", "few_shot"],
    )
    assert summary["against_prompt"] != "not_measured"


def test_a_stop_ends_it_without_a_report(trained: FakeWork) -> None:
    trained.stop_in = "Asking"
    with pytest.raises(Stopped):
        job.run(trained)
    assert not (trained.folder / REPORT).exists()


def test_a_stopped_evaluation_asks_for_the_rest_next_time(
    trained: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(place, "_gpus", list)
    monkeypatch.setattr(
        torch_engine,
        "_load_fastest",
        lambda model: model_folder.load(model, torch.float32),
    )
    asked: list[tuple[str, int]] = []
    answer = Models.answer

    def counted(self: Models, pane: str, prompts: Any, *rest: Any) -> Any:
        asked.append((pane, len(prompts)))
        return answer(self, pane, prompts, *rest)

    monkeypatch.setattr(Models, "answer", counted)
    saved = trained.workspace.run_folder(trained.spec["run"]) / answers_so_far.FILE
    dataset = of_dataset(trained)
    trained.stop_in = "Asking the base model"
    with pytest.raises(Stopped):
        job.run(trained)
    assert not saved.exists(), (
        "those of the base are beside the dataset, for all its runs"
    )
    assert len(list(dataset.glob("base_answers-*.json"))) == 1
    trained.stop_in, asked[:] = "", []
    report = job.run(trained)
    assert asked[0] == (TUNED, 16), "the base model is not asked again"
    assert not saved.exists()
    asked.clear()
    assert (job.run(trained)["systems"], {pane for pane, _ in asked}) == (
        report["systems"],
        {TUNED},
    )
    assert asked[0] == (TUNED, 16)


@pytest.mark.parametrize(
    "spec", [{}, {"run": "x", "unknown": 1}, {"run": "x", "items": "many"}]
)
def test_a_wrong_spec_is_refused(trained: FakeWork, spec: dict[str, Any]) -> None:
    trained.spec = spec
    with pytest.raises(BadSetting):
        job.run(trained)


def test_a_quick_evaluation_follows_a_training(
    trained: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained.workspace.run_folder(trained.spec["run"])
    training_done = replace(
        trained, folder=folder, spec=json.loads((folder / "spec.json").read_text())
    )
    result = {"weights_changed": True, "tokens_per_second": 1000.0}
    spec = job.after_training(training_done, result)
    assert spec == {
        "run": folder.name,
        "baselines": False,
        "items": None,
        "trial": None,
    }
    assert (
        job.after_training(training_done, {**result, "tokens_per_second": 1.0}) is None
    ), "it would take too long"
    assert (
        job.after_training(training_done, {**result, "weights_changed": False}) is None
    )
    with monkeypatch.context() as slow:
        slow.setattr("backend.gguf.base_file._MIB_PER_SECOND", 1e-6)
        slow.setattr(
            "backend.gguf.base_file.path", lambda workspace, model: model / "none.gguf"
        )
        assert job.after_training(training_done, result) is None, (
            "the base would have to be converted first"
        )
    declined = replace(training_done, spec={**training_done.spec, "evaluate": False})
    assert job.after_training(declined, result) is None
    write_conversations(folder, "held_out", [])
    assert job.after_training(training_done, result) is None


def damaged_texts(run: Path) -> None:
    write_conversations(run, "held_out", [])
    (run / "data" / "held_out_texts.jsonl").write_text("[]\n")


def without_model(run: Path) -> None:
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(
        json.dumps({**spec, "model": {**spec["model"], "path": str(run / "deleted")}})
    )


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda run: write_conversations(run, "held_out", []), BadInput),
        (lambda run: (run / "data" / "held_out.jsonl").write_text("[]\n"), RunProblem),
        (lambda run: (run / "data" / "train.jsonl").write_text("[]\n"), RunProblem),
        (lambda run: shutil.rmtree(run / "result"), MissingPart),
        (damaged_texts, RunProblem), (without_model, MissingPart), (shutil.rmtree, RunProblem),
    ],
)  # fmt: skip
def test_what_is_missing_or_damaged_is_named(
    trained: FakeWork, damage: Callable[[Path], object], error: type[Exception]
) -> None:
    damage(trained.workspace.run_folder(trained.spec["run"]))
    with pytest.raises(error):
        job.run(trained)


def test_plain_texts_are_evaluated_by_perplexity(trained: FakeWork) -> None:
    folder = trained.workspace.run_folder(trained.spec["run"])
    write_conversations(folder, "held_out", [])
    write_texts(
        folder, [f"Order {n} came on day {n}, and nobody was in." for n in range(8)]
    )
    summary = job.run(trained)
    assert (summary["main_measure"], summary["items"]) == ("perplexity", 8)
    assert summary["systems"]["base"]["score"] > 1
    training_done = replace(
        trained, folder=folder, spec=json.loads((folder / "spec.json").read_text())
    )
    assert (
        job.after_training(
            training_done, {"weights_changed": True, "tokens_per_second": 1000.0}
        )
        is not None
    )


def test_one_held_out_example_gives_a_report_that_proves_nothing(
    trained: FakeWork,
) -> None:
    trained.spec |= {"items": 1, "baselines": True}
    job.run(trained)
    report = EvaluationReport.model_validate_json((trained.folder / REPORT).read_text())
    assert (report.items, report.verdict) == (1, "no_difference_shown")
    assert verdict_card.verdict(report)
    assert all(verdicts.system_line(name, report) for name in report.systems)


def test_a_second_version_is_compared_with_the_first_without_asking_it_again(
    trained: FakeWork, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any precision, as long as it is the same: a busy processor may be faster in
    another one the next time.
    """
    import torch

    monkeypatch.setattr(place, "_gpus", list)
    monkeypatch.setattr(
        torch_engine,
        "_load_fastest",
        lambda model: model_folder.load(model, torch.float32),
    )
    first = trained.workspace.run_folder(trained.spec["run"])
    job.run(trained)
    folder = trained.workspace.run_folder(new_id())
    work = make_run(folder, tiny_model, max_steps=2)
    continue_from(FakeWork(first, json.loads((first / "spec.json").read_text())), work)
    (folder / "spec.json").write_text(json.dumps(work.spec))
    training.run(work)
    rows = [Divided("train", Row(1, 1, chat)) for chat in conversations(40)]
    rows += [Divided("judging", Row(1, 1, chat)) for chat in conversations(16, seed=1)]
    for run in (first, folder):
        division.write(run, rows)
    shutil.copytree(first / "data", folder / "data", dirs_exist_ok=True)
    summary = job.run(replace(trained, spec={"run": folder.name}))
    assert summary["against_parent"] == "no_difference_shown"
    parent = summary["parent"]
    assert (parent["run"], parent["version"], parent["asked"]) == (first.name, 1, 0)
    assert parent["items"] + parent["left_out"] == 16
    (first / "answers.json").unlink()
    again = job.run(replace(trained, spec={"run": folder.name}))
    assert again["parent"]["asked"] == parent["items"]
    assert again["parent"]["systems"] == parent["systems"], (
        "the model answers as it did in its own evaluation"
    )
