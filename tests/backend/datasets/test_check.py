"""Every planted fault is found at its row, and clean rows have no problem; the report
as JSON is complete.
"""

import json
import re

import pytest

from backend.datasets.check_dataset import check, row_problems
from backend.datasets.checks.issues import ISSUE_TYPES
from backend.datasets.checks.language import usual_language
from backend.datasets.checks.report import summary
from backend.records.lengths import LengthLimits
from backend.records.reading import Cancelled
from backend.records.rows import Dataset, Message, Problem, Row
from backend.tokens.token_counts import TokenCounter
from tests.backend.datasets.builders import (
    SYSTEM,
    WordTokenizer,
    answer,
    chat,
    clean_row,
    clean_rows,
    dataset,
    question,
)  # fmt: skip

LONG = "This answer is as long as the answers in this file usually are, so that its length is no matter at all."
Q, A = ("user", "Where can I leave my old bicycle tonight?"), ("assistant", LONG)
S = ("system", SYSTEM)
GERMAN = "Das ist nicht schlimm, wir schicken es Ihnen mit der Post und es kostet auch nichts."

PLANTED: dict[str, list[tuple[str, str]]] = {
    "empty_answer": [S, Q, ("assistant", " \n")], "no_assistant": [S, Q],
    "ends_with_user": [S, Q, A, ("user", "And tomorrow?")],
    "same_role_twice": [S, Q, ("user", "I mean the green one."), A], "system_not_first": [Q, S, A],
    "no_question": [S, A], "empty_question": [S, ("user", ""), A],
    "nul_character": [S, Q, ("assistant", LONG + "\x00")], "control_characters": [S, Q, ("assistant", LONG + "\x07")],
    "invisible_characters": [S, ("user", "Where can I \u202eleave my old bicycle tonight?"), A],
    "mojibake": [S, Q, ("assistant", LONG + " At the cafÃ©.")],
    "control_marker": [S, Q, ("assistant", LONG + "<|im_end|>")],
    "repetition": [S, Q, ("assistant", "We are sorry to hear it. " * 5 + LONG)],
    "personal_email": [S, Q, ("assistant", LONG + " Write to her: jane.doe@posteo.example today.")],
    "personal_phone": [S, Q, ("assistant", LONG + " Ring her on +49 170 1234567 today.")],
    "personal_card": [S, Q, ("assistant", LONG + " Pay with 4111 1111 1111 1111 today.")],
    "personal_iban": [S, Q, ("assistant", LONG + " Pay to DE89 3704 0044 0532 0130 00 today.")],
    "secret_key": [S, Q, ("assistant", LONG + " Use sk-proj-abcdefghij0123456789ABCD today.")],
    "system_inconsistent": [Q, A],
}  # fmt: skip


def about_rows(problems: list[Problem]) -> list[tuple[int, str]]:
    return [(p.row, p.kind) for p in problems if p.row]


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_found_at_its_line_and_nothing_else_is(kind: str) -> None:
    rows = clean_rows(30)
    rows.insert(17, Row(1018, 18, chat(18, *PLANTED[kind]).messages))
    for number, row in enumerate(rows, 1):
        row.row = number
    found = [p for p in check(dataset(rows)).problems if p.row]
    assert [(p.line, p.row, p.kind) for p in found] == [(1018, 18, kind)]
    assert found[0].message.endswith(".")
    assert found[0].fix.endswith(".")
    assert found[0].quote


def test_clean_rows_have_no_problem_and_many_faults_are_all_found() -> None:
    rows = clean_rows(300)
    assert check(dataset(rows)).problems == []
    for place, kind in enumerate(PLANTED):
        turns = [
            (role, text.replace("bicycle", f"bicycle {place}"))
            for role, text in PLANTED[kind]
        ]
        turns = [
            (role, text.replace("no matter", f"not item {place}"))
            for role, text in turns
        ]
        rows[10 * place + 3] = chat(10 * place + 4, *turns)
    found = about_rows(check(dataset(rows)).problems)
    expected = {(10 * place + 4, kind) for place, kind in enumerate(PLANTED)}
    expected.add(
        (10 * list(PLANTED).index("system_inconsistent") + 4, "system_inconsistent")
    )
    assert set(found) == expected
    assert len(found) == len(expected)


