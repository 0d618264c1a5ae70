"""Results of evaluations, exports and runs: older and newest ones are read, and damage
is refused.
"""

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from backend.files.json_file import read_json, to_json
from backend.records.evaluation import (
    EvaluationReport,
    EvaluationSummary,
    SystemScore,
    TrialReport,
)
from backend.records.exports import ExportResult
from backend.records.training import TrainingResult
from tests.ui.fake_records import RESULTS, against_parent, report_json, trial_report

SCORE = {"score": 1.0, "interval": [0.5, 1.0]}
UNSCORED = {**SCORE, "score": None}
NEWEST_SCORE = read_json(RESULTS / "newest_score.json")
COMPARED = {
    "a": "tuned",
    "b": "base",
    "difference": 0.75,
    "interval": [0.3, None],
    "p": 0.03,
    "verdict": "better",
}
NEWEST_REPORT = {
    **report_json(baselines=True), **against_parent("better"), "skipped": 1, "detectable_gain": 0.5,
    "comparisons": [COMPARED, {**COMPARED, "a": "parent", "p": None}], "against_facts": "not_shown",
    "findings": [{"kind": "memorized", "share": 0.5, "example": "Yes."}], "retry": {"num_train_epochs": 2.0},
}  # fmt: skip


def test_reports_older_newest_and_not_finite_are_read() -> None:
    older = {
        name: value
        for name, value in report_json().items()
        if name not in ("next_kind", "retry")
    }
    read = EvaluationReport.model_validate({**older, "removed": 1})
    assert (read.next_kind, read.retry, read.against_parent, read.parent) == (
        "",
        {},
        "not_measured",
        None,
    )
    assert read.to_json() == older
    assert EvaluationReport.model_validate(NEWEST_REPORT).to_json() == NEWEST_REPORT
    assert SystemScore.model_validate(NEWEST_SCORE).to_json() == NEWEST_SCORE
    assert TrialReport.model_validate(trial_report()).to_json() == trial_report()
    endless: dict[str, Any] = {
        "score": math.inf,
        "interval": [math.inf, math.inf],
        "loss": math.nan,
    }
    compared = {**COMPARED, "difference": math.nan, "interval": [-math.inf, math.inf]}
    written = {**report_json(), "main_measure": "perplexity", "comparisons": [compared]}
    report = EvaluationReport.model_validate(
        {**written, "systems": {"base": SCORE, "tuned": endless}}
    )
    read = EvaluationReport.model_validate(json.loads(to_json(report.to_json())))
    assert read.systems["tuned"].score == math.inf
    assert math.isnan(read.comparisons[0].difference)
    assert read.comparisons[0].interval == (-math.inf, math.inf)
    assert to_json(read.to_json()) == to_json(report.to_json())


@pytest.mark.parametrize(
    "damage",
    [
        *({"items": items} for items in (0, math.nan)), {"verdict": "good"}, {"main_measure": "beauty"},
        {"systems": {"base": SCORE}}, {"general": {}}, {"findings": [{"kind": "memorized"}]},
        {"systems": {"base": SCORE, "tuned": SCORE, "parent": SCORE}},
        *({"systems": {"base": SCORE, "tuned": {**SCORE, "score": score}}} for score in (None, 1.5, -1.0, math.nan)),
        {"against_parent": "better"}, {"against_parent": "better", "parent": {"run": "x"}},
        {"against_parent": "better", "parent": {"run": "x", "systems": {"tuned": SCORE}}},
        {"against_parent": "worse", "parent": {"run": "x", "systems": {"tuned": SCORE, "parent": UNSCORED}}},
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_report_is_refused(damage: dict[str, Any]) -> None:
    EvaluationSummary.model_validate(report_json())
    with pytest.raises(ValidationError):
        EvaluationSummary.model_validate({**report_json(), **damage})


def test_a_report_for_another_computer_has_no_previous_version_and_is_accepted_there() -> (
    None
):
    there = EvaluationReport.model_validate(NEWEST_REPORT).elsewhere()
    assert (there.parent, there.comparisons, there.retry) == (None, (), {})
    assert EvaluationReport.from_elsewhere(to_json(there.to_json())) == there


CHECK = {"ok": True, "sentence": "It is the same."}
NEWEST_EXPORT = read_json(RESULTS / "newest_export.json")


def test_exports_are_read_and_a_failed_check_stays() -> None:
    older = {
        "to": "adapter",
        "files": [{"name": "a", "bytes": 1}],
        "base": "trained",
        "folder": "a",
    }
    older = ExportResult.model_validate(older)
    assert (older.files[0].sha256, older.checks, older.passed) == ("", (), True)
    assert NEWEST_EXPORT.keys() == ExportResult.model_fields.keys()
    assert ExportResult.model_validate(NEWEST_EXPORT).to_json() == NEWEST_EXPORT
    merged = {**NEWEST_EXPORT["loss"], "merged": math.inf, "trained": math.nan}
    written = json.loads(
        to_json(ExportResult.model_validate({"loss": merged}).to_json())
    )
    assert written["loss"] == {**merged, "merged": None, "trained": None}
    assert math.isnan(ExportResult.model_validate(written).loss.merged)
    failed, passed = ({"parity": {**CHECK, "ok": ok}} for ok in (False, True))
    assert (
        ExportResult.model_validate(failed)
        .joined(ExportResult.model_validate(passed))
        .parity.ok
        is False
    )


NEWEST_RUN = read_json(RESULTS / "newest_run.json")


def test_older_and_newest_runs_are_read_as_written() -> None:
    older = TrainingResult.model_validate(
        {"steps": 40, "best_step": 20, "eval_loss": None, "removed": 1}
    )
    assert older.to_json() == {"steps": 40, "best_step": 20, "eval_loss": None}
    assert (older.state, older.precision, older.measured) == ("completed", "", None)
    assert NEWEST_RUN.keys() == TrainingResult.model_fields.keys()
    assert (
        TrainingResult.model_validate(json.loads(to_json(NEWEST_RUN))).to_json()
        == NEWEST_RUN
    )


@pytest.mark.parametrize(
    ("record", "newest", "damage"),
    [
        *((ExportResult, NEWEST_EXPORT, damage) for damage in (
            {"to": None}, {"files": [{}]}, {"sizes": [{"kind": "F16"}]}, {"parity": {"ok": True}}, {"smoke": []},
        )),
        *((TrainingResult, NEWEST_RUN, damage) for damage in (
            {"steps": 3.5}, {"precision": None}, {"tokens_per_second": None}, {"state": "lost"},
            {"peak_memory_mib": 12.5},
        )),
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_export_or_run_is_refused(
    record: Any, newest: dict[str, Any], damage: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        record.model_validate({**newest, **damage})
