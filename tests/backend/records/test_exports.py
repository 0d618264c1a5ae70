"""The result of an export: older and newest ones are read, numbers that are not finite survive, damage is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from backend.files.json_file import to_json
from backend.records.exports import ExportResult

CHECK = {"ok": True, "sentence": "It is the same."}
NEWEST: dict[str, Any] = {
    "to": "gguf:Q8_0", "base": "trained", "evaluation": "job-1", "folder": "",
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
    "smoke": {"Q8_0": {**CHECK, "loads": True, "text": "Zzz", "nll": 1.5, "merged_nll": 1.5, "same_choice": 0.99}},
    "sizes": [{"kind": "Q8_0", "bytes": 9, "kl": 0.01, "task": {"measure": "exact", "score": 0.5, "items": 24}}],
    "programs": [{"name": "Ollama", "what": "runs it", "steps": ["Start it."], "code": "", "source": "https://a"}],
    "ollama_template": True, "checks": [CHECK],
}  # fmt: skip


def test_older_and_newest_results_are_read_as_written() -> None:
    older = ExportResult.model_validate({"to": "adapter", "files": [{"name": "a", "bytes": 1}], "removed": 1})
    assert (older.base, older.files[0].sha256, older.checks, older.passed) == ("original", "", (), True)
    assert NEWEST.keys() == ExportResult.model_fields.keys()
    assert ExportResult.model_validate(NEWEST).to_json() == NEWEST


def test_a_loss_that_is_not_finite_is_written_as_null_and_reads_as_nan() -> None:
    merged = {**NEWEST["loss"], "merged": math.inf, "trained": math.nan}
    written = json.loads(to_json(ExportResult.model_validate({"loss": merged}).to_json()))
    assert written["loss"] == {**merged, "merged": None, "trained": None}
    read = ExportResult.model_validate(written).loss
    assert read
    assert math.isnan(read.merged)


@pytest.mark.parametrize(
    "damage",
    [{"to": None}, {"files": [{}]}, {"sizes": [{"kind": "F16"}]}, {"parity": {"ok": True}}, {"smoke": []}],
    ids=str,
)
def test_a_damaged_result_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExportResult.model_validate({**NEWEST, **damage})


def test_a_check_that_has_failed_once_stays_so() -> None:
    failed, passed = ({"parity": {**CHECK, "ok": ok}} for ok in (False, True))
    joined = ExportResult.model_validate(failed).joined(ExportResult.model_validate(passed))
    assert joined.parity
    assert joined.parity.ok is False
