"""The selection that a browser stored is never trusted."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from ui.services.selection import Choice


def test_a_selection_survives_the_browser() -> None:
    choice = Choice(
        "extract",
        True,
        "model",
        "data",
        "run",
        "other",
        "parent",
        True,
        "export",
        "file",
        "import",
        7,
        3,
        {"lora_rank": 16},
    )
    assert Choice.from_browser(asdict(choice)) == choice


def test_another_runs_own_model_answers_first() -> None:
    choice = Choice(run_id="run", left="export", right="file")
    assert choice.replace(row=2).right == "file"
    assert choice.replace(run_id="other") == Choice(run_id="other", left="export")


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "x",
        {
            "task": "evil",
            "run_id": 7,
            "data_id": ["a"],
            "model_id": "m" * 999,
            "settings": [1],
            "facts_change": "yes",
            "row": -3,
        },
    ],
)
def test_an_invalid_value_counts_as_not_selected(stored: object) -> None:
    assert Choice.from_browser(stored) == Choice()
