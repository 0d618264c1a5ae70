"""`chat` as typed: its text while it is written, or one JSON document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ui.cli.main import main
from ui.services.results import ResultService

ANSWER = {
    "text": "Hello there",
    "tokens": 2,
    "tokens_per_second": 71.6,
    "engine": "llama.cpp, 8-bit",
    "finish": "length",
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What stood on stdout after each piece of the answer."""
    seen: list[str] = []

    def answer_once(service: ResultService, *given: Any, each: Callable[[str], None] = seen.append) -> dict[str, Any]:
        for piece in ("Hello ", "there"):
            each(piece)
            seen.append(capsys.readouterr().out)
        return ANSWER

    monkeypatch.setattr(ResultService, "answer_once", answer_once)
    return seen


def chat(workspace: Path, *options: str) -> int:
    return main(["chat", "run-1", "--prompt", "Hi", "--workspace", str(workspace), *options])


def test_the_answer_is_printed_as_it_is_written(
    written: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(tmp_path) == 0
    assert written == ["Hello ", "there"]
    rest = capsys.readouterr()
    assert rest.out == "\n"
    assert all(part in rest.err for part in ("llama.cpp, 8-bit", "72 tokens a second", "Cut off"))


def test_json_is_one_document_that_names_the_engine(
    written: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == ANSWER
