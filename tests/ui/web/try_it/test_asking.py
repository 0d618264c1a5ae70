"""Asking on Try: what the models are given for a question, the last one again or
edited, and what the page shows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.errors import ChatFailed
from backend.runs.conversations import write_conversations
from jobs.records import State
from tests.ui.conftest import answer
from tests.ui.fake_records import ASKED, DATA, ORDER
from tests.ui.made_up_app import MadeUpApp
from ui.services.results.chat import Answer, Loading
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.try_it.asking import ALONE, CONVERSATION
from ui.web.try_it.first_card import RECORDED, drawn
from ui.web.try_it.talk import Turn, stored_talk, turns_with
from ui.web.try_it.views import GENERAL, LOOP, NOTES, conversation

DONE = Choice(data_id=DATA, run_id="run-a")
INSTRUCTION = "Answer with one JSON object."
TURN = Turn(
    "Where is it?", "old", "new", alone=False, finish={"base": "end", "tuned": "end"}
)


class Models:
    """Stands in for the models: remembers what they were asked."""

    def __init__(self, page: Page) -> None:
        self.asked: list[tuple[dict[str, Any], dict[str, Any]]] = []
        page.app.results.answers = self.answers  # type: ignore[assignment,method-assign]

    def answers(
        self, run_id: str, conversations: dict[str, Any], **sampling: Any
    ) -> Iterator[Loading | Answer]:
        self.asked.append((conversations, sampling))
        yield Loading("Loading the model")
        yield Answer("base", "old", "length")
        yield Answer("tuned", "new", "end")

    def read(self, pane: str = "tuned") -> list[tuple[str, str]]:
        return [
            (message["role"], message["content"]) for message in self.asked[-1][0][pane]
        ]


@pytest.fixture
def models(page: Page) -> Models:
    return Models(page)


def part(page: Page, elem_id: str) -> Any:
    return next(
        one
        for one in page.blocks.blocks.values()
        if getattr(one, "elem_id", None) == elem_id
    )


def ask(
    page: Page, words: str, turns: list[Turn] | None = None, **values: Any
) -> list[dict[Any, Any]]:
    """The page's answers to a question. values: of components, by their elem_id."""
    inputs = {
        page.state.talk: stored_talk("run-a", turns or []),
        part(page, "question"): words,
    }
    inputs |= {
        part(page, name.replace("_", "-")): value for name, value in values.items()
    }
    return list(answer(page, page.tabs["try"].ask, "click", DONE, inputs))


def click(
    page: Page, action: str, turns: list[Turn], **values: Any
) -> list[dict[Any, Any]]:
    inputs = {page.state.talk: stored_talk("run-a", turns)}
    inputs |= {
        getattr(page.tabs["try"].settings, name): value
        for name, value in values.items()
    }
    return list(
        answer(
            page, page.tabs["try"].shown, "click", DONE, inputs, clicked=(action, "")
        )
    )


def talked(page: Page, updates: list[dict[Any, Any]]) -> list[Turn]:
    return turns_with("run-a", updates[-1][page.state.talk])


def test_the_first_question_stays_as_try_is_opened_again_while_the_model_is_loaded(
    page: Page,
) -> None:
    tab, inputs = page.tabs["try"], page.state.inputs(DONE)
    assert tab.shown in tab.restore(DONE, inputs)
    with page.app.chat.question():
        assert not tab.restore(DONE, inputs)


def test_the_finished_apprentice_waits_for_no_answer_that_failed(page: Page) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Loading]:
        yield Loading("Loading the model")
        raise ChatFailed("There was no answer.")

    page.app.results.answers = fail  # type: ignore[assignment,method-assign]
    first, shown = page.tabs["try"].first, []
    with pytest.raises(gr.Error, match="no answer"):
        shown.extend(
            answer(page, first.send, "click", Choice(), {first.question: "Hi"})
        )
    seen = [
        ("Loading" in update[first.shown], RECORDED in update[first.shown])
        for update in shown[1:]
    ]
    assert seen == [(True, False), (False, True)]


