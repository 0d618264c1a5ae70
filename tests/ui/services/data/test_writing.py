"""Examples written about a text: kept, divided by passage, and the text itself stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import BadInput
from tests.ui.conftest import tabs
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.data.actions import apply_action

TEXT = "\n\n".join(f"Part {n}. " + f"In town {n} we bake bread and rolls at night. " * 16 for n in range(1, 21))


@pytest.fixture
def text(app: App, tmp_path: Path) -> str:
    (tmp_path / "handbook.txt").write_text(TEXT)
    return app.datasets.add(tmp_path / "handbook.txt", "handbook.txt")


def test_a_text_is_learned_or_asked_about(app: App, text: str) -> None:
    tab, choice = tabs(app)["data"], Choice(data_id=text)
    app.datasets.state(choice)
    assert "write-examples" in tab.show(choice)[tab.writing]
    written = apply_action(app, choice, "write-examples", "")
    assert written.data_id != text
    assert apply_action(app, choice, "write-examples", "").data_id == written.data_id
    assert app.datasets.state(written).blocked
    shown = tab.show(written)
    assert "Part 1." in shown[tab.writing]
    assert "Part 2." in tab.show(apply_action(app, written, "go-passage", "2"))[tab.writing]
    form = '{"question": "Where do you bake?", "answer": "In town 2."}'
    saved = apply_action(app, written, f"save-passage:{written.data_id}:2", form)
    assert (saved.passage, saved.row) == (2, 1)
    app.datasets.state(saved)
    assert "Where do you bake?" in tab.show(saved)[tab.writing]
    assert app.datasets.state(choice).rows == 1, "the text itself is still learned as a text"


def test_rows_of_one_passage_are_on_one_side(app: App, text: str) -> None:
    data_id = app.writing.start(text)
    for n in range(1, 17):
        app.writing.save(data_id, n, f"Who is the baker of {n * 7919}?", f"Somebody called {n * 104729}.")
        app.writing.save(data_id, n, f"Which door number has shop {n * 613}?", f"It is {n * 7907}, on the left side.")
    checked = app.datasets.checked(data_id)
    aside = {*checked.split.validation, *checked.split.judging}
    train, held = ({checked.rows[i].passage for i in side} for side in (checked.split.train, aside))
    assert (len(train) + len(held), train & held) == (16, set())


def test_what_is_no_example_is_not_saved(app: App, text: str) -> None:
    data_id = app.writing.start(text)
    for number, question, answer in ((1, "", "a"), (1, "q", " "), (99, "q", "a"), (1, "q", "a" * 300_000)):
        with pytest.raises(BadInput):
            app.writing.save(data_id, number, question, answer)
    with pytest.raises(BadInput):
        app.writing.at(text, 1)
    assert app.writing.at(data_id, 1).examples == 0
