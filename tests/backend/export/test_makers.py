"""How a format is made: failed checks are logged at once, and CHECKS.json is JSON, both without people's examples."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.export import makers
from backend.export.target import Stopped, Target
from backend.records.exports import ExportFile, ExportResult, FileCheck, LossCheck, Program

FAILED = FileCheck(ok=False, sentence="It says something else.", text="Order 4711", nll=math.inf, tokens=7)
FOUND = ExportResult(smoke={"F16": FAILED}, loss=LossCheck(ok=None, sentence="Not measured.", trained=math.nan))
GUIDE = Program(name="Ollama", what="", steps=(), code="", source="")


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, *checks: Any) -> ExportResult:
    """Makes the format "adapter" of one file, with these checks."""
    files = [ExportFile(name="tiny", bytes=1)]
    maker = makers.Maker(
        lambda *given: files, checks, lambda _, __, found: found.joined(ExportResult(programs=(GUIDE,)))
    )
    monkeypatch.setitem(makers.MAKERS, "adapter", maker)
    target = Target.of("adapter", "tiny", folder)
    target.place.mkdir(parents=True)
    source: Any = SimpleNamespace(instruction="")
    report: Any = lambda *given: None  # noqa: E731
    return makers.make(source, target, report)


def test_a_failed_check_is_logged_at_once_and_without_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stopped(*given: object) -> ExportResult:
        raise Stopped

    with pytest.raises(Stopped):
        make(tmp_path, monkeypatch, lambda *given: FOUND, stopped)
    [line] = caplog.messages
    assert "It says something else." in line
    assert "'tokens': 7" in line
    assert "4711" not in line


def test_the_file_of_checks_is_json_without_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path, monkeypatch, lambda *given: FOUND)
    [file] = tmp_path.rglob("*CHECKS.json")
    text = file.read_text("utf-8")
    assert not any(word in text for word in ("NaN", "Infinity", "4711"))
    read = ExportResult.model_validate(json.loads(text))
    assert (read.smoke["F16"].tokens, made.smoke["F16"]) == (7, FAILED)
    assert math.isnan(read.smoke["F16"].nll)
