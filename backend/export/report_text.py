"""The report of an evaluation as Markdown, for the zip file "Everything in one file"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.export import model_card
from backend.export.model_card import Evaluation

FILE = "report.md"


def text(report: Mapping[str, Any], scores: Evaluation) -> str:
    """The scores, what to do next, and every answer, the worst first."""
    answers = [_answer(number, one) for number, one in enumerate(report["answers"], 1)]
    return "\n".join(["# How good the model is\n", model_card.scores(scores), f"{report['next']}\n", *answers])


def _answer(number: int, one: Mapping[str, Any]) -> str:
    parts = {"Your examples say": one["expected"], "This model": one["tuned"], "The base model": one["base"]}
    said = "\n".join(f"{who}:\n\n{_quoted(what)}\n" for who, what in parts.items())
    return f"## Question {number}\n\n{_quoted(one['question'])}\n\n{said}"


def _quoted(words: str) -> str:
    """The words as a block of code, whatever they contain."""
    return "\n".join(f"    {line}" for line in words.splitlines() or [""])