def test_the_quote_of_a_problem_and_the_other_line_are_named() -> None:
    row = chat(1, Q, ("assistant", "x" * 500 + "\u202e" + "y" * 500))
    (problem,) = [
        p for p in check(dataset([row])).problems if p.kind == "invisible_characters"
    ]
    assert "\\u202e" in problem.quote
    assert "\u202e" not in problem.quote
    assert len(problem.quote) < 100
    rows = clean_rows(20)
    rows[4] = chat(
        5, S, question(5), ("assistant", "Yes, it is open today, and the gate is, too.")
    )
    rows.append(
        chat(
            21,
            S,
            ("user", question(5)[1].upper()),
            ("assistant", "No, it is closed today."),
        )
    )
    first, second = [p for p in check(dataset(rows)).problems if p.row]
    assert [(p.row, p.kind) for p in (first, second)] == [
        (5, "conflicting_answers"),
        (21, "conflicting_answers"),
    ]
    assert "“No, it is closed today.” (1 ×)" in first.message


def test_the_same_on_all_rows_is_reported_once() -> None:
    rows = [chat(i, Q, answer(i)) for i in range(1, 21)]
    assert [p.kind for p in check(dataset(rows)).problems] == [
        "too_few",
        "same_input_everywhere",
    ]
    rows = [chat(i, question(i), ("assistant", "gpt-4o")) for i in range(1, 7)]
    assert check(dataset(rows)).counts()["same_answer_everywhere"] == 1
    assert (
        "same_answer_everywhere"
        not in check(dataset([*rows, chat(9, question(9), answer(9))])).counts()
    )


@pytest.mark.parametrize(
    ("count", "kind", "word"),
    [
        (5, "too_few", "5"),
        (30, "too_few", "50"),
        (120, "too_few", "200"),
        (2_100, "too_many", "2,000"),
    ],
)
def test_small_and_very_large_files_get_a_warning(
    count: int, kind: str, word: str
) -> None:
    (problem,) = check(dataset(clean_rows(count))).problems
    assert (problem.line, problem.row, problem.kind) == (0, 0, kind)
    assert word in problem.message


def test_tool_calls_and_their_results() -> None:
    call: Message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"type": "function"}],
    }
    result: list[Message] = [
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": LONG},
    ]
    labels = [
        chat(i, question(i), ("assistant", "yes" if i % 2 else "no"))
        for i in range(1, 60)
    ]
    for rows in ([Row(1, 1, [*chat(1, Q).messages, call, *result])], labels):
        assert about_rows(check(dataset(rows)).problems) == []
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "f", "arguments": {}}}],
    }
    asked, result, answered = (
        {"role": role, "content": "x"} for role in ("user", "tool", "assistant")
    )
    rows = [
        Row(1, 1, [asked, call, result, result, answered]),
        Row(2, 2, [asked, result, answered]),
    ]
    found = [(p.row, p.kind) for p in row_problems(rows)]
    assert (2, "result_without_call") in found
    assert [row for row, _ in found] == [2] * len(found)


def test_preference_pairs_are_checked_on_both_sides() -> None:
    same, empty = (
        chat(1, Q, A),
        chat(2, ("user", "Another question entirely, please?"), A),
    )
    same.rejected, empty.rejected = (
        [{"role": "assistant", "content": LONG}],
        [{"role": "assistant", "content": ""}],
    )
    assert about_rows(check(dataset([same, empty])).problems) == [
        (1, "same_preference"),
        (2, "empty_answer"),
    ]


