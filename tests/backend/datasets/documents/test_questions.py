"""Questions and answers are found in a text, as far as they fit."""

import pytest

from backend.datasets.convert.mapping import SeveralReadings
from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.questions import find_pairs
from tests.backend.datasets.builders import load_text
from tests.cases import cases

PAIRS = [
    ("How do I pay?", "By card."),
    ("Where are you?", "On Mill Street."),
    ("When do you open?", "At ten."),
]


def found(text: str) -> tuple[list[tuple[str, str]], bool] | None:
    """The pairs in a text, and whether they are sure."""
    pairs = find_pairs(read_markdown(text, headings=False).blocks)
    if pairs is None:
        return None
    return [
        (record["question"], record["answer"]) for _, record in pairs.records
    ], pairs.sure


@pytest.mark.parametrize(("form", "between"), cases("documents", "questions"))
def test_every_usual_way_to_write_them_is_read(form: str, between: str) -> None:
    text = between.join(form.format(n=n, q=q, a=a) for n, (q, a) in enumerate(PAIRS, 1))
    assert found(text) == (PAIRS, True)


MORE = [
    ("Do you deliver?", "In town."),
    ("Are dogs welcome?", "Yes."),
    ("Group bookings", "From ten people."),
]


@pytest.mark.parametrize(("form", "between"), cases("documents", "questions"))
def test_what_does_not_ask_but_looks_like_the_questions_begins_a_pair(
    form: str, between: str
) -> None:
    pairs = [*PAIRS, *MORE, ("Is it far?", "Two miles.")]
    text = between.join(form.format(n=n, q=q, a=a) for n, (q, a) in enumerate(pairs, 1))
    assert found(text) in (
        (pairs, True),
        ([*pairs[:5], pairs[6]], False),
    )  # never glued to the answer before it


def test_a_first_heading_that_does_not_ask_is_asked_about() -> None:
    pairs = [("About us", "We bake."), *PAIRS, *MORE[:2]]
    assert found("\n\n".join(f"## {q}\n\n{a}" for q, a in pairs)) == (pairs, False)


def test_what_asks_is_named_first_of_what_is_in_no_pair() -> None:
    text = "\n\n".join(
        [
            "Welcome to us",
            *(f"## {q}\n\n{a}" for q, a in PAIRS),
            "# Contact",
            "Is there more? Ask us.",
        ]
    )
    pairs = find_pairs(read_markdown(text).blocks)
    assert pairs is not None
    assert [b.text for b in pairs.outside] == [
        "Is there more? Ask us.",
        "Welcome to us",
        "Contact",
    ]


def test_questions_without_answers_choices_and_titles() -> None:
    text = "Q: One?\nA: 1\n\nQ: Two?\n\nQ: Three?\nA: 3\n\nQ: Four?\nA: 4\n\nQ: Five?\nA: 5\n"
    pairs, sure = found(text) or ([], False)
    assert sure
    assert pairs == [
        ("One?", "1"),
        ("Two?", ""),
        ("Three?", "3"),
        ("Four?", "4"),
        ("Five?", "5"),
    ]
    one = "Q: Which is even?\nA. One\nB. Two\nC. Three\nAnswer: B"
    assert found(f"{one}\n\n{one}") == (
        [("Which is even?\nA. One\nB. Two\nC. Three", "B")] * 2,
        True,
    )
    text = "{}\n\nDelivery\n\n{}".format(
        *("\n\n".join(f"{q}\n\n{a}" for q, a in PAIRS) for _ in range(2))
    )
    assert (found(text) or ([], True))[1] is False


@pytest.mark.parametrize(
    "text",
    [
        "\n\n".join(["He went home. It was late."] * 9 + ["But who was there?"] * 1),
        "\n\n".join(
            f"## Chapter {n}\n\nOnce upon a time there was a king." for n in range(9)
        ),
        "\n".join(f"Can you do this in {n} days?" for n in range(9)),
        "Note: this is short.\nA: one\nB: two\n",
        "```\n# what is this?\nx = 1\n# and this?\ny = 2\n```\n",
    ],
)
def test_other_texts_hold_none(text: str) -> None:
    assert found(text) is None


def test_only_numbers_that_count_on_are_taken_off_answers() -> None:
    asked = (
        "When is Easter?",
        "When is the fair?",
        "When do you close?",
        "When is the feast?",
    )
    for days, answers in (((2, 4, 6, 8), "May"), ((3, 14, 7, 20), "{n}. May")):
        text = "\n\n".join(
            f"{n - 1}. {q}\n{n}. May" for q, n in zip(asked, days, strict=True)
        )
        pairs = found(text)
        assert [answer for _, answer in pairs[0]] == [answers.format(n=n) for n in days]


@pytest.mark.parametrize(
    "end",
    ["Last updated: May 2025", "© 2025 Mill Street Dental", "Kontakt: Tel. 555-0100"],
)
def test_a_line_below_the_last_answer_is_pointed_out(end: str) -> None:
    text = "\n\n".join(f"Q: {q}\nA: {a}" for q, a in PAIRS)
    assert "closing_line" not in {
        p.kind for p in load_text(f"{text}\n\nAnd at noon.").problems
    }
    [note] = [
        p for p in load_text(f"{text}\n\n{end}").problems if p.kind == "closing_line"
    ]
    assert end in note.message


def test_signs_stay_and_lines_end_as_on_old_macs() -> None:
    pairs = [
        (
            f"What does it cost - about 12) - in week {n}?",
            f"About ${n}0 - at most 3. Or less.",
        )
        for n in range(1, 5)
    ]
    assert (
        find_pairs(
            read_markdown(
                "\n\n".join(f"## {q}\n\n{a}" for q, a in pairs), headings=True
            ).blocks
        )
        is not None
    )
    text = "\n\n".join(f"## {n}. {q}\n\n{a}" for n, (q, a) in enumerate(pairs, 1))
    found = find_pairs(read_markdown(text, headings=True).blocks)
    assert [
        (record["question"], record["answer"]) for _, record in found.records
    ] == pairs
    tables = [
        block
        for block in read_markdown(
            "One\rTwo\r\n\n| a | b |\n|---|---|\n| 1 | 2 |"
        ).blocks
        if block.rows
    ]
    assert [table.rows for table in tables] == [[(4, ["a", "b"]), (6, ["1", "2"])]]


def test_the_question_says_what_does_not_fit_and_where() -> None:
    more = "Can I swim?\nIn June.\nIs it far?\nTwo miles.\nIs it deep?\nNo."
    with pytest.raises(SeveralReadings) as asked:
        load_text("\n\n".join(f"Q: {q}\nA: {a}" for q, a in PAIRS) + f"\n{more}\n")
    assert "line 7, “Can I swim?”" in asked.value.why
    with pytest.raises(SeveralReadings) as asked:
        load_text(
            "\n\n".join(f"{n}. Which is it?\na) A cat\nb) A dog" for n in range(1, 7))
        )
    assert "“a) A cat b) A dog”" in asked.value.why
