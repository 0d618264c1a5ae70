"""Drafts: made from templates and by a simulated model, checked, ordered by the first
decisions, and logged.
"""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.passages import Passage, passages, sentences
from backend.drafts import templates, writer
from backend.drafts.draft import Draft, as_row, changes
from backend.drafts.log import (
    DROPPED,
    FILE,
    Log,
    Wording,
    next_draft,
    read_log,
    write_log,
)
from backend.errors import ChatFailed

HANDBOOK = (
    "# Handbook\n\nWelcome to us.\n\n## Sick leave\n\nCall the shop before your shift. A doctor's note comes later.\n\n"
    "## How do I swap a shift?\n\nWrite it into the red book.\n\n## Contact\n\n- Phone: 555 010\n"
    "- Taxi: 555 400\n- Van: 1\n"
)
PRICES = "| Day | Bread | Price |\n|---|---|---|\n| Monday | Rye | 4 € |\n| Monday | Oat | 5 € |\n| Friday | Bun | 1 € |\n"


def divided(text: str) -> list[Passage]:
    return passages(read_markdown(text))


def test_headings_and_labels_are_asked_about_in_three_ways() -> None:
    drafts = templates.from_text(divided(HANDBOOK))
    asked = {draft.question: draft.answer for draft in drafts}
    assert (
        asked["What should I know about sick leave?"]
        == "Call the shop before your shift. A doctor's note comes later."
    )
    assert asked["How do I swap a shift?"] == "Write it into the red book."
    assert asked["Phone, please?"] == "555 010"
    assert Counter(draft.passage for draft in drafts) == {
        2: 3,
        3: 1,
        4: 3,
        5: 3,
        6: 3,
    }, "nothing asks about the title"
    assert all(
        draft.answer in passage.text
        for draft in drafts
        for passage in divided(HANDBOOK)[draft.passage - 1 :][:1]
    )


def test_a_question_has_one_answer() -> None:
    text = "# Guide\n\n## Paris\n\n### Hotels\n\nBy the river.\n\n## Rome\n\n### Hotels\n\nOn the hill.\n"
    drafts = templates.from_text(divided(text))
    assert "What should I know about hotels (Rome)?" in {
        draft.question for draft in drafts
    }
    assert len({draft.question for draft in drafts}) == len(drafts) == 6


def test_the_language_of_the_text_decides_the_wording() -> None:
    german = "## Urlaub\n\nJeder von uns hat im Jahr 28 Tage Urlaub, und die Wünsche gibt man bis Februar ab.\n"
    assert (
        templates.from_text(divided(german))[0].question
        == "Was muss ich zum Thema Urlaub wissen?"
    )
    assert (
        templates.starters(
            "Fragen an eine Bäckerei, die auch am Sonntag für die Leute geöffnet ist"
        )[0].question[0]
        == "W"
    )


def test_each_column_is_asked_about_in_the_person_s_words() -> None:
    price, day = templates.columns(divided(PRICES))
    assert (price.subject, price.name, price.flagged, len(price.rows)) == (
        "Bread",
        "Price",
        True,
        3,
    )
    assert (day.name, day.flagged) == ("Day", False)
    drafts = templates.from_column(
        price, ("What does {row} cost on {Day}?", "", "{row}?"), "{row} is {cell}."
    )
    assert [(each.question, each.answer, each.passage) for each in drafts[:3]] == [
        ("What does Rye cost on Monday?", "Rye is 4 €.", 1), ("Rye?", "Rye is 4 €.", 1),
        ("What does Oat cost on Monday?", "Oat is 5 €.", 2),
    ]  # fmt: skip
    assert len(templates.from_column(price, ("The same for all?",), "{cell}")) == 1, (
        "a question has one answer"
    )
    fees = "| Item | Who | Fee | Note |\n|---|---|---|---|\n| Year | we | 9 € | May |\n| Year | boys | 4 € | cash |\n"
    fee = templates.columns(
        divided(f"{fees}| Key | all | 5 € | kept |\n| Boat | members | 8 € | mill |\n")
    )[0]
    assert (
        templates.from_column(fee, fee.ways, fee.answer)[0].question
        == "What does Year (we) cost?"
    )


@pytest.mark.parametrize(
    "text",
    ["4.20 €", "$5", "40 euros a year", "on 12.03.2026", "2026-03-12", "since 1998"],
)
def test_prices_and_dates_are_flagged(text: str) -> None:
    assert changes(text)
    assert not changes("From 9:00 to 18:00, for five days.")


Simulated = Callable[[str, str, int], str]


def model(questions: list[str], finds: bool = True, sentence: int = 1) -> Simulated:
    """A chat model that names a sentence, asks these questions, and finds the sentence
    again or not.
    """

    def ask(prompt: str, grammar: str, most: int) -> str:
        if most > 2:
            return "\n".join([str(sentence), *questions])
        listed = re.findall(r"^(\d)\. (.*)$", prompt, re.MULTILINE)
        return sorted(listed, reverse=True)[sentence - 1][0] if finds else "0"

    return ask


GOOD = [
    "Whom must I call when I am ill and my shift begins?",
    "Ill: whom to call?",
    "My shift begins, I am sick: what now?",
]


