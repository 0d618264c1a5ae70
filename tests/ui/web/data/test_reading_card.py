"""How a file was read is shown, confirmed with one click, and changed in a form whose
every choice is checked.
"""

import html
import json
import re
from dataclasses import replace
from typing import Any

from backend.datasets.dataset import CheckedDataset, check_and_fix
from backend.datasets.info import DatasetInfo
from backend.records.lengths import UNLIMITED
from backend.records.reading import ReadOptions
from backend.records.rows import Dataset, FileDetails, PassedOver, Problem, Proposal
from tests.backend.datasets.builders import clean_row, load_text
from tests.ui.conftest import text_of
from ui.web.data import reading_card
from ui.web.data.reading_card import sent

TEA = "Which tea,What else,Approved,Notes\n" + "".join(
    f'When is tea number {n} served?,"Tea number {n} comes at {n} in the garden, with milk.",{"yes" if n % 3 else "no"},note {n}\n'
    for n in range(30)
)
ORDERS = "Email text,Customer,Product,Qty,Day\n" + "".join(
    f'"Hello, {n} lamps for Anna {n} by Monday, please.",Anna {n},Lamp,{n},Monday\n'
    for n in range(1, 31)
)
FIELDS = ["Customer", "Product", "Qty", "Day"]
PAIR = {"column:Which tea": "question", "column:What else": "answer"}


def checked(data: Dataset, **info: Any) -> CheckedDataset:
    return check_and_fix("a", DatasetInfo("a.csv", **info), data, None, UNLIMITED)


def read(text: str, file: str = "a.csv", **options: Any) -> CheckedDataset:
    """A file read with these options, which its info holds."""
    data = load_text(text, file, ReadOptions(**options))
    return checked(data, read_options=json.loads(json.dumps(options)))


def form(**fields: str) -> str:
    return json.dumps(fields)


def buttons(card: str) -> list[tuple[str, str]]:
    """What each button of a card sends."""
    sends = re.findall('data-do="([^"]+)" data-value="([^"]*)"', card)
    return [(do, html.unescape(value)) for do, value in sends]


def test_a_guess_is_shown_with_its_examples_and_what_is_not_used() -> None:
    data = read(TEA)
    assert data.questions
    card = reading_card.card(data)
    assert buttons(card)[0] == ("confirm", "")
    shown = text_of(card)
    assert ">Yes, use these 30<" in card
    assert "30 examples." in shown
    for n in (0, 1, 2):
        assert f"Tea number {n} comes at {n} in the garden" in shown
    assert "Not used: &#39;Approved&#39;, &#39;Notes&#39;." in shown


def test_long_examples_are_shown_in_full_with_their_lines() -> None:
    row = clean_row(1)
    row.messages[-1]["content"] = "one line\n" * 90 + "the end"
    card = reading_card.card(
        checked(Dataset(load_text(TEA, "a.csv").source, [row], [], 1))
    )
    assert "one line\none line\n" in card
    assert "the end" in card


def test_rows_and_parts_that_are_not_used_are_counted() -> None:
    source = replace(
        load_text(TEA, "a.csv").source,
        passed=tuple(PassedOver("title", f"Tea {n}", n) for n in (1, 2)),
    )
    data = load_text(TEA + "only a question\n" * 3, "a.csv")
    shown = text_of(reading_card.card(checked(replace(data, source=source))))
    assert "30 examples, 3 rows can&#39;t be used." in shown
    assert "2 × title (line 1, 2)" in shown


def test_a_confirmed_reading_is_folded_and_a_chosen_one_is_asked_until_then() -> None:
    guess, certain = (
        load_text(TEA, "a.csv"),
        load_text("question,answer\nWho?,Me.\n", "b.csv"),
    )
    confirmed: Any = {"mapping_guessed": "all"}
    chosen = {"mapping": {"question": "Which tea", "answer": "Notes"}}
    for data, asked in (
        (checked(guess), True),
        (checked(guess, refused=confirmed), False),
        (checked(certain), False),
        (checked(certain, read_options={"task": "voice", "rows": 9}), False),
        (checked(certain, read_options=chosen), True),
        (checked(certain, read_options=chosen, refused=confirmed), False),
        (checked(certain, read_options=chosen, edits=["e"]), False),
    ):
        assert reading_card.is_asked(data) is asked
        card = reading_card.card(data)
        assert (("confirm", "") in buttons(card)) is asked
        assert ('data-key="how"' in card) is not asked