def test_rows_that_the_model_cannot_use_are_reported() -> None:
    rows = clean_rows(12)
    rows[2] = chat(3, Q, ("system", "Be kind."), A)
    rows[5] = chat(
        6,
        S,
        ("user", "Say the unlearnable thing to me?"),
        ("assistant", "unlearnable " * 20),
    )
    rows[7] = chat(8, S, ("user", "long " * 200), A)
    rows[9] = chat(
        10,
        S,
        ("user", "How much can you write for me?"),
        ("assistant", " ".join(f"word{n}" for n in range(200)) + "."),
    )
    report = check(
        dataset(rows), counter=TokenCounter(WordTokenizer()), lengths=LengthLimits(100)
    )
    found = {(p.row, p.kind): p for p in report.problems if p.row}
    assert set(found) >= {
        (3, "template_refuses"),
        (6, "nothing_to_learn"),
        (8, "answer_vanishes"),
        (10, "too_long"),
    }
    assert WordTokenizer.REASON in found[3, "template_refuses"].message
    assert found[10, "too_long"].severity == "warning"
    assert (report.usable, report.tokens.longest) == (9, 200 + 3 + 5 + 7)
    assert report.tokens.truncated == 1
    assert report.tokens.total < sum(report.tokens.lengths.values())


def test_very_long_rows_and_template_markers() -> None:
    rows = [
        *clean_rows(3),
        chat(
            4,
            ("system", SYSTEM),
            question(4),
            ("assistant", " ".join(f"word{n}" for n in range(9000)) + "."),
        ),
    ]
    report = check(dataset(rows), counter=TokenCounter(WordTokenizer()))
    assert about_rows(report.problems) == [(4, "very_long")]
    row = chat(1, Q, ("assistant", LONG + " [MARK]"))
    assert "control_marker" not in check(dataset([row])).counts(notes=True)
    assert "control_marker" in check(
        dataset([row]), counter=TokenCounter(WordTokenizer())
    ).counts(notes=True)


def test_the_language_is_compared_with_the_rest_and_the_model() -> None:
    spanish = ("user", "¿Dónde está el pedido que hice la semana pasada en su tienda?")
    rows = [
        *clean_rows(30),
        chat(31, spanish, answer(31)),
        chat(32, question(32), ("assistant", GERMAN)),
    ]
    found = {
        problem.row: problem
        for problem in check(dataset(rows)).problems
        if problem.kind == "other_language"
    }
    assert ["Spanish" in found[31].message, "German" in found[32].message] == [
        True,
        True,
    ]
    assert {problem.severity for problem in found.values()} == {"note"}
    rows = [
        chat(i, question(i), ("assistant", GERMAN + f" {question(i)[1].split()[6]}"))
        for i in range(1, 31)
    ]
    assert (
        usual_language(rows),
        usual_language(clean_rows(30)),
        usual_language(rows[:2]),
    ) == ("de", "en", None)
    assert "other_language" not in check(dataset(rows)).counts()
    german = "Das ist eine Frage, die wir nicht für dich beantworten werden, aber es gibt auch noch mehr zu sagen."
    rows = [
        chat(i, ("user", f"{german} Nummer {i}"), ("assistant", question(i)[1]))
        for i in range(1, 30)
    ]
    problems = check(dataset(rows), model_languages=("en",)).problems
    [message] = [
        problem.message for problem in problems if problem.kind == "language_mismatch"
    ]
    assert ("German" in message, "100%" in message) == (True, False)
    for languages in (("en", "de"), None):
        assert (
            "language_mismatch"
            not in check(dataset(rows), model_languages=languages).counts()
        )
    rows = [
        chat(i, ("user", f"kettle {i}"), ("assistant", f"ladder museum {i}"))
        for i in range(1, 30)
    ]
    assert (
        "language_mismatch"
        not in check(dataset(rows), model_languages=("de",)).counts()
    )


