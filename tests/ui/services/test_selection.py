"""What a browser kept is never trusted."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from ui.services.selection import Choice


def test_it_survives_the_browser() -> None:
    choice = Choice("extract", True, "model", "data", "run", "other", "reading", 7, {"lora_rank": 16})
    assert Choice.from_browser(asdict(choice)) == choice


@pytest.mark.parametrize(
    "kept",
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
def test_what_does_not_look_right_counts_as_not_chosen(kept: object) -> None:
    assert Choice.from_browser(kept) == Choice()
