"""Prompts tried on the base model, before anything is trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadInput, BadSetting, Stopped
from backend.evaluation import general, prompt_trial
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.asking import Asking
from backend.evaluation.evaluate import evaluate
from backend.evaluation.measures import Measure
from backend.evaluation.prompt_trial import trial_report, try_prompts
from backend.evaluation.report import REPORT
from backend.records.evaluation import TrialReport
from backend.runs.conversations import write_conversations
from backend.settings import Workspace, new_id
from tests.backend.evaluation.spoken import Said, Spoken
from tests.backend.evaluation.test_evaluate import EXPECTED, HELD_OUT, TRAIN, last
from tests.backend.tiny_run import FakeWork, conversations


def report_of(said: Said) -> TrialReport:
    asking = Asking(Spoken(said), HELD_OUT, TRAIN)
    report = trial_report(asking, try_prompts(asking))
    return TrialReport.model_validate(
        json.loads(json.dumps(report.to_json(), allow_nan=False))
    )


def needs_json(pane: str, given: str) -> str:
    """Follows an instruction that asks for JSON, and nothing else."""
    return EXPECTED.get(last(given), "Hm.") if "one JSON object" in given else "Hello."


def test_an_instruction_that_suffices_is_found_without_asking_a_tuned_model() -> None:
    def said(pane: str, given: str) -> str:
        assert pane == "base"
        return needs_json(pane, given)

    report = report_of(said)
    assert ((report.best, report.next_kind), report.systems["prompt"].score) == (
        ("prompt", "prompt_may_do"),
        1,
    )
    assert "JSON" in report.systems["prompt"].instruction
    assert {(one.a, one.b, one.verdict) for one in report.comparisons} == {
        ("prompt", "base", "better"),
        ("few_shot", "base", "no_difference_shown"),
    }
    assert set(report.answers[0].texts) == {"base", "prompt", "few_shot"}


def test_what_leads_to_training() -> None:
    asking = Asking(Spoken(needs_json), HELD_OUT[:8], TRAIN)
    report = trial_report(asking, try_prompts(asking))
    assert (report.systems["prompt"].score, report.next_kind) == (1, "train")
    asking = Asking(
        Spoken(lambda pane, given: EXPECTED.get(last(given), "Hm.")), HELD_OUT, TRAIN
    )
    asking.measure = Measure("chrf")
    report = trial_report(asking, try_prompts(asking))
    assert report.systems[report.best].interval[0] >= prompt_trial.GOOD
    assert report.next_kind == "read_answers"
    report = report_of(lambda pane, given: "Hello.")
    assert report.next_kind == "train"
    assert all(system.score == 0 for system in report.systems.values())
    with pytest.raises(BadInput):
        try_prompts(Asking(Spoken(needs_json), HELD_OUT, []))


@pytest.fixture
def trial(workspace: Workspace, tiny_model: Path) -> FakeWork:
    """A trial of eight questions with a tiny model."""
    folder = workspace.run_folder(new_id())
    write_conversations(folder, "train", conversations(12))
    write_conversations(folder, "held_out", conversations(8, seed=1))
    model = {"id": "tiny", "path": str(tiny_model)}
    return FakeWork(
        folder, {"model": model, "data": "data-1", "examples": "0"}, workspace=workspace
    )


def test_the_job_writes_its_report_and_answers_to_reuse(trial: FakeWork) -> None:
    (trial.workspace.datasets / "data-1").mkdir()
    summary = prompt_trial.run(trial)
    written = json.loads((trial.folder / REPORT).read_text())
    assert summary == {
        name: value for name, value in written.items() if name != "answers"
    }
    assert list(TrialReport.model_validate(written).systems) == [
        "base",
        "prompt",
        "few_shot",
    ]
    assert (
        len(list((trial.workspace.datasets / "data-1").glob("base_answers-*.json")))
        == 1
    )


def test_a_stopped_trial_leaves_no_report(trial: FakeWork) -> None:
    trial.stop_in = "Trying"
    with pytest.raises(Stopped):
        prompt_trial.run(trial)
    assert not (trial.folder / REPORT).exists()


@pytest.mark.parametrize("spec", [{}, {"model": "x"}, {"unknown": 1}])
def test_a_wrong_spec_is_refused(trial: FakeWork, spec: dict[str, Any]) -> None:
    trial.spec = spec
    with pytest.raises(BadSetting):
        prompt_trial.run(trial)


def test_an_evaluation_reuses_the_answers_of_a_trial(tmp_path: Path) -> None:
    base, asked = tmp_path / "base.json", list[str]()

    def said(pane: str, given: str) -> str:
        asked.append(pane)
        return needs_json(pane, given)

    tried = try_prompts(
        Asking(Spoken(said), HELD_OUT, TRAIN, so_far=AnswersSoFar(base=base))
    )
    asked.clear()
    report = evaluate(
        Asking(Spoken(said), HELD_OUT, TRAIN, so_far=AnswersSoFar(base=base)),
        baselines=False,
    )[0]
    assert asked.count("base") == len(general.PROMPTS), "which a trial does not ask"
    assert {name: report.systems[name].score for name in tried} == {
        "base": 0,
        "prompt": 1,
        "few_shot": 0,
    }
    assert report.against_prompt != "not_measured"
    another = Asking(
        Spoken(said), HELD_OUT, TRAIN, so_far=AnswersSoFar(base=tmp_path / "other.json")
    )
    assert evaluate(another, baselines=False)[0].against_prompt == "not_measured"
