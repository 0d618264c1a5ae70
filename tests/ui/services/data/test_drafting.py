"""Making examples: from a text, a table and a topic, by hand, from ready wordings and
with a simulated model.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from backend.drafts import templates
from backend.drafts.log import write_log
from backend.errors import BadInput, ChatFailed, NotInDemo, WorkspaceProblem
from backend.hosting.policy import Limits
from backend.records.chat import Chunk
from tests.ui.conftest import tabs
from ui.records.data import Making
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.data import drafting
from ui.web.data.actions import apply_action

PARTS = [
    f"## Part {n}\n\nIn town {n} we bake bread at night. The rolls of shop {n * 613} are sold at six."
    for n in range(1, 31)
]
PRICES = "Bread,Price\n" + "".join(f"Loaf number {n},{n}.20 €\n" for n in range(1, 41))


def made(app: App, tmp_path: Path, name: str, text: str) -> str:
    (tmp_path / name).write_text(text, "utf-8")
    return app.dataset_store.add(tmp_path / name, name, written=True)


@pytest.fixture
def text(app: App, tmp_path: Path) -> str:
    return made(app, tmp_path, "handbook.md", "\n\n".join(PARTS))


def now(app: App, data_id: str, wanted: int = 0) -> Making:
    making = app.drafting.now(data_id, wanted)
    assert making is not None
    return making


def keep(app: App, data_id: str, **typed: str) -> int:
    draft = now(app, data_id).draft
    assert draft is not None
    question, answer = (
        typed.get("question", draft.question),
        typed.get("answer", draft.answer),
    )
    return app.drafting.keep(data_id, draft.id, question, answer)


def test_only_what_is_kept_is_an_example(app: App, text: str) -> None:
    assert (now(app, text).waiting, now(app, text).kept) == (90, 0)
    assert app.datasets.checked(text).rows == []
    assert keep(app, text) == 1
    dropped = now(app, text).draft
    assert dropped
    app.drafting.drop(text, dropped.id)
    keep(app, text, question="When do you bake?", answer="At night.")
    rows = app.datasets.checked(text).rows
    assert [row.messages[0]["content"] for row in rows] == [
        "What should I know about part 1?",
        "When do you bake?",
    ]
    assert (now(app, text).waiting, now(app, text).covered) == (87, 2)
    asked = "Asked from a ready wording"
    assert [row.made.partition(";")[0] for row in rows] == [
        asked,
        f"{asked}, in your words",
    ]
    assert "word for word from “Part 1”, line 3" in rows[0].made
    assert "word for word" not in rows[1].made
    with pytest.raises(BadInput):
        app.drafting.drop(text, "999 heading 1")


def test_a_decision_counts_once_and_can_be_undone(app: App, text: str) -> None:
    first = now(app, text).draft
    assert first
    keep(app, text)
    assert app.drafting.keep(text, first.id, "Again?", "Yes.") == 0, "a double click"
    second = now(app, text).draft
    assert second
    app.drafting.drop(text, second.id)
    app.drafting.undo(text)
    assert now(app, text).draft == second
    app.drafting.undo(text)
    assert (now(app, text).draft, now(app, text).kept) == (first, 0)
    with pytest.raises(BadInput, match="nothing to undo"):
        app.drafting.undo(text)
    keep(app, text)
    app.edits.undo(text)
    assert now(app, text).draft == first, "undone below the example"


def test_on_a_full_disk_nothing_is_kept(app: App, text: str) -> None:
    full = patch(
        "ui.services.data.drafting.write_log", side_effect=WorkspaceProblem("")
    )
    with full, pytest.raises(WorkspaceProblem):
        keep(app, text)
    assert (now(app, text).kept, keep(app, text), now(app, text).kept) == (0, 1, 1)


def test_what_is_no_example_is_not_kept(app: App, text: str) -> None:
    for question, answer in (("", "a"), ("q", " "), ("q", "a" * 300_000)):
        with pytest.raises(BadInput):
            keep(app, text, question=question, answer=answer)
    assert now(app, text).kept == 0


def test_one_asks_by_hand_once_the_drafts_are_decided(app: App, tmp_path: Path) -> None:
    data_id = made(
        app,
        tmp_path,
        "plain.txt",
        "We bake at night. We sell at six.\n\n" + "Nobody stops here. " * 60,
    )
    making = now(app, data_id)
    assert (
        making.draft and making.draft.question,
        making.passages,
        making.waiting,
    ) == ("", 3, 0)
    keep(app, data_id, question="When do you bake?", answer="We bake at night.")
    again = now(app, data_id, wanted=1)
    assert again.passage == making.passage
    assert again.draft
    app.drafting.keep(data_id, again.draft.id, "When do you sell?", "We sell at six.")
    for _ in range(2):
        skipped = now(app, data_id).draft
        assert skipped
        app.drafting.drop(data_id, skipped.id)
    assert (now(app, data_id).draft, now(app, data_id).again) == (None, 2)
    done = drafting.card(now(app, data_id), data_id)
    assert "That was all: 3 passages" in done
    assert "there are 2 examples" in done
    assert "add-text" in done
    assert "training" in done
    choice = apply_action(
        app, Choice(data_id=data_id), f"draft-about:{data_id}:2", "{}"
    )
    skipped = now(app, data_id, wanted=choice.passage).draft
    assert skipped
    assert app.drafting.keep(data_id, skipped.id, "Who stops here?", "Nobody.") == 3, (
        "skipped, but asked about later"
    )
    app.edits.delete(data_id, 3)
    assert keep(app, data_id, question="Who is here?", answer="Nobody.") == 4, (
        "the other example was deleted"
    )


def test_rows_of_one_passage_are_on_one_side(app: App, text: str) -> None:
    while now(app, text).draft is not None and now(app, text).waiting > 6:
        keep(app, text)
    checked = app.datasets.checked(text)
    aside = {*checked.split.validation, *checked.split.judging}
    train, held = (
        {checked.rows[i].passage for i in side} for side in (checked.split.train, aside)
    )
    assert (len(train) + len(held), train & held) == (30, set())
    assert checked.report.duplicates.near == 0, (
        "three ways of asking about one passage are not duplicates"
    )


def test_a_table_is_asked_in_the_person_s_wordings(app: App, tmp_path: Path) -> None:
    data_id = made(app, tmp_path, "prices.csv", PRICES)
    column = now(app, data_id).column
    assert column
    assert (column.name, column.flagged, now(app, data_id).draft) == (
        "Price",
        True,
        None,
    )
    assert (column.ways[0], column.answer) == (
        "What does {Bread} cost?",
        "{Bread}: {Price}",
    ), "no programmers' names"
    wrong = [
        ["How much?"],
        ["How much is {Row}?"],
        ["How much is {column}?"],
        ["{row}?"] * 4,
        ["{row}?", "a" * 3_000],
    ]
    for refused, said in [
        *((ways, "{cell}") for ways in wrong),
        (["{row}?"], "{Colour}"),
        (["{row}?"], "{cell}" * 20),
    ]:
        with pytest.raises(BadInput):
            app.drafting.word(data_id, column.key, refused, said, at_once=True)
    with pytest.raises(BadInput, match=r"\{Row\} is no column of yours"):
        app.drafting.word(data_id, column.key, wrong[1], "{cell}", at_once=True)
    for at_once in (True, False):
        for limits, refused_as in (
            (Limits(rows=79), NotInDemo),
            (Limits(upload=0.001), BadInput),
        ):
            demo = patch.object(app.drafting, "_policy", SimpleNamespace(limits=limits))
            with (
                demo,
                patch.object(templates, "from_column", side_effect=AssertionError),
                pytest.raises(refused_as),
            ):
                app.drafting.word(
                    data_id,
                    column.key,
                    ["{row}?", "{row}, {Price}?"],
                    "{cell}",
                    at_once,
                )
    ways = ["What is {row}?", "How much for {row}?"]
    app.drafting.word(data_id, column.key, ways, "{row}: {cell}", at_once=True)
    rows = app.dataset_store.original(data_id).rows
    assert (len(rows), rows[-1].messages[1]["content"], rows[-1].passage) == (
        80,
        "Loaf number 40: 40.20 €",
        40,
    )
    app.edits.undo(data_id)
    assert now(app, data_id).column == column, "one undo takes all of them back"
    app.drafting.word(data_id, column.key, ways, "{cell}", at_once=False)
    assert (now(app, data_id).waiting, now(app, data_id).kept) == (80, 0)
    app.drafting.undo(data_id)
    assert now(app, data_id).column == column
    app.drafting.word(data_id, column.key, ways, "{cell}", at_once=True)
    app.drafting.undo(data_id)
    assert (now(app, data_id).column, app.dataset_store.original(data_id).rows) == (
        column,
        [],
    )
    with pytest.raises(BadInput):
        app.drafting.undo(data_id)


def test_a_table_without_answers_can_be_asked_about(app: App, tmp_path: Path) -> None:
    rows = [f"Loaf number {n},Nuts and {n},Rack {n} below,#N/A\n" for n in range(1, 9)]
    stock = "".join(["Bread,Contains,Stored,Price\n", *rows])
    (tmp_path / "stock.csv").write_text(stock)
    choice = Choice(data_id=app.datasets.import_files([tmp_path / "stock.csv"]))
    app.datasets.selected(choice)
    choice = apply_action(app, choice, "make-examples", "")
    choice = choice.replace(import_id=choice.data_id)
    assert app.dataset_store.info.read(choice.data_id).written
    column = now(app, choice.import_id).column
    assert column
    asked = [
        draft.question
        for draft in templates.from_column(column, column.ways, column.answer)
    ]
    assert asked[:2] == [
        "What does Loaf number 1 contain?",
        "Loaf number 1: what does it contain?",
    ]
    for key in (column.key, "1.3"):
        app.drafting.word(choice.import_id, key, [], "", at_once=True)
    assert now(app, choice.import_id).column is None, "no price is there to ask about"


def test_a_second_source_joins_what_is_being_made(app: App, tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_text(
        "question,answer\nDo you bake on Sunday?,No.\nDo you sell rolls?,From six.\n"
    )
    (tmp_path / "prices.csv").write_text(PRICES)
    faq, topic = (
        app.datasets.add(tmp_path / "faq.csv", "faq.csv"),
        app.dataset_store.add(TOPIC, TOPIC, written=True),
    )
    for data_id in (faq, topic):
        app.drafting.add_source(data_id, tmp_path / "prices.csv", "prices.csv")
    column = now(app, faq).column
    assert (now(app, faq).kept, column and column.name, now(app, topic).waiting) == (
        2,
        "Price",
        35,
    )
    app.drafting.add_source(faq, SHORT, "hours")
    draft = now(app, faq, wanted=41).draft
    assert draft
    prices = app.dataset_store.folder(faq) / next(
        iter(app.dataset_store.info.read(faq).materials)
    )
    hidden = prices.rename(tmp_path / "hidden")
    lost = now(App(app.workspace), faq, wanted=41)
    assert (lost.draft, lost.passages) == (draft, 1), "the other file keeps its numbers"
    assert "prices.csv can't be read" in str(lost.failed)
    hidden.rename(prices)
    app.drafting.keep(faq, draft.id, "When do you open?", "We open at six.")
    assert app.dataset_store.original(faq).rows[-1].made.endswith("line 1 of hours.")
    tab, choice = tabs(app)["data"], Choice(data_id=faq)
    app.datasets.selected(choice)
    assert "3 of 50 examples: 2 from faq.csv, 1 added." in tab.show(choice)[tab.line]
    assert (app.drafting.undo(faq), now(app, faq, wanted=41).draft) == (41, draft)
    write_log(
        app.dataset_store.folder(faq), "drafted 41", [replace(draft, id="by a model")]
    )
    assert (app.drafting.undo(faq), now(app, faq).passages) == (0, 40), (
        "the source is taken back with its drafts"
    )
    app.drafting.add_source(faq, TOPIC, TOPIC)
    assert (
        now(app, faq).waiting,
        len([*app.dataset_store.folder(faq).glob("material-*")]),
    ) == (35, 2), "a topic here"
    (tmp_path / "no.json").write_text('{"a": 1}')
    texts = app.dataset_store.add("In town we bake bread at night. " * 300, "prose.txt")
    pairs = app.dataset_store.add(
        '{"prompt": "Open?", "chosen": "Yes, till six.", "rejected": "No."}\n' * 4,
        "pairs",
    )
    for data_id, source in (
        (faq, "no.json"),
        (texts, "prices.csv"),
        (pairs, "prices.csv"),
    ):
        with pytest.raises(BadInput):
            app.drafting.add_source(data_id, tmp_path / source, source)


TOPIC, SHORT = (
    "Questions to a bicycle workshop",
    "We open at six. We close at two. Ring us for cakes.",
)


def test_a_short_text_is_no_topic(app: App) -> None:
    making = app.drafting.now(app.dataset_store.add(SHORT, SHORT, written=True))
    assert making
    assert making.passage, "its sentences can be pressed"


def test_a_topic_gives_questions_to_answer(app: App) -> None:
    data_id = app.dataset_store.add(TOPIC, TOPIC, written=True)
    draft = now(app, data_id).draft
    assert draft
    assert (draft.answer, draft.passage, now(app, data_id).passages) == ("", 0, 0)
    keep(app, data_id, answer="From nine to six.")
    assert (
        app.datasets.checked(data_id).rows[0].made
        == "Asked from a ready wording; answered by you."
    )


class SimulatedChat:
    """A chat process whose model asks about what it is shown. pause: seconds that each
    answer takes.
    """

    panes = ("base",)

    def __init__(self, pause: float = 0.0, fails: bool = False) -> None:
        self.pause, self.fails, self.closed, self.asked = pause, fails, False, 0

    def open(self, model: Path) -> None:
        if self.fails:
            raise ChatFailed("The model stopped working.", "", "")

    def ask(
        self, messages: Sequence[dict[str, Any]], **sampling: Any
    ) -> Iterator[Chunk]:
        self.asked += 1
        time.sleep(self.pause)
        prompt = messages[0]["content"]
        listed = re.findall(r"^(\d)\. (.*)$", prompt, re.MULTILINE)
        if sampling["max_new_tokens"] == 2:
            text = next(number for number, sentence in listed if "bake" in sentence)
        else:
            town = next(iter(re.findall(r"town (\d+)", prompt)), self.asked)
            asked = (
                f"At what time is bread made in {town}?",
                f"What happens at night in {town}?",
                f"Any in {town}?",
            )
            text = "\n".join(["1", *asked])
        yield Chunk("base", text, 1, 9.0, "end")

    def close(self) -> None:
        self.closed = True


def draft_with(app: App, data_id: str, chat: SimulatedChat) -> None:
    app.drafting.open_chat = lambda: chat  # type: ignore[assignment, return-value]
    with patch.object(
        app.models, "reference", lambda model_id: SimpleNamespace(path="model")
    ):
        app.drafting.begin(data_id, "")


def wait(app: App, data_id: str) -> Making:
    until = time.monotonic() + 20
    while now(app, data_id).working and time.monotonic() < until:
        time.sleep(0.02)
    return now(app, data_id)


def test_a_model_drafts_beside_the_ready_wordings(app: App, text: str) -> None:
    chat = SimulatedChat(pause=0.005)
    draft_with(app, text, chat)
    done = wait(app, text)
    assert (done.failed, done.kept, chat.closed) == (None, 0, True)
    assert done.waiting > 90
    shown = {
        (draft := now(app, text).draft) and draft.by
        for _ in range(9)
        if keep(app, text)
    }
    assert len(shown) == 2, "the kinds come in turn"
    asked = chat.asked
    draft_with(app, text, chat)
    with pytest.raises(BadInput, match="other examples"):
        draft_with(
            app,
            app.dataset_store.add("Bread in town", "Bread in town", written=True),
            chat,
        )
    wait(app, text)
    assert chat.asked > asked, (
        "with all passages done, it asks for more questions of the kind"
    )


def test_a_model_asks_more_like_the_examples_of_a_file(
    app: App, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text(
        "question,answer\n" + "".join(f"Is it {n} o'clock?,No.\n" for n in range(12))
    )
    data_id = app.datasets.add(tmp_path / "rows.csv", "rows.csv")
    assert app.drafting.now(data_id) is None
    draft_with(app, data_id, SimulatedChat())
    done = wait(app, data_id)
    assert (done.failed, done.draft and done.draft.answer) == (None, "")
    assert keep(app, data_id, answer="At night.") == 13
    assert app.dataset_store.original(data_id).rows[-1].made.startswith("Drafted by ")


def test_a_slow_model_can_be_stopped_and_loses_nothing(app: App, text: str) -> None:
    chat = SimulatedChat(pause=0.05)
    draft_with(app, text, chat)
    until = time.monotonic() + 20
    while now(app, text).waiting == 90 and time.monotonic() < until:
        time.sleep(0.02)
    app.drafting.stop(text)
    done = wait(app, text)
    assert (90 < done.waiting < 180, done.failed, chat.closed) == (True, None, True)


def test_a_model_that_fails_says_so(app: App, text: str) -> None:
    draft_with(app, text, SimulatedChat(fails=True))
    assert isinstance(wait(app, text).failed, ChatFailed)
    card = tabs(app)["data"]
    app.datasets.selected(Choice(data_id=text))
    assert "stopped working" in card.show(Choice(data_id=text))[card.making]


def test_the_page_shows_one_card_and_acts(app: App, text: str) -> None:
    tab, choice = tabs(app)["data"], Choice(data_id=text)
    app.datasets.selected(choice)
    card = tab.show(choice)[tab.making]
    assert "Keep this example?" in card
    assert "In town 1 we bake bread at night." in card
    form = '{"question": "Where do you bake?", "answer": "In town 1 we bake bread at night."}'
    draft = now(app, text).draft
    assert draft
    kept = apply_action(app, choice, f"draft-keep:{text}:{draft.id}", form)
    assert kept.row == 1
    app.datasets.selected(kept)
    assert "1 of 50 kept" in tab.show(kept)[tab.making]
    asking = apply_action(app, kept, f"draft-about:{text}", "5")
    assert "In town 5" in tab.show(asking)[tab.making]
    assert apply_action(app, asking, "draft-undo", text).passage == 0
    with pytest.raises(BadInput, match="no longer open"):
        apply_action(app, choice, "draft-keep:another:1 heading 1", form)


def test_a_text_is_learned_or_asked_about(app: App, tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text(
        "In town we bake bread and rolls at night. " * 200
    )
    data_id = app.datasets.add(tmp_path / "prose.txt", "prose.txt")
    tab, choice = tabs(app)["data"], Choice(data_id=data_id)
    app.datasets.selected(choice)
    assert "make-examples" in tab.show(choice)[tab.decision]
    making = apply_action(app, choice, "make-examples", "")
    assert making.data_id != data_id
    assert apply_action(app, choice, "make-examples", "").data_id == making.data_id
    assert app.datasets.selected(making).blocked
    assert len(app.datasets.selected(choice).rows) == 1, (
        "the text itself is still learned as a text"
    )
