"""The report of an evaluation as Markdown, for the zip file "Everything in one file"."""

from __future__ import annotations

from backend.export import model_card
from backend.export.model_card import Evaluation
from backend.records.evaluation import BASE, TUNED, EvaluationReport, ReportedAnswer

FILE = "report.md"


def text(report: EvaluationReport, scores: Evaluation) -> str:
    """The scores, what to do next, and every answer, the worst first."""
    answers = [_answer(number, answer) for number, answer in enumerate(report.answers, 1)]
    return "\n".join(["# How good the model is\n", model_card.scores(scores), f"{report.next}\n", *answers])


def _answer(number: int, answer: ReportedAnswer) -> str:
    parts = {
        "Your examples say": answer.expected,
        "This model": answer.texts[TUNED],
        "The base model": answer.texts[BASE],
    }
    quotes = "\n".join(f"{who}:\n\n{_quoted(text)}\n" for who, text in parts.items())
    return f"## Question {number}\n\n{_quoted(answer.question)}\n\n{quotes}"


def _quoted(text: str) -> str:
    """The text as a block of code, whatever it contains."""
    return "\n".join(f"    {line}" for line in text.splitlines() or [""])