def test_other_proposals_are_one_click_each_and_no_others_are_taken() -> None:
    ways = tuple(
        Proposal(title, {"mapping": {"question": "Which tea", "answer": title}})
        for title in ("What else", "Notes", "Approved")
    )
    data = load_text(TEA, "a.csv")
    data = checked(replace(data, source=replace(data.source, proposals=ways)))
    card = reading_card.card(data)
    sends = [value for do, value in buttons(card) if do == "how"]
    assert [sent(value, data) for value in sends] == [w.options for w in ways[1:]], (
        "the first is the one that is shown"
    )
    for value in ("3", "-1", "x", ""):
        assert sent(form(proposal=value), data) == {}


def test_another_proposal_keeps_how_the_bytes_are_read() -> None:
    before = {"encoding": "cp1252", "delimiter": ",", "task": "extract"}
    data = read(TEA, **before)
    (way, *_) = data.original.source.proposals[1:]
    bytes_read = {"encoding": "cp1252", "delimiter": ","}
    assert sent(form(proposal="1"), data) == bytes_read | way.options
    assert sent(form(pairs="1"), data) == bytes_read | {"pairs": True}


def test_a_column_in_use_can_be_chosen_however_many_there_are() -> None:
    header = ",".join(["Question", *(f"c{n}" for n in range(80)), "Answer"])
    text = f"{header}\n" + f"Who?,{',' * 80}Me.\n" * 3
    card = reading_card.card(read(text))
    columns = re.findall('name="column:([^"]+)"', card)
    assert columns[0] == "Question"
    assert columns[-1] == "Answer"
    assert len(columns) == reading_card.MOST


def test_other_sheets_are_one_click_each() -> None:
    data = load_text(TEA, "a.csv")
    details = FileDetails(sheets=("May", "June"), sheet="May", binary=True)
    note = Problem(0, 0, "other_sheets", "warning", "Only 'May' was read.")
    source = replace(data.source, details=details, proposals=())
    data = replace(data, source=source, problems=[note])
    card = reading_card.card(checked(data))
    assert "Only &#39;May&#39; was read." in card
    (send,) = [value for do, value in buttons(card) if do == "how"]
    assert sent(send, checked(data)) == {"sheet": "June"}
    assert sent(form(sheet="May"), checked(data)) == {}


def test_each_column_has_its_first_cells_and_one_choice() -> None:
    card = reading_card.card(read(TEA))
    columns = re.findall(
        r'<strong>([^<]+)</strong> <small>([^<]*)</small></span><select name="([^"]+)">(.*?)</select>',
        card,
    )
    assert [(title, name) for title, _, name, _ in columns] == [
        (name, f"column:{name}")
        for name in ("Which tea", "What else", "Approved", "Notes")
    ]
    assert "note 0" in columns[3][1]
    chosen = [re.findall('value="([^"]*)" selected', c) for *_, c in columns]
    assert chosen == [["question"], ["answer"], [""], [""]]
    offers = ['value="only"' in choices for *_, choices in columns]
    assert offers == [False, False, True, False], "which has few different values"


def test_an_unchanged_form_sends_nothing() -> None:
    data = read(TEA)
    for value in (form(**PAIR), form(encoding="", **PAIR), "no JSON", "[]"):
        assert sent(value, data) == {}
    chosen = {"mapping": {"question": "Which tea", "answer": "Notes"}}
    again = {"column:Which tea": "question", "column:Notes": "answer"}
    assert sent(form(**again), read(TEA, **chosen)) == chosen


def test_several_answers_become_fields() -> None:
    data = read(ORDERS, mapping={"question": "Email text", "answer": "Product"})
    columns = {f"column:{name}": "answer" for name in FIELDS}
    how = sent(form(**{"column:Email text": "question", **columns}), data)
    assert how == {"mapping": {"question": "Email text", "answer": FIELDS}}
    fields = read(ORDERS, **how)
    answer = json.loads(fields.rows[2].messages[-1]["content"])
    assert answer == {
        "Customer": "Anna 3",
        "Product": "Lamp",
        "Qty": 3,
        "Day": "Monday",
    }
    card = reading_card.card(fields)
    assert card.count('value="answer" selected') == 4