def test_a_model_asks_and_the_answer_is_the_person_s_sentence() -> None:
    passage = divided(HANDBOOK)[1]
    drafts = writer.about(model(GOOD), passage, "Larger")
    assert [draft.question for draft in drafts] == [GOOD[0], GOOD[2]], (
        "the second has no word of the passage"
    )
    assert {draft.answer for draft in drafts} == {sentences(passage.text)[0]}
    assert {(draft.by, draft.passage) for draft in drafts} == {("Larger", 2)}
    row = as_row(drafts[0], passage, drafts[0].question, drafts[0].answer)
    assert (row.passage, row.made) == (
        2, "Drafted by Larger, kept by you; answered word for word from “Sick leave”, line 7.",
    )  # fmt: skip


@pytest.mark.parametrize(
    "question",
    [
        "", "Shift?", "Call the shop before your shift?", "Tell me about my shift.", "What is the situation today?",
        GOOD[0] + " " + "why " * 60 + "?",
    ],
)  # fmt: skip
def test_questions_that_are_none_are_sorted_out(question: str) -> None:
    assert writer.about(model([question] * 3), divided(HANDBOOK)[1], "Weak") == []


def test_near_duplicates_and_questions_without_the_answer_are_sorted_out() -> None:
    passage = divided(HANDBOOK)[1]
    same = [GOOD[0], GOOD[0].replace("my shift", "the shift"), GOOD[0]]
    assert len(writer.about(model(same), passage, "M")) == 1
    assert writer.about(model(GOOD), passage, "M", others=GOOD) == []
    assert writer.about(model(GOOD, finds=False), passage, "M") == []
    always_first = writer.about(
        lambda prompt, grammar, most: "\n".join(["1", *GOOD]) if most > 2 else "1",
        passage,
        "M",
    )
    assert always_first == [], "a model that names the same number whatever it is asked"


@pytest.mark.parametrize(
    "nonsense", ["", "\n\n\n", "7\na\nb\nc", "one two", "\ufffd" * 300]
)
def test_a_model_of_no_use_is_stopped_with_a_sentence(nonsense: str) -> None:
    many = divided(
        "\n\n".join(
            f"## Part {n}\n\nThis is what stands in part {n}." for n in range(30)
        )
    )
    drafting = writer.draft_all(lambda *_: nonsense, many, "Weak")
    assert [next(drafting)[1] for _ in range(writer.NO_USE)] == [[]] * writer.NO_USE
    with pytest.raises(ChatFailed, match="no use"):
        next(drafting)
    assert list(writer.draft_all(lambda *_: nonsense, many, "Weak", lambda: True)) == []


def test_more_questions_are_unlike_the_examples() -> None:
    lines = "Do I need an appointment?\nHow long does a repair take?\nCan I rent a bike?\nCan I rent a bike?\nnone"
    drafts = writer.more(
        lambda *_: lines, "a workshop", ["Do I need an appointment?"], "M"
    )
    assert [draft.question for draft in drafts] == [
        "How long does a repair take?",
        "Can I rent a bike?",
    ]
    assert {draft.answer for draft in drafts} == {""}


def test_the_first_decisions_steer_the_rest() -> None:
    drafts = [
        Draft(f"{n} {kind}", kind, n, "?", "a")
        for n in range(1, 101)
        for kind in ("good", "bad", "other")
    ]
    log = Log()
    shown = []
    while draft := next_draft(drafts, log):
        log.decided[draft.id] = DROPPED if draft.kind == "bad" else "edit"
        shown.append(draft)
    assert Counter(draft.kind for draft in shown[:3]) == {
        "good": 1,
        "bad": 1,
        "other": 1,
    }
    assert Counter(draft.kind for draft in shown[10:60])["bad"] < 10, (
        "dropped kinds become rarer"
    )
    assert len(shown) == 300, "and none is lost"
    assert len({draft.passage for draft in shown[:50]}) >= 25


def test_what_was_decided_survives_a_crash(tmp_path: Path) -> None:
    drafts = [
        Draft(f"{n} model", "model 1", n, f"Is it {n}?", "Yes.", "M")
        for n in range(10_000)
    ]
    write_log(tmp_path, "drafted 1", drafts)
    write_log(tmp_path, "decided 1 model", "edit-1")
    write_log(tmp_path, "decided 2 model", DROPPED)
    write_log(tmp_path, "worded 1.2", Wording(("{row}?",), "{cell}", "edit-2"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'\n{"decided 3 mod')
    write_log(tmp_path, "decided 4 model", "edit-3")
    found = read_log(tmp_path, ["edit-1", "edit-2", "edit-3"])
    assert (found.drafted, found.looked_at, list(found.wordings)) == (
        drafts,
        {1},
        ["1.2"],
    )
    assert found.decided == {
        "1 model": "edit-1",
        "2 model": DROPPED,
        "4 model": "edit-3",
    }
    found = read_log(tmp_path, ["edit-3"])
    assert (found.decided, found.wordings) == (
        {"2 model": DROPPED, "4 model": "edit-3"},
        {},
    )
