"""Results of evaluations, exports and runs: older and newest ones are read, and damage is refused."""

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from backend.files.json_file import to_json
from backend.records.evaluation import EvaluationReport, EvaluationSummary, SystemScore, TrialReport
from backend.records.exports import ExportResult
from backend.records.training import TrainingResult
from tests.ui.fake_records import against_parent, report_json, trial_report

SCORE = {"score": 1.0, "interval": [0.5, 1.0]}
UNSCORED = {**SCORE, "score": None}
NEWEST_SCORE = {
    **SCORE, "ended": 1.0, "loops": 0.0, "words": 18.5, "loss": 0.5, "phrases": {"Kind regards": 0.5}, "copied": 0.0,
    "json": 1.0, "fields": {"intent": 1.0}, "confusion": {"yes": {"no": 2}}, "instruction": "Be brief.",
}  # fmt: skip
COMPARED = {"a": "tuned", "b": "base", "difference": 0.75, "interval": [0.3, None], "p": 0.03, "verdict": "better"}
NEWEST_REPORT = {
    **report_json(baselines=True), **against_parent("better"), "skipped": 1, "detectable_gain": 0.5,
    "comparisons": [COMPARED, {**COMPARED, "a": "parent", "p": None}], "against_facts": "not_shown",
    "findings": [{"kind": "memorized", "share": 0.5, "example": "Yes."}], "retry": {"num_train_epochs": 2.0},
}  # fmt: skip


def test_reports_older_newest_and_not_finite_are_read() -> None:
    older = {name: value for name, value in report_json().items() if name not in ("next_kind", "retry")}
    read = EvaluationReport.model_validate({**older, "removed": 1})
    assert (read.next_kind, read.retry, read.against_parent, read.parent) == ("", {}, "not_measured", None)
    assert read.to_json() == older
    assert EvaluationReport.model_validate(NEWEST_REPORT).to_json() == NEWEST_REPORT
    assert SystemScore.model_validate(NEWEST_SCORE).to_json() == NEWEST_SCORE
    assert TrialReport.model_validate(trial_report()).to_json() == trial_report()
    endless: dict[str, Any] = {"score": math.inf, "interval": [math.inf, math.inf], "loss": math.nan}
    compared = {**COMPARED, "difference": math.nan, "interval": [-math.inf, math.inf]}
    written = {**report_json(), "main_measure": "perplexity", "comparisons": [compared]}
    report = EvaluationReport.model_validate({**written, "systems": {"base": SCORE, "tuned": endless}})
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


def test_a_report_for_another_computer_has_no_previous_version_and_is_accepted_there() -> None:
    there = EvaluationReport.model_validate(NEWEST_REPORT).elsewhere()
    assert (there.parent, there.comparisons, there.retry) == (None, (), {})
    assert EvaluationReport.from_elsewhere(to_json(there.to_json())) == there


CHECK = {"ok": True, "sentence": "It is the same."}
NEWEST_EXPORT: dict[str, Any] = {
    "to": "gguf:Q8_0", "evaluation": "job-1",
    "files": [{"name": "a.gguf", "bytes": 9, "sha256": "00"}],
    "parity": {
        **CHECK, "ok": False, "conversations": 8,
        "first_difference": {"where": "llama.cpp", "conversation": 1, "position": 2, "training": "a", "other": "b"},
    },
    "merge": {**CHECK, "dtype": "bfloat16", "lost": 0.01, "same_choice": 0.99, "tokens": 512},
    "loss": {**CHECK, "trained": 1.5, "merged": 1.6, "places": 90},
    "template": {**CHECK, "ok": None, "conversations": 8, "expected": "a", "found": "b"},
    "same": {**CHECK, "first_difference": 2},
    "task": {**CHECK, "worse": ["Q4_K_M"], "items": 24, "scores": {"Q8_0": 0.75}},
    "page": {**CHECK, "questions": 10, "from_disk": 9, "over_http": 10, "seconds": 3.5, "tokens_per_second": 9.0},
    "smoke": {"Q8_0": {**CHECK, "loads": True, "text": "Zzz", "nll": 1.5, "merged_nll": 1.5, "same_choice": 0.99}},
    "sizes": [{"kind": "Q8_0", "bytes": 9, "places": 9, "task": {"measure": "exact", "score": 0.5, "items": 24}}],
    "programs": [{"name": "Ollama", "what": "runs it", "steps": ["Start it."], "code": "", "source": "https://a"}],
    "ollama_template": True, "checks": [CHECK],
}  # fmt: skip


def test_exports_are_read_and_a_failed_check_stays() -> None:
    older = {"to": "adapter", "files": [{"name": "a", "bytes": 1}], "base": "trained", "folder": "a"}
    older = ExportResult.model_validate(older)
    assert (older.files[0].sha256, older.checks, older.passed) == ("", (), True)
    assert NEWEST_EXPORT.keys() == ExportResult.model_fields.keys()
    assert ExportResult.model_validate(NEWEST_EXPORT).to_json() == NEWEST_EXPORT
    merged = {**NEWEST_EXPORT["loss"], "merged": math.inf, "trained": math.nan}
    written = json.loads(to_json(ExportResult.model_validate({"loss": merged}).to_json()))
    assert written["loss"] == {**merged, "merged": None, "trained": None}
    assert math.isnan(ExportResult.model_validate(written).loss.merged)
    failed, passed = ({"parity": {**CHECK, "ok": ok}} for ok in (False, True))
    assert ExportResult.model_validate(failed).joined(ExportResult.model_validate(passed)).parity.ok is False


NEWEST_RUN: dict[str, Any] = {
    "state": "completed", "steps": 40, "weights_changed": True, "train_loss": 1.5, "eval_loss": 1.2, "eval_step": 20,
    "first_eval_loss": 3.1, "best_step": 20, "tokens_per_second": 412.5, "learned_tokens_per_second": 99.5,
    "peak_memory_mib": 1740, "seconds": 240.5, "base_unchanged": True, "precision": "bf16",
    "trainable_parameters": 4096, "reward_accuracy": 0.75, "reward_margin": 0.1,
    "settings_changed": {"per_device_train_batch_size": 1}, "measured": {"memory_mib": 1700.5},
}  # fmt: skip


def test_older_and_newest_runs_are_read_as_written() -> None:
    older = TrainingResult.model_validate({"steps": 40, "best_step": 20, "eval_loss": None, "removed": 1})
    assert older.to_json() == {"steps": 40, "best_step": 20, "eval_loss": None}
    assert (older.state, older.precision, older.measured) == ("completed", "", None)
    assert NEWEST_RUN.keys() == TrainingResult.model_fields.keys()
    assert TrainingResult.model_validate(json.loads(to_json(NEWEST_RUN))).to_json() == NEWEST_RUN


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
def test_a_damaged_export_or_run_is_refused(record: Any, newest: dict[str, Any], damage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record.model_validate({**newest, **damage})
