"""Questions and answers are found in a text by what marks a question."""

import json

import pytest

from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.questions import LEAST, MARKS, TEXT, Pairs, propose
from backend.errors import BadInput
from backend.records.reading import ReadOptions
from tests.backend.datasets.builders import load_text
from tests.cases import cases

PAIRS = [
    ("How do I pay?", "By card."),
    ("Where are you?", "On Mill Street."),
    ("When do you open?", "At ten."),
]
MORE = [
    *PAIRS,
    ("Do you deliver?", "In town."),
    ("Are dogs welcome?", "Yes."),
    ("Group bookings", "From ten people."),
    ("Is it far?", "Two miles."),
]
LABELLED = "\n\n".join(f"Q: {q}\nA: {a}" for q, a in PAIRS)


def proposed(text: str) -> list[Pairs]:
    return propose(read_markdown(text, headings=False).blocks)


def told(pairs: Pairs) -> list[tuple[str, str]]:
    return [(record["question"], record["answer"]) for _, record in pairs.records]


@pytest.mark.parametrize(("form", "between"), cases("documents", "questions"))
def test_every_usual_way_to_write_them_is_read(form: str, between: str) -> None:
    def written(pairs: list[tuple[str, str]]) -> str:
        parts = (form.format(n=n, q=q, a=a) for n, (q, a) in enumerate(pairs, 1))
        return between.join(parts)

    first = proposed(written(PAIRS))[0]
    assert told(first) == PAIRS
    assert first.certain == (first.mark == "label")
    assert first.certain or first.score > TEXT
    alone = form in ("{q}\n\n{a}", "{q}\n{a}", "{q}, {a}")  # only "?" marks them
    assert alone or MORE in map(told, proposed(written(MORE)))


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("\n\n".join([*["He went home. It was late."] * 9, "But who was there?"]), 0),
        ("\n\n".join(f"## Chapter {n}\n\nThere was a king." for n in range(9)), TEXT),
        ("\n".join(f"Can you do this in {n} days?" for n in range(9)), 0),
        ("Note: this is short.\nA: one\nB: two\n", 0),
        ("```\n# what is this?\nx = 1\n# and this?\ny = 2\n```\n", TEXT),
    ],
)
def test_other_texts_are_more_likely_texts(text: str, score: float) -> None:
    assert all(LEAST < pairs.score <= score for pairs in proposed(text))


def test_labels_are_certain_only_throughout() -> None:
    inside = "Can I swim?\nIn June.\nIs it far?\nTwo miles."
    for text in (f"{LABELLED}\n{inside}", f"{LABELLED}\n\nQ: And then?"):
        first = proposed(text)[0]
        assert (first.mark, first.certain) == ("label", False)
    text = "Q: Which is even?\nA. One\nB. Two\nC. Three\nAnswer: B"
    answer = ("Which is even?\nA. One\nB. Two\nC. Three", "B")
    first = proposed(f"{text}\n\n{text}")[0]
    assert (told(first), first.certain) == ([answer] * 2, True)


def test_only_what_is_right_above_a_label_ends_an_answer() -> None:
    turns = (
        "#### You:\nHello\n\n#### ChatGPT:\nOne\n\n---\n\n### Part\n\nTwo\n\n---\n\n"
    )
    first = proposed(
        turns + "#### You:\nMore\n\n#### ChatGPT:\nThree\n\n---\n\n#### You:\nBye"
    )[0]
    talks = [record["messages"] for _, record in first.records]
    assert [[own["content"] for own in talk] for talk in talks] == [
        ["Hello", "One\n\n---\n\nPart\n\nTwo"],
        ["More", "Three"],
        ["Bye"],  # without an answer, to be reported
    ]
    assert not first.certain


def test_the_right_option_is_picked_where_each_answer_marks_one() -> None:
    boxes = ["- [ ] One\n- [x] Two", "- [x] Three\n- [ ] Four"]
    keys = ["One\nTwo\nAnswer: b", "Three\nFour\nAnswer: A"]
    for options in (boxes, keys):
        text = "\n\n".join(f"## Which is it?\n{own}" for own in options)
        assert [answer for _, answer in told(proposed(text)[0])] == ["Two", "Three"]
    text = "\n\n".join(f"## Which is it?\n{own}" for own in (boxes[0], "- [ ] One"))
    assert told(proposed(text)[0])[0][1] == boxes[0]


def test_signs_stay_and_lines_end_as_on_old_macs() -> None:
    pairs = [
        (f"What is it - about 12) - in week {n}?", f"About ${n}0 - at most 3. Or less.")
        for n in range(1, 5)
    ]
    text = "\n\n".join(f"## {n}. {q}\n\n{a}" for n, (q, a) in enumerate(pairs, 1))
    assert told(proposed(text)[0]) == pairs
    blocks = read_markdown("One\rTwo\r\n\n| a | b |\n|---|---|\n| 1 | 2 |").blocks
    rows = [block.rows for block in blocks if block.rows]
    assert rows == [[(4, ["a", "b"]), (6, ["1", "2"])]]


def test_each_proposal_reads_the_text_as_it_says() -> None:
    text = "\n\n".join(f"## {q}\n\n{a} {'We are glad to help. ' * 5}" for q, a in MORE)
    data = load_text(text)
    assert [p.kind for p in data.problems] == ["mapping_guessed"]
    proposals = data.source.proposals
    options = [dict(own.options) for own in proposals]
    marks = ["heading", "question_mark"]
    assert options == [*({"marks": mark} for mark in marks), {"shape": "text"}]
    assert json.loads(json.dumps(options)) == options
    chosen = [load_text(text, options=ReadOptions(**own)) for own in options]
    assert chosen[0].rows == data.rows
    assert [len(own.rows) for own in chosen] == [7, 6, 1]
    assert not any(own.source.proposals for own in chosen)
    assert "mapping_guessed" not in {p.kind for own in chosen for p in own.problems}
    stored = load_text(text, options=ReadOptions(shape="question_answer"))
    assert (stored.rows, stored.source.proposals) == (data.rows, ())


def test_a_mark_that_no_question_has_is_refused() -> None:
    for mark in (*MARKS, "another"):
        with pytest.raises(BadInput, match="no such questions"):
            load_text("Only one line. " * 19, options=ReadOptions(marks=mark))
