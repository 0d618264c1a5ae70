"""Duplicate rows are found, other rows are left alone, and the counts are exact."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.datasets.check_dataset import check
from backend.datasets.checks.duplicates import connected, find
from backend.datasets.checks.near_duplicates import THRESHOLD, gist, similar_pairs
from backend.datasets.checks.report import summary
from backend.datasets.read.load import ReadOptions
from backend.records.rows import Row
from tests.backend.datasets.builders import (
    answer,
    chat,
    clean_row,
    clean_rows,
    dataset,
    load_text,
    question,
)
from tests.cases import cases

_DANISH = {"question": "spørgsmål", "answer": "svar"}


def test_a_thousand_rows_with_ten_distinct_ones_are_counted_exactly() -> None:
    rows = [Row(i, i, clean_row(i % 10).messages) for i in range(1, 1001)]
    report = check(dataset(rows))
    assert (
        report.duplicates.exact,
        report.duplicates.near,
        report.duplicates.distinct,
    ) == (990, 0, 10)
    assert sorted(map(len, report.duplicates.groups)) == [100] * 10
    assert report.counts()["duplicate"] == 990
    sentence = report.duplicates.sentence
    assert {"10", "990", "1,000"} <= set(sentence.split())
    assert summary(report)[0] == report.to_json()["summary"][0] == sentence
    about_the_file = {p.kind: p.message for p in report.problems if not p.row}
    assert about_the_file["mostly_repeats"] == sentence
    assert "only 10 " in about_the_file["too_few"]


def test_repeated_rows_are_found_whatever_their_case_and_spaces() -> None:
    rows = [*clean_rows(20), Row(21, 21, clean_row(3).messages)]
    report = check(dataset(rows))
    assert report.duplicates.sentence in summary(report)[1:]
    assert re.findall(r"\d+", report.duplicates.sentence) == ["20", "21", "1"]
    assert "mostly_repeats" not in report.counts()
    same = check(dataset([Row(i, i, clean_row(1).messages) for i in range(1, 15)]))
    assert (same.duplicates.distinct, same.counts()["mostly_repeats"]) == (1, 1)
    rows = [
        chat(1, ("user", "Is the Café open?"), ("assistant", "Yes, until 10 p.m.")),
        chat(2, ("user", "  is the cafe\u0301 \n OPEN "), ("assistant", "“yes, until 10 p.m”!")),
        chat(3, ("user", "Is the café open?"), ("assistant", "Yes, until 11 p.m.")),
        chat(4, ("user", "What is 3-5?"), ("assistant", "-2")), chat(5, ("user", "What is 3+5?"), ("assistant", "8")),
    ]  # fmt: skip
    assert find(rows).exact == [[0, 1]]
    assert "same words" in next(
        it.message for it in check(dataset(rows)).problems if it.kind == "duplicate"
    )


def test_rows_with_another_text_beside_them_are_only_noted() -> None:
    asked = [
        ("Hvilket dyr er det?", "En måge.", ("hus.png", "havn.png", "hus.png")[n % 3])
        for n in range(3)
    ]
    table = [
        *asked,
        *(
            (f"Hvad spiser dyr nummer {n}?", f"Det spiser {n} orme.", f"{n}.png")
            for n in range(9)
        ),
    ]
    lines = ["spørgsmål,svar,billede", *map(",".join, table)]
    data = load_text("\n".join(lines), "dyr.csv", ReadOptions(mapping=_DANISH))
    found = [(p.row, p.kind, p.severity) for p in check(data).problems if p.row]
    assert found == [(2, "near_duplicate", "note"), (3, "duplicate", "warning")]


def test_small_edits_are_found_and_other_rows_are_not() -> None:
    rows = clean_rows(40)
    edited = [rows[i].messages[2]["content"] for i in range(4)]
    edits = [
        edited[0].replace("You will", "You would"), edited[1] + " Thank you.",
        edited[2].replace("Ask there", "Ask, please, there"), edited[3].replace(" the ", " THE ", 1).replace("?", ""),
    ]  # fmt: skip
    for i, text in enumerate(edits):
        rows.append(
            chat(
                41 + i,
                *[(m["role"], m["content"]) for m in rows[i].messages[:2]],
                ("assistant", text),
            )
        )
    found = find(rows)
    assert found.groups == [[i, 40 + i] for i in range(4)]
    assert found.exact == found.copies == [[3, 43]]
    said = {
        p.row: p.message for p in check(dataset(rows)).problems if p.severity == "note"
    }
    assert ({41, 42, 43} <= {*said}, "“please”" in said[43]) == (True, True)
    rows.append(
        chat(
            45,
            *[
                (m["role"], m["content"].replace(" the ", " - the "))
                for m in rows[9].messages
            ],
        )
    )
    assert (find(rows).copies, check(dataset(rows)).counts()["near_duplicate"]) == (
        [[3, 43], [9, 44]],
        1,
    )


def test_different_rows_are_no_duplicates() -> None:
    rows = [
        chat(i, ("user", f"What is the price of the parcel with the number {i} in your shop today, please?"),
             ("assistant", f"The parcel with the number {i} has the usual price in our shop today."))
        for i in range(1, 60)
    ]  # fmt: skip
    assert find(rows).groups == []
    instruction = (
        "Read the text below and write down the name of what the customer wants, and nothing else. "
        * 3
    )
    rows = [
        chat(
            i,
            ("user", instruction + question(i)[1]),
            ("assistant", question(i)[1].split()[6]),
        )
        for i in range(1, 61)
    ]
    assert find(rows).groups == []
    words = "I bought a red wagon at your market in spring and want to know when it will be delivered to my door"
    rows = [
        chat(1, ("user", words), ("assistant", "On Monday")),
        chat(
            2,
            ("user", words.replace("bought", "have bought")),
            ("assistant", "on monday."),
        ),
        chat(
            3,
            ("user", words.replace("red", "green")),
            ("assistant", "That depends on the weather over the pass"),
        ),
    ]
    assert find(rows).groups == [[0, 1]]


def test_rows_stay_together_without_being_duplicates() -> None:
    rows = [
        *clean_rows(20),
        chat(
            21,
            *[(m["role"], m["content"]) for m in clean_row(3).messages[:2]],
            answer(99),
        ),
    ]
    found = find(rows)
    assert (found.groups, found.together) == ([], [[2, 20]])
    turns = [question(1), ("assistant", "No")]
    rows = [
        chat(1, ("system", "Say whether this message is spam: yes or no."), *turns),
        chat(2, ("system", "Does the customer sound angry?"), *turns),
    ]
    assert (find(rows).groups, find(rows).together) == ([], [[0, 1]])
    words = "I bought a red wagon at your market in spring and want to know when it will be delivered to my door"
    rows = [
        chat(1, ("user", words), answer(1)),
        chat(2, ("user", words.replace("spring", "summer")), answer(2)),
    ]
    found = find(rows)
    assert (found.groups, found.together) == ([], [[0, 1]])


def test_documents_and_chinese_are_compared_and_groups_joined() -> None:
    text = "我们的商店每天早上九点开门，晚上八点关门，周末也不休息，欢迎您随时光临，我们会为您提供最好的服务。"
    rows = [
        Row(1, 1, text=text),
        Row(2, 2, text=text.replace("晚上", "傍晚")),
        Row(3, 3, text=text[::-1]),
    ]
    assert find(rows).groups == [[0, 1]]
    assert connected([[5, 6], [1, 2], [2, 3], [3, 1]]) == [[1, 2, 3], [5, 6]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nice one 😍", "Nice one 🙄"), ("-5", "5"), ("$5", "€5"), ("5 %", "5"), ("C#", "C"), ("f(a<=b);", "f(a>b);"),
        ("5²", "52"), ("Nice :)", "Nice :("), ("It is -5 °C", "It is 5 °C"), ("किताब", "कताब"),
        ("Is it wrist pain, or leg swelling?", "Is it wrist pain, wrist swelling, or leg swelling?"),
    ],
)  # fmt: skip
def test_symbols_signs_and_repeated_words_tell_rows_apart(one: str, other: str) -> None:
    said = find(
        [
            chat(i, ("user", "And?"), ("assistant", text))
            for i, text in enumerate((one, other), 1)
        ]
    )
    asked = find(
        [chat(i, ("user", text), answer(1)) for i, text in enumerate((one, other), 1)]
    )
    assert (said.exact, said.groups) == ([], [])
    assert (asked.exact, asked.groups) == ([], [])


def test_a_word_said_very_often_takes_little_memory() -> None:
    one, other = (gist("la " * times) for times in (100_000, 99_999))
    assert one != other
    assert sum(map(len, one)) < 200_000


def test_a_choice_of_answers_and_several_worse_ones_are_no_copies() -> None:
    said = "You may have a {}, and it is advised that you see a doctor in the town within two days or sooner."
    rows = [
        chat(n, question(n // 2), ("assistant", said.format(("cold", "cough")[n % 2])))
        for n in range(8)
    ]
    assert find(rows[:2]).groups == [[0, 1]], "one of them may be an edit"
    assert find(rows).groups == []
    worse = [
        [{"role": "assistant", "content": said.format(name)}]
        for name in ("cold", "cold now", "cold")
    ]
    rows = [replace(clean_row(1), row=n, rejected=text) for n, text in enumerate(worse)]
    assert find(rows).groups == [[0, 2]]


_CITIES = "Paris Rome Berlin Madrid Lisbon Vienna Prague Athens Dublin Oslo Cairo Lima Quito Delhi Seoul"


@pytest.mark.parametrize(("language", "ask", "reply", "names"), cases("texts", "forms"))
@pytest.mark.parametrize(
    ("count", "others"), [(4, 0), (10, 0), (12, 0), (10, 100), (15, 100)]
)
def test_one_form_is_no_duplicate(
    language: str, ask: str, reply: str, names: str, count: int, others: int
) -> None:
    rows = [
        chat(i, ("user", ask.format(name)), ("assistant", reply.format(name)))
        for i, name in enumerate(names.split()[:count])
    ]
    assert find([*rows, *clean_rows(others)]).groups == []


@pytest.mark.parametrize("copies", [2, 3, 4, 5, 12])
def test_copies_edited_in_different_places_are_found_however_many(copies: int) -> None:
    words = clean_row(1).messages[2]["content"].split()
    rows = []
    for i in range(copies):
        text = [*words[: 2 * i], f"edit{chr(97 + i)}", *words[2 * i + 1 :]]
        rows.append(chat(i, question(1), ("assistant", " ".join(text))))
    assert find([*rows, *(clean_row(i) for i in range(50, 80))]).groups == [
        [*range(copies)]
    ]


@pytest.mark.parametrize("count", [3, 10, 15])
def test_long_instructions_do_not_make_short_rows_similar(count: int) -> None:
    system = (
        "You help in a flower shop. Be brief and polite, invent no prices, ask about the occasion first. "
        * 3
    )
    rows = [
        chat(
            i, ("system", system), ("user", f"{name}?"), ("assistant", f"{name[::-1]}.")
        )
        for i, name in enumerate(_CITIES.split()[:count])
    ]
    assert find(rows).together == []


def _set(text: str) -> set[tuple[str, str]]:
    words = text.split()
    return {*zip(words, [*words[1:], ""], strict=False)}


def _alike(a: str, b: str) -> bool:
    """The definition of `similar_pairs`, written down plainly."""
    words = [text.split() for text in (a, b)]
    first, second = _set(a), _set(b)
    numbers = [sorted(w for w in text if re.search(r"\d", w)) for text in words]
    near = len(first & second) >= THRESHOLD * len(first | second)
    return bool(first and second) and numbers[0] == numbers[1] and near


_words = st.sampled_from(
    ["a", "bb", "ccc", "dddddddddd", "1", "22", "x3", "longerthaneightbytes"]
)
_sentences = st.lists(_words, max_size=12).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(st.lists(_sentences, max_size=10))
def test_pairs_match_the_plain_definition(texts: list[str]) -> None:
    expected = [
        (i, j)
        for j in range(len(texts))
        for i in range(j)
        if _alike(texts[i], texts[j])
    ]
    found = similar_pairs(texts)
    assert {*found} <= {*expected}
    around = Counter(i for pair in expected for i in pair)
    sure = {
        (i, j)
        for i, j in expected
        if max(around[i], around[j]) < 3 or _set(texts[i]) == _set(texts[j])
    }
    assert sure <= {*found}
