"""Text faults are found, good text has none, and a fix removes them for good."""

import pytest

from backend.datasets.check_dataset import row_problems
from backend.datasets.checks.answers import repeated, without_repetition
from backend.datasets.checks.content import text_faults
from backend.datasets.checks.language import detect
from backend.datasets.checks.names import find, without_names
from tests.backend.datasets.builders import chat, question
from tests.cases import cases

FAULTS = {fault.kind: fault for fault in text_faults()}


@pytest.mark.parametrize(("kind", "text", "fixed"), cases("texts", "fixed_faults"))
def test_a_fault_is_found_and_fixed(kind: str, text: str, fixed: str) -> None:
    assert any(FAULTS[kind].matches(text))
    assert FAULTS[kind].fix(text) == fixed
    assert not any(FAULTS[kind].matches(fixed))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("placeholder", text) for text in (
            "Dear {{name}},", "{{ Order Number }} is on its way.", "Hi {first_name}!", "Sincerely, [YOUR NAME]",
            "It costs [Price].", "[Insert date here]", "Ask <your manager>", "TODO", "TODO: write this",
            "[Ihr Name]", "Call [XXX]", "Lorem ipsum dolor", "[Nome da Empresa]", "Em [fecha de entrega]", "[公司名称]",
            "The [customer name]", "GREETINGS FROM [COMPANY NAME]", "Dear [[Customer Name]],",
        )),
        *(("media_marker", text) for text in ("<image>\nWhat is it?", "Look: [Image: 3]", "<img src=\"a.png\">")),
        ("lost_characters", "Herr M\ufffdller"), ("lost_characters", "??? ?????? ?? 9?"),
    ],
)  # fmt: skip
def test_what_only_leaving_out_helps_against_is_found(kind: str, text: str) -> None:
    assert any(FAULTS[kind].matches(text))
    assert FAULTS[kind].drops
    rows = [chat(1, question(1), ("assistant", f"Well. {text}"))] * FAULTS[
        kind
    ].at_least
    assert kind in {problem.kind for problem in row_problems(rows)}


def test_what_one_example_says_may_be_meant() -> None:
    rows = [
        chat(i, question(i), ("assistant", "So it goes. THE END")) for i in range(1, 4)
    ]
    assert [problem.kind for problem in row_problems(rows[:2])] == []
    assert [problem.kind for problem in row_problems(rows)] == ["legacy_separator"] * 3


def test_names_of_customers_in_greetings_are_found_and_replaced() -> None:
    pairs = [
        ("Is there rye? Thanks, Anna", "Hi Anna, yes there is."), ("Are you open?", "Dear Ms Miller,\n\nwe are."),
        ("Habt ihr Brot?", "Sehr geehrter Herr Özil!\nJa."), ("Noch offen?", "Guten Tag Frau Ott,\n\nja."),
        ("Wo ist meine Ware?", "Die Ware, die Sie meinen, ist hier."), ("Late?", "No, till six."),
    ]  # fmt: skip
    rows = [
        chat(n, ("user", asked), ("assistant", said))
        for n, (asked, said) in enumerate(pairs, 1)
    ]
    assert [(p.row, p.kind) for p in find(rows)] == [
        (row, "personal_name") for row in (1, 2, 3, 4)
    ]
    assert [without_names(row).messages[1]["content"] for row in rows if row != rows[5]] == [
        "Hi [name], yes there is.", "Dear [name],\n\nwe are.", "Sehr geehrter [name]!\nJa.",
        "Guten Tag [name],\n\nja.", "Die Ware, die Sie meinen, ist hier.",
    ]  # fmt: skip


@pytest.mark.parametrize("text", cases("texts", "without_faults"))
def test_good_text_has_no_fault(text: str) -> None:
    assert {
        kind: match.group()
        for kind, fault in FAULTS.items()
        if (match := next(fault.matches(text), None))
    } == {}


def test_repetition_is_found_in_sentences() -> None:
    text = "I can help you. " * 5 + "Ask me anything."
    assert repeated(text) == ("i can help you", 5)
    assert without_repetition(text) == "I can help you. Ask me anything."
    twice = "Clean it first, then dry it. " * 2
    assert (
        without_repetition(twice + text)
        == "Clean it first, then dry it. I can help you. Ask me anything."
    )
    assert without_repetition(twice) == twice, "no fault"
    assert repeated("I can help you. " * 4) is None
    assert repeated("    return false;\n" * 9) is None
    assert repeated("1. Yes.\n" * 9) is None


@pytest.mark.parametrize(("text", "language"), cases("texts", "languages"))
def test_a_language_is_detected_only_when_it_is_clear(
    text: str, language: str | None
) -> None:
    assert detect(text) == language
