"""A document is divided into passages below their headings, and loses nothing."""

import pytest

from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.documents.passages import (
    SIZE,
    Passage,
    labelled,
    passages,
    sentences,
)


def divided(text: str) -> list[Passage]:
    return passages(read_markdown(text))


@pytest.mark.parametrize(
    "text",
    [
        "One paragraph.", "\n\n".join(f"Paragraph {n}. " * n for n in range(1, 60)), "One sentence. " * 500,
        "\n".join("No empty line between these paragraphs. " * 9 for _ in range(9)), "パンを焼きます。" * 500,
        "word " * 1_000, "w" * 5_000, "one, two and three; " * 200, "\n".join(f"- item {n}" for n in range(300)),
    ],
)  # fmt: skip
def test_all_of_it_is_there_in_order(text: str) -> None:
    found = divided(text)
    assert "".join("".join(each.text for each in found).split()) == "".join(
        text.split()
    )
    assert all(len(each.text) <= SIZE for each in found)
    assert [each.number for each in found] == list(range(1, len(found) + 1))


def test_a_passage_stands_below_its_own_headings() -> None:
    text = "# Handbook\n\nWelcome.\n\n## Leave\n\nTell us.\n\n### Sick leave\n\nCall us.\n\n## Pay\n\nOn Fridays."
    assert [(each.text, each.headings, each.line) for each in divided(text)] == [
        ("Welcome.", ("Handbook",), 3), ("Tell us.", ("Handbook", "Leave"), 7),
        ("Call us.", ("Handbook", "Leave", "Sick leave"), 11), ("On Fridays.", ("Handbook", "Pay"), 15),
    ]  # fmt: skip
    assert divided(text)[2].place == "“Sick leave”, line 11"
    long = divided(
        "# Rules\n\n"
        + "\n\n".join("This is a rule of the house. " * 9 for _ in range(9))
    )
    assert len(long) > 2
    assert [each.first for each in long] == [True, *[False] * (len(long) - 1)]
    assert {each.heading for each in long} == {"Rules"}


def test_a_heading_that_is_not_marked_as_one_is_recognized() -> None:
    text = "Sick leave\n\nCall us before your shift begins.\n\nPay\n\nYour wage arrives on the last day."
    assert [each.headings for each in divided(text)] == [("Sick leave",), ("Pay",)]
    close = divided(
        "Opening hours\nWe open at six and close at two in the afternoon.\n\nPay\nYour wage arrives on the last day."
    )
    assert [each.headings for each in close] == [("Opening hours",), ("Pay",)]
    chapters = "House rules\n\n1. Opening hours\nWe open at six, and close on all days but\none at two.\n\n2. Pay\n\nAsk."
    assert [(each.headings, each.text.count("\n")) for each in divided(chapters)] == [
        (("House rules", "Opening hours"), 0), (("House rules", "Pay"), 0),
    ]  # fmt: skip
    steps = "To wash it:\n\n1. Soak it\n\n2. Dry it\n\nThen put it away for the night."
    assert [each.headings for each in divided(steps)] == [()]
    poem, address = (
        "Roses are red\nViolets are blue, and so is the sky of today",
        "Corner Bakery\n12 High Street, Upper Littleton",
    )
    assert [each.headings for text in (poem, address) for each in divided(text)] == [
        (),
        (),
    ]
    bold = divided("**Opening hours**\nFrom nine to five.\n\nCome by.")
    assert [(each.heading, each.text) for each in bold] == [
        ("Opening hours", "From nine to five.\n\nCome by.")
    ]


def test_rows_of_a_table_and_labelled_lines_are_passages() -> None:
    page = "<h2>Prices</h2><table><tr><th>Bread</th><th>Price</th></tr><tr><td>Rye</td><td>4 €</td></tr></table>"
    (row,) = passages(read_html(page))
    assert (row.cells, row.headings, row.table) == (
        {"Bread": "Rye", "Price": "4 €"},
        ("Prices",),
        1,
    )
    lines = divided(
        "# Contact\n\n- Phone: 555 010\n- E-mail: a@b.example\n- **Address:** Mill Street 4"
    )
    pairs = [
        ("Phone", "555 010"),
        ("E-mail", "a@b.example"),
        ("Address", "Mill Street 4"),
    ]
    assert [labelled(each.text) for each in lines] == pairs


def test_lines_that_were_wrapped_become_one() -> None:
    assert divided(
        "This sentence is so long that it was wrapped\nby an editor. The next one."
    )[0].text == (
        "This sentence is so long that it was wrapped by an editor. The next one."
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Ask Dr. Lind. She knows.", ["Ask Dr. Lind.", "She knows."]),
        ("1. Wash it. 2. Dry it.", ["Wash it.", "Dry it."]),
        ("Bring e.g. bread, z. B. rye. Done!", ["Bring e.g. bread, z. B. rye.", "Done!"]),
        ("営業中です。明日は休みです。", ["営業中です。", "明日は休みです。"]), ("- one\n- two", ["one", "two"]),
        ("No stop at the end", ["No stop at the end"]), ("It costs 4.50 euros.", ["It costs 4.50 euros."]),
    ],
)  # fmt: skip
def test_sentences_are_word_for_word(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts
    assert all(part in text for part in parts)
