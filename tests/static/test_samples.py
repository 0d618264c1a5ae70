"""The sample datasets are as their README says: clean, varied, derivable and in one
voice.
"""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "static" / "samples"
FILES = (
    "support.jsonl",
    "support.held_out.jsonl",
    "orders.jsonl",
    "orders.held_out.jsonl",
)
SUPPORT, ORDERS = FILES[:2], FILES[2:]
KEYS = ["intent", "order_id", "item", "quantity"]
INTENTS = {"buy", "track", "cancel", "change", "return", "problem"}
NUMBER_WORDS = {
    "one": 1, "two": 2, "a couple of": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "a dozen": 12, "twenty": 20,
}  # fmt: skip
FORM_LETTER_WORDS = re.compile(
    r"\b(sorry|unfortunately|apolog\w+|inconvenience|kindly|valued|assist\w*|policy|don't hesitate)\b",
    re.I,
)
PERSONAL = {
    "e-mail": re.compile(r"\S+@\S+\.\w+"), "link": re.compile(r"https?:|www\.|\b\w+\.(?:com|net|org|io|co)\b", re.I),
    "phone or card number": re.compile(r"\d(?:[ .()-]?\d){6,}"),
    "price": re.compile(r"[$€£]|\b(?:euros?|dollars?|pounds|cents)\b", re.I),
}  # fmt: skip


def load(name: str) -> list[list[dict[str, str]]]:
    lines = (SAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def answers_of(name: str) -> list[str]:
    return [
        m["content"]
        for messages in load(name)
        for m in messages
        if m["role"] == "assistant"
    ]


def words_of(messages: list[dict[str, str]], role: str) -> set[str]:
    text = " ".join(
        message["content"] for message in messages if message["role"] == role
    )
    return set(re.findall(r"[\w']+", text.casefold()))


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?])\s+", text)


def voice_faults(answer: str) -> list[str]:
    """The checkable rules of the voice guide in the samples' README that a support
    answer breaks.
    """
    parts = sentences(answer)
    rules = {
        "25 to 90 words": 25 <= len(answer.split()) <= 90,
        "restates the problem in ten words or fewer": len(parts[0].split()) <= 10
        and parts[0].endswith("."),
        "no sentence over 24 words": max(len(part.split()) for part in parts) <= 24,
        "exactly one next step": sum(part.startswith("Next step: ") for part in parts)
        == 1,
        "ends with a question or a promise": parts[-1].endswith("?")
        or parts[-1].startswith(("I ", "I'")),
        "one question at most, at the end": answer.count("?") == answer.endswith("?"),
        "no exclamation marks, digits, lists or line breaks": not re.search(
            r"[!\d\n*•;]", answer
        ),
        "no form-letter words": not FORM_LETTER_WORDS.search(answer),
    }
    return [rule for rule, followed in rules.items() if not followed]


def stem_of(item: str) -> str:
    """The common start of an item's singular and plural: knife and knives, vase and
    vases.
    """
    return re.escape(re.sub("fe?$", "", item))


def quantity_in(message: str, item: str) -> int | None:
    """The quantity in front of an item, in digits or words."""
    stem = stem_of(item)
    for word, number in sorted(NUMBER_WORDS.items(), key=lambda pair: -len(pair[0])):
        if re.search(rf"\b{word} {stem}", message, re.I):
            return number
    count = re.search(rf"\b(\d+) ?(?:x )?{stem}", message, re.I)
    return int(count.group(1)) if count else None


@pytest.mark.parametrize("name", FILES)
def test_each_file_has_its_number_of_well_formed_conversations(name: str) -> None:
    rows = load(name)
    assert len(rows) == (40 if "held_out" in name else 240)
    for messages in rows:
        roles = [message["role"] for message in messages if message["role"] != "system"]
        assert roles == ["user", "assistant"] * max(1, len(roles) // 2)
        assert all(
            set(message) == {"role", "content"} and message["content"].strip()
            for message in messages
        )


@pytest.mark.parametrize(("names", "has_system"), [(SUPPORT, False), (ORDERS, False)])
def test_the_system_message_is_the_same_in_every_row(
    names: tuple[str, ...], has_system: bool
) -> None:
    firsts = [messages[0] for name in names for messages in load(name)]
    systems = {first["content"] for first in firsts if first["role"] == "system"}
    assert len(systems) == has_system
    assert all((first["role"] == "system") == has_system for first in firsts)


@pytest.mark.parametrize("names", [SUPPORT, ORDERS])
def test_no_two_rows_say_nearly_the_same_across_both_files(
    names: tuple[str, ...],
) -> None:
    rows = [messages for name in names for messages in load(name)]
    for role in ("user", "assistant") if names is SUPPORT else ("user",):
        for one, other in combinations(
            (words_of(messages, role) for messages in rows), 2
        ):
            assert len(one & other) / len(one | other) < 0.8, (one, other)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", PERSONAL)
def test_nothing_personal_and_no_price(name: str, kind: str) -> None:
    found = [
        m["content"]
        for messages in load(name)
        for m in messages
        if PERSONAL[kind].search(m["content"])
    ]
    assert not found


def test_a_third_of_the_support_conversations_have_several_turns() -> None:
    for name in SUPPORT:
        turns = [
            sum(message["role"] == "user" for message in messages)
            for messages in load(name)
        ]
        assert 0.3 <= sum(turn > 1 for turn in turns) / len(turns) <= 0.37
        assert max(turns) <= 4


@pytest.mark.parametrize("name", SUPPORT)
def test_every_support_answer_keeps_the_voice(name: str) -> None:
    answers = answers_of(name)
    assert not {
        answer: voice_faults(answer) for answer in answers if voice_faults(answer)
    }


def test_no_sentence_is_used_twice_and_another_voice_is_rejected() -> None:
    answers = [answer for name in SUPPORT for answer in answers_of(name)]
    counts = Counter(
        part.casefold() for answer in answers for part in sentences(answer)
    )
    assert not [part for part, count in counts.items() if count > 1]
    usual = "I'm sorry to hear that! Here are some steps: 1. Restart the router. 2. Call us if it stays red."
    assert len(voice_faults(usual)) >= 5


@pytest.mark.parametrize("name", ORDERS)
def test_order_answers_follow_the_schema_to_the_byte(name: str) -> None:
    seen = set()
    for messages in load(name):
        text = messages[-1]["content"]
        order: dict[str, Any] = json.loads(text)
        assert list(order) == KEYS
        assert text == json.dumps(order, ensure_ascii=False, separators=(",", ":"))
        assert order["quantity"] is None or type(order["quantity"]) is int
        assert order["order_id"] is None or type(order["order_id"]) is str
        assert type(order["item"]) is str
        seen.add(order["intent"])
    assert seen == INTENTS


@pytest.mark.parametrize("name", ORDERS)
def test_order_answers_follow_from_the_message(name: str) -> None:
    for messages in load(name):
        message, order = messages[0]["content"], json.loads(messages[-1]["content"])
        if order["order_id"]:
            assert order["order_id"] in message
        else:
            assert not re.search(r"\d{4}", message), message
        assert re.search(rf"\b{stem_of(order['item'])}", message, re.I), message
        assert order["quantity"] == quantity_in(message, order["item"]), message
