"""Whatever a person or a file brings stays text on the page."""

from __future__ import annotations

from types import SimpleNamespace as Record

import pytest

from backend.encoded import Piece
from ui import cards, data_views, messages, present, runs, train_views, try_it

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def problem() -> Record:
    return Record(row=3, line=4, kind=EVIL, severity="error", message=EVIL, fix=EVIL, quote=EVIL)


DRAWN = {
    "card": lambda: cards.card(EVIL, lead=EVIL),
    "badge": lambda: cards.badge(EVIL),
    "facts": lambda: cards.facts([(EVIL, EVIL)]),
    "rows": lambda: cards.rows([(EVIL, EVIL, EVIL)]),
    "progress": lambda: cards.progress(4, EVIL),
    "memory bar": lambda: cards.memory_bar([(EVIL, 1.0)], 2.0, EVIL),
    "button": lambda: cards.button(EVIL, EVIL, EVIL, label=EVIL),
    "fold": lambda: cards.fold(EVIL),
    "confirm": lambda: cards.confirm(EVIL, EVIL, ""),
    "guide": lambda: cards.guide(1, EVIL, EVIL),
    "bubbles": lambda: cards.bubbles([{"role": EVIL, "content": EVIL, "tool_calls": [{"name": EVIL}]}]),
    "tokens": lambda: cards.tokens([Piece(EVIL, "learned", 3)]),
    "proofs": lambda: cards.steps_done([(True, EVIL), (False, EVIL), (None, EVIL)]),
    "alert": lambda: messages.alert("bad", EVIL, EVIL, EVIL),
    "problems": lambda: data_views.problems(Record(report=Record(problems=[problem()]), accepted={})),
    "samples while training": lambda: train_views.samples(
        [{"step": 1, "prompt": [{"role": "user", "content": EVIL}], "answer": EVIL, "expected": EVIL}] * 2
    ),
    "conversation": lambda: try_it.conversation([{"question": EVIL, "base": EVIL, "tuned": EVIL, "done": []}]),
    "suggestions": lambda: try_it.suggestions([Record(question=EVIL)]),
    "runs": lambda: runs.listing(
        [
            Record(
                id=EVIL, name=EVIL, model_name=EVIL, data_name=EVIL, state=Record(value="stopped"), created=1.0,
                first_eval_loss=2.0, eval_loss=1.0,
            )
        ],
        "", 2.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("piece", DRAWN)
def test_markup_in_texts_is_shown_not_run(piece: str) -> None:
    html = DRAWN[piece]()
    assert "&lt;img" in html or "&lt;script" in html
    assert "<img" not in html
    assert "<script" not in html


def test_a_need_beyond_what_is_there_is_marked() -> None:
    assert "over" in cards.memory_bar([("weights", 9.0)], 8.0, "Needs 9, you have 8.")
    assert "over" not in cards.memory_bar([("weights", 7.0)], 8.0, "Needs 7, you have 8.")


def test_every_problem_kind_is_listed_once_with_its_rows_and_way_back() -> None:
    found = [
        Record(row=row, line=row, kind="empty", severity="error", message="Empty.", fix="Leave out.", quote="")
        for row in (3, 9)
    ]
    report = Record(problems=found)
    html = data_views.problems(Record(report=report, accepted={}))
    assert html.count("Empty.") == 1
    assert "2 examples" in html
    assert "Example 3, line 3" in html
    assert "Example 9, line 9" in html
    assert 'data-do="accept" data-value="empty"' in html
    mended = data_views.problems(Record(report=Record(problems=[]), accepted={"empty": "all"}))
    assert 'data-do="undo" data-value="empty"' in mended


def test_states_have_words() -> None:
    from jobs.models import State

    assert {state.value for state in State} <= set(present.STATES)