def test_long_fields_of_the_finished_apprentice_are_a_table_and_a_long_text_is_cut() -> (
    None
):
    shown = drawn(
        Turn("Hi", base="word " * 200, tuned=f'{{"note": "{"long " * 99}", "end": 1}}'),
        "",
    )
    assert ("<dt>end</dt>" in shown, shown.count("word") < 99, shown.count("long")) == (
        True,
        True,
        99,
    )


def test_a_question_continues_or_stands_by_itself(page: Page, models: Models) -> None:
    turns = talked(page, ask(page, "And when?", [TURN], mode=ALONE))
    assert (models.read(), [turn.alone for turn in turns]) == (
        [("user", "And when?")],
        [False, True],
    )
    turns = talked(page, ask(page, "And when?", [TURN], mode=CONVERSATION))
    assert models.read() == [
        ("user", "Where is it?"),
        ("assistant", "new"),
        ("user", "And when?"),
    ]
    assert (turns[-1].base, turns[-1].tuned, turns[-1].finish) == (
        "old",
        "new",
        {"base": "length", "tuned": "end"},
    )
    turns = talked(page, ask(page, ASKED, [TURN], mode=CONVERSATION))
    assert models.read() == [("user", ASKED)]
    assert (turns[-1].alone, turns[-1].expected) == (True, ORDER)


def test_a_general_question_is_among_the_suggestions(page: Page) -> None:
    """So that a person sees at once that the rest still works."""
    tab = page.tabs["try"]
    shown = tab.show(DONE)[tab.suggested]
    assert shown.count("<button") > 1
    assert GENERAL in shown
    update = answer(page, tab.suggested, "click", DONE, clicked=("suggest", "general"))
    assert update == {part(page, "question"): GENERAL}