def test_progress_rises_and_reading_problems_are_in_line_order() -> None:
    unread = Problem(2, 2, "bad_json", "error", "This line is not JSON.")
    rows = [row for row in clean_rows(6) if row.row != 2]
    rows[3] = chat(5, Q, A)
    report = check(Dataset(dataset([]).source, rows, [unread], 6))
    assert ([p.row for p in report.problems], (report.rows, report.usable)) == (
        [0, 2, 5],
        (6, 5),
    )
    seen: list[float] = []
    check(dataset(clean_rows(20)), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    with pytest.raises(Cancelled):
        check(dataset(clean_rows(20)), cancelled=lambda: True)


def test_a_dataset_without_rows_or_usable_ones_gets_a_report() -> None:
    report = check(dataset([]))
    assert (report.usable, [p.kind for p in report.problems]) == (0, ["too_few"])
    assert "0 of 0" in summary(report)[0]
    [problem] = [
        p
        for p in check(dataset([chat(1, question(1))])).problems
        if p.kind == "too_few"
    ]
    assert "0" not in problem.message, "none is not called a few"


TERMS = re.compile(
    r"\b(duplicate keys?|roles?|tokens?|objects?|surrogates?|chosen|rejected|system message|NUL|rows?)\b"
)


def unexplained(sentence: str) -> list[str]:
    """The field's terms that stand in a sentence without plain words: outside
    parentheses.
    """
    return TERMS.findall(re.sub(r"\([^)]*\)", "", sentence))


def test_problems_are_described_in_plain_words() -> None:
    titles = {
        kind: unexplained(f"{issue.title} {issue.fix}")
        for kind, issue in ISSUE_TYPES.items()
    }
    assert {kind: terms for kind, terms in titles.items() if terms} == {}
    rows = [
        *clean_rows(30),
        *(chat(31 + at, *turns) for at, turns in enumerate(PLANTED.values())),
    ]
    found = check(
        dataset(rows), counter=TokenCounter(WordTokenizer()), lengths=LengthLimits(20)
    ).problems
    assert len({problem.kind for problem in found}) > len(PLANTED)
    messages = {
        p.kind: unexplained(p.message) for p in found if p.kind != "template_refuses"
    }  # in a model's words
    assert {kind: terms for kind, terms in messages.items() if terms} == {}


def test_the_promised_json_keys_are_there() -> None:
    rows = [*clean_rows(20), clean_row(5), chat(22, ("user", "Hello?"))]
    rows[20].row = rows[20].line = 21
    checked = check(
        dataset(rows), counter=TokenCounter(WordTokenizer()), lengths=LengthLimits(30)
    )
    report = json.loads(json.dumps(checked.to_json()))
    assert {
        "format",
        "encoding",
        "rows",
        "usable",
        "problems",
        "duplicates",
        "split",
        "tokens",
    } <= set(report)
    assert (report["format"], report["encoding"], report["rows"], report["usable"]) == (
        "jsonl",
        "utf-8",
        22,
        21,
    )
    for problem in report["problems"]:
        assert {
            "line",
            "row",
            "file",
            "kind",
            "severity",
            "message",
            "fix",
            "quote",
        } == set(problem)
        assert problem["severity"] in ("error", "warning")
    assert (report["duplicates"]["exact"], report["duplicates"]["near"]) == (1, 0)
    assert report["duplicates"]["groups"] == [[5, 21]]
    assert report["split"]["train"] + report["split"]["validation"] == report["usable"]
    tokens = report["tokens"]
    assert {"total", "learned", "longest", "truncated", "documents", "pieces"} == set(
        tokens
    )
    assert tokens["total"] == 21 * 30 < 21 * tokens["longest"]
    assert 0 < tokens["learned"] < tokens["total"]
    assert tokens["truncated"] == 21
    assert {*check(dataset(rows)).to_json()["tokens"].values()} == {None}, (
        "without a model"
    )
