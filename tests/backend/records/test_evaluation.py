"""Reports of evaluations: older and newest ones are read, numbers that are not finite survive, damage is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from backend.files.json_file import to_json
from backend.records.evaluation import EvaluationReport, EvaluationSummary, SystemScore, TrialReport
from tests.ui.fake_records import against_parent, report_json, trial_report

SCORE = {"score": 1.0, "interval": [0.5, 1.0]}
NEWEST_SCORE = {
    **SCORE, "ended": 1.0, "loops": 0.0, "words": 18.5, "loss": 0.5, "phrases": {"Kind regards": 0.5}, "copied": 0.0,
    "json": 1.0, "fields": {"intent": 1.0}, "confusion": {"yes": {"no": 2}}, "instruction": "Be brief.",
}  # fmt: skip
COMPARED = {"a": "tuned", "b": "base", "difference": 0.75, "interval": [0.3, None], "p": 0.03, "verdict": "better"}
NEWEST = {
    **report_json(baselines=True), **against_parent("better"), "skipped": 1, "detectable_gain": 0.5,
    "comparisons": [COMPARED, {**COMPARED, "a": "parent", "p": None}], "against_facts": "not_shown",
    "findings": [{"kind": "memorized", "share": 0.5, "example": "Yes."}], "retry": {"num_train_epochs": 2.0},
}  # fmt: skip


def read_back(report: EvaluationReport) -> EvaluationReport:
    return EvaluationReport.model_validate(json.loads(to_json(report.to_json())))


def test_an_older_report_is_read_with_defaults_and_without_what_is_unknown() -> None:
    older = {name: value for name, value in report_json().items() if name not in ("next_kind", "retry")}
    read = EvaluationReport.model_validate({**older, "removed": 1})
    assert (read.next_kind, read.retry, read.against_parent, read.parent) == ("", {}, "not_measured", None)
    assert read.to_json() == older


def test_the_newest_report_reads_back_as_written() -> None:
    assert EvaluationReport.model_validate(NEWEST).to_json() == NEWEST
    assert SystemScore.model_validate(NEWEST_SCORE).to_json() == NEWEST_SCORE
    assert TrialReport.model_validate(trial_report()).to_json() == trial_report()


def test_numbers_that_are_not_finite_are_written_as_null_and_read_back() -> None:
    endless: dict[str, Any] = {"score": math.inf, "interval": [math.inf, math.inf], "loss": math.nan}
    compared = {**COMPARED, "difference": math.nan, "interval": [-math.inf, math.inf]}
    written = {**report_json(), "main_measure": "perplexity", "comparisons": [compared]}
    report = EvaluationReport.model_validate({**written, "systems": {"base": SCORE, "tuned": endless}})
    read = read_back(report)
    assert read.systems["tuned"].score == math.inf
    assert math.isnan(read.comparisons[0].difference)
    assert read.comparisons[0].interval == (-math.inf, math.inf)
    assert to_json(read.to_json()) == to_json(report.to_json())


@pytest.mark.parametrize(
    "damage",
    [
        {"items": 0},
        {"items": math.nan},
        {"verdict": "good"},
        {"main_measure": "beauty"},
        {"systems": {"base": SCORE}},
        {"systems": {"base": SCORE, "tuned": SCORE, "parent": SCORE}},
        *({"systems": {"base": SCORE, "tuned": {**SCORE, "score": score}}} for score in (None, 1.5, -1.0, math.nan)),
        {"general": {}},
        {"findings": [{"kind": "memorized"}]},
        {"against_parent": "better"},
        {"against_parent": "better", "parent": {"run": "x"}},
        {"against_parent": "better", "parent": {"run": "x", "systems": {"tuned": SCORE}}},
        {
            "against_parent": "worse",
            "parent": {"run": "x", "systems": {"tuned": SCORE, "parent": {**SCORE, "score": None}}},
        },
    ],
    ids=str,
)
def test_a_damaged_report_is_refused(damage: dict[str, Any]) -> None:
    EvaluationSummary.model_validate(report_json())
    with pytest.raises(ValidationError):
        EvaluationSummary.model_validate({**report_json(), **damage})


def test_a_report_for_another_computer_has_no_previous_version_and_is_accepted_there() -> None:
    there = EvaluationReport.model_validate(NEWEST).elsewhere()
    assert (there.parent, there.comparisons, there.retry) == (None, (), {})
    assert EvaluationReport.from_elsewhere(to_json(there.to_json())) == there