def test_the_system_prompt_begins_as_that_of_the_examples(
    app: MadeUpApp, page: Page, models: Models
) -> None:
    learned = [
        [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": "Hi"}]
    ]
    write_conversations(app.runs.folder("run-a"), "train", learned)
    tab = page.tabs["try"]
    assert "Answers about allergens" not in tab.show(DONE)[tab.proof]
    learned[0].append({"role": "assistant", "content": "It is safe for coeliacs."})
    write_conversations(app.runs.folder("run-a"), "train", learned)
    app.results._of_health.clear()
    assert "a model can be wrong" in tab.show(DONE)[tab.proof]
    assert tab.show(DONE)[tab.settings.carried] == INSTRUCTION
    ask(page, "Hello", system_prompt="Be brief.")
    assert models.read() == [("system", "Be brief."), ("user", "Hello")]
    ask(page, ASKED, system_prompt=INSTRUCTION)
    assert models.read() == [("user", ASKED)], "this example carries no instruction"


def test_answers_keep_to_the_examples_form_by_a_switch(
    app: MadeUpApp, page: Page, models: Models
) -> None:
    switch = page.tabs["try"].settings.in_form
    for text, visible in (("Hello.", False), ('{"a": 1}', True)):
        learned = [
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": text}]
        ]
        write_conversations(app.runs.folder("run-a"), "train", learned)
        app.endpoints._forms.clear()
        assert page.tabs["try"].show(DONE)[switch]["visible"] is visible
    for on in (False, True):
        ask(page, "Hello", chat_form=on)
        assert ('"required": ["a"]' in models.asked[-1][1].get("grammar", "")) is on


def test_while_the_model_loads_the_page_says_so(page: Page, models: Models) -> None:
    shown = [update[page.tabs["try"].shown] for update in ask(page, "Hello")[:-1]]
    assert ["Loading the model" in html for html in shown] == [
        False,
        True,
        False,
        False,
    ]
    assert [html.count('class="caret"') for html in shown] == [2, 2, 1, 0]


def test_the_last_question_is_asked_again_and_a_sampled_answer_gets_another_seed(
    page: Page, models: Models
) -> None:
    turns = talked(
        page,
        click(page, "again", [TURN, Turn("Hi", "x", "y", alone=False)], temperature=0),
    )
    assert models.read() == [
        ("user", "Where is it?"),
        ("assistant", "new"),
        ("user", "Hi"),
    ]
    assert [turn.question for turn in turns] == ["Where is it?", "Hi"]
    assert ((turns[-1].base, turns[-1].alone), models.asked[-1][1]["seed"]) == (
        ("old", False),
        0,
    )
    updates = click(page, "again", [TURN], temperature=0.8, seed=6)
    assert (
        updates[0][page.tabs["try"].settings.seed] == models.asked[-1][1]["seed"] == 7
    )


def test_the_last_question_can_be_edited(page: Page, models: Models) -> None:
    updates = click(page, "edit", [TURN, Turn("Hi", "x", "y")])
    assert updates[-1][part(page, "question")] == "Hi"
    assert ([turn.question for turn in talked(page, updates)], models.asked) == (
        ["Where is it?"],
        [],
    )


@pytest.mark.parametrize("action", ["again", "edit", "delete"])
def test_without_a_question_or_a_known_action_nothing_happens(
    page: Page, models: Models, action: str
) -> None:
    assert (
        click(page, action, [TURN] if action == "delete" else []),
        models.asked,
    ) == ([], [])


def test_a_training_that_slows_answers_down_is_named(
    app: MadeUpApp, page: Page
) -> None:
    tab = page.tabs["try"]
    assert "training" in tab.show(DONE)[tab.proof]
    before = tab.signature(DONE)
    app.end("run-b", State.STOPPED)
    assert "training" not in tab.show(DONE)[tab.proof]
    assert tab.signature(DONE) != before


def test_a_conversation_marks_what_was_cut_stopped_repeated_or_follows() -> None:
    looping = Turn(
        "Hi", "I am sorry. " * 4, "Hello.", finish={"base": "length", "tuned": "end"}
    )
    html = conversation([looping])
    assert (html.count(LOOP), html.count(NOTES["length"])) == (1, 1)
    assert conversation([TURN]).count('class="note') == 0
    assert NOTES["stopped"] in conversation(
        [Turn("Hi", "He", "", finish={"base": "stopped", "tuned": "end"})]
    )
    first, second = Turn("One", alone=False), Turn("Two", alone=False)
    shown = [
        conversation(turns).count("follows")
        for turns in ([first], [Turn("0"), first], [first, second])
    ]
    assert shown == [0, 0, 1]
    again = [conversation([TURN]), conversation([TURN], asking=True), conversation([])]
    assert ['data-do="again"' in html for html in again] == [True, False, False]


def test_a_file_is_worked_through_piece_by_piece(
    app: MadeUpApp, page: Page, tmp_path: Path
) -> None:
    (tmp_path / "letters.txt").write_text(
        f"First letter. {'It goes on. ' * 62}Second letter."
    )
    updates = ask(
        page, "What is it about?", document_file=str(tmp_path / "letters.txt")
    )
    shown = [
        str(update[page.tabs["try"].shown])
        for update in updates
        if page.tabs["try"].shown in update
    ]
    assert any("Piece 1 of 2" in html for html in shown)
    assert any("Piece 2 of 2" in html for html in shown)
    asked = [
        str(histories["tuned"][-1]["content"]) for histories, _ in app.chat._chat.asked
    ]  # type: ignore[attr-defined]
    assert ["First letter." in words for words in asked] == [True, False]
    assert ["Second letter." in words for words in asked] == [False, True]
    assert all("What is it about?" in words for words in asked)
    assert "follow each other" in shown[-1]
    (turn,) = talked(page, updates)
    assert (turn.document, turn.alone, turn.finish) == (
        "letters.txt",
        True,
        {"base": "end", "tuned": "end"},
    )
    assert "follow each other" in conversation([turn]), (
        "the browser stores how they were put together"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.txt", b""), ("scan.pdf", b"%PDF-1.4"), ("photo.md", b"\x89PNG")],
)
def test_a_file_that_is_no_text_is_named(
    page: Page, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gr.Error, match=name):
        ask(page, "What is it about?", document_file=str(tmp_path / name))


def test_a_file_needs_no_question_but_is_asked_again_only_with_the_file(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "letters.txt").write_text("First letter.")
    (turn,) = talked(page, ask(page, "", document_file=str(tmp_path / "letters.txt")))
    assert turn.question == ""
    turn = Turn("What is it about?", "old", "new", document="letters.txt")
    with pytest.raises(gr.Error, match=r"letters\.txt"):
        click(page, "again", [turn])