def test_only_some_rows_are_wanted() -> None:
    data = read(TEA)
    ticks = {"column:Approved": "only", "only:1:Approved": "yes"}
    how = sent(form(**PAIR, **ticks), data)
    assert how["only"] == {"Approved": ["yes"]}
    some = read(TEA, **how)
    assert len(some.rows) == 20
    card = reading_card.card(some)
    assert re.findall('name="only:.:Approved" value="([a-z]+)" checked', card) == [
        "yes"
    ]
    assert sent(form(**PAIR, **ticks), some) == how
    none = sent(form(**PAIR, **{"column:Approved": "only"}), some)
    assert "only" not in none, "none is ticked"


def test_what_no_form_offers_is_dropped() -> None:
    data = read(TEA)
    odd = {
        "encoding": "utf-7",
        "delimiter": "no such",
        "column:Notes": "boss",
        "column:Nowhere": "answer",
        "column:Approved": "only",
        "only:1:Approved": "maybe",
        "only:0:Notes": "note 0",
        "person-3": 7,
    }
    assert sent(json.dumps({**PAIR, **odd}), data)["mapping"] == {
        "question": "Which tea",
        "answer": "What else",
    }
    assert sent(json.dumps({**PAIR, **odd}), data).keys() == {"mapping"}
    assert sent(form(encoding="cp1252", **PAIR), data) == {"encoding": "cp1252"}


def test_documented_fields_are_a_question_and_an_answer() -> None:
    lines = "".join(
        json.dumps({"instruction": f"Say {n}.", "input": "", "output": f"It is {n}."})
        + "\n"
        for n in range(9)
    )
    card = reading_card.card(read(lines))
    assert re.findall('value="([^"]*)" selected', card)[:3] == [
        "question",
        "question",
        "answer",
    ]


FAQ = "".join(
    f"Do you sell lamp number {n}?\nYes, lamp {n} costs {n} euros in our shop.\n\n"
    for n in range(1, 9)
)


def test_what_marks_a_question_of_a_text_is_chosen() -> None:
    data = read(FAQ, "faq.txt")
    assert len(data.rows) == 8
    card = reading_card.card(data)
    (now,) = re.findall('name="marks">.*?value="([^"]+)" selected', card)
    assert "column:" not in card
    assert ("make-examples", "") in buttons(card)
    assert sent(form(marks=now), data) == {}
    assert sent(form(marks="boss"), data) == {}
    assert sent(form(marks="text"), data) == {"shape": "text"}
    assert sent(form(marks="heading"), data) == {"marks": "heading"}
    whole = read(FAQ, "faq.txt", shape="text")
    assert 'value="text" selected' in reading_card.card(whole)
    assert sent(form(marks=now), whole) == {"marks": now}
    assert len(read(FAQ, "faq.txt", marks=now).rows) == 8


def chat(people: tuple[str, ...], imitate: tuple[str, ...], **how: Any) -> Any:
    data = load_text(TEA, "a.csv")
    details = FileDetails("a chat", people=people, imitate=imitate)
    source = replace(data.source, details=details)
    return checked(replace(data, source=source), read_options=how)


def test_who_answers_is_ticked_and_sent() -> None:
    data = chat(("Anna <b>", "Ben", "Cy"), ("Ben",))
    card = reading_card.card(data)
    ticks = re.findall(r'name="(person-\d)" value="([^"]+)"( checked)?', card)
    assert {(name, bool(checked)) for _, name, checked in ticks} == {
        ("Anna &lt;b&gt;", False),
        ("Ben", True),
        ("Cy", False),
        ("*", False),
    }
    assert "column:" not in card, "a chat has no columns to choose"
    assert sent('{"person-1": "Ben"}', data) == {}
    assert sent('{"person-0": "Anna", "person-1": "Ben"}', data) == {
        "imitate": ["Anna", "Ben"]
    }
    assert sent('{"person-1": "Ben", "pairs": "1"}', data) == {"pairs": True}
    two = reading_card.card(chat(("Anna", "Ben"), ("Ben",)))
    assert 'value="*"' not in two
