"""How formats are made: what one job makes, names of files, the card, and CHECKS.json
without people's examples.
"""

import ast
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import Stopped
from backend.export import formats, makers, model_card
from backend.export.target import Target
from backend.records.exports import (
    ExportFile,
    ExportResult,
    FileCheck,
    LossCheck,
    Program,
)
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings

FAILED = FileCheck(
    ok=False,
    sentence="It says something else.",
    text="Order 4711",
    nll=math.inf,
    tokens=7,
)
FOUND = ExportResult(
    smoke={"F16": FAILED},
    loss=LossCheck(ok=None, sentence="Not measured.", trained=math.nan),
)
GUIDE = Program(name="Ollama", what="", steps=(), code="", source="")


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, *checks: Any) -> ExportResult:
    """Makes the format "adapter" of one file, with these checks."""
    files = [ExportFile(name="tiny", bytes=1)]
    maker = makers.Maker(
        lambda *given: files,
        checks,
        lambda _, __, found: found.joined(ExportResult(programs=(GUIDE,))),
    )
    monkeypatch.setitem(makers.MAKERS, "adapter", maker)
    target = Target.of("adapter", "tiny", folder)
    target.place.mkdir(parents=True)
    source: Any = SimpleNamespace(system_message="")
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


def test_the_file_of_checks_is_json_without_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path, monkeypatch, lambda *given: FOUND)
    [file] = tmp_path.rglob("*CHECKS.json")
    text = file.read_text("utf-8")
    assert not any(word in text for word in ("NaN", "Infinity", "4711"))
    read = ExportResult.model_validate(json.loads(text))
    assert (read.smoke["F16"].tokens, made.smoke["F16"]) == (7, FAILED)
    assert math.isnan(read.smoke["F16"].nll)


@pytest.mark.parametrize(
    ("to", "jobs"),
    [
        ("gguf:Q4_K_M,gguf:Q8_0,ollama", ["gguf:Q4_K_M,gguf:Q8_0"]), ("ollama", ["gguf:Q8_0"]),
        ("gguf:F16, adapter,gguf:F16", ["adapter", "gguf:F16"]), ("merged,script", ["merged", "script"]),
    ],
)  # fmt: skip
def test_which_formats_one_job_makes(to: str, jobs: list[str]) -> None:
    assert formats.jobs_for(to) == jobs


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My Model", "my-model"), ("../../etc/passwd", "etc-passwd"), ("日本語", "model"), ("", "model"),
        ("a" * 100, "a" * 40), ("Über; rm -rf $(x)", "uber-rm-rf-x"), ("--help", "help"),
        ("Größte Liste", "grosste-liste"),
    ],
)  # fmt: skip
def test_a_name_becomes_a_plain_file_name(name: str, slug: str) -> None:
    assert formats.slug(name) == slug


NUMBERS = dict.fromkeys(
    ("train_rows", "validation_rows", "train_tokens", "learned_tokens", "longest"), 9
)
RUN = RunSpec(
    name="Bakery", model=ModelRef(id="tests/tiny", path=Path("tiny")),
    data=DataRef(name="bakery.jsonl", sha256="", **NUMBERS), settings=TrainSettings(),
)  # fmt: skip
ODD = "Be \"warm\" and brief.\nSign as `Rosie` 🥐 {x} \\ ''' end\""


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_the_card_shows_how_to_ask_with_the_instruction(form: str) -> None:
    card = model_card.card(RUN, form, "bakery", ODD)
    line = next(
        line for line in card.split("\n") if line.strip().startswith("instruction =")
    )
    assert ast.literal_eval(line.partition("=")[2].strip()) == ODD
    assert '"system"' in card
    assert "instruction" not in model_card.card(RUN, form, "bakery")
