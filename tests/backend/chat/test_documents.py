"""Long documents: their pieces, and the answers put together."""

import json
from pathlib import Path

import pytest

from backend.chat.documents import about, combine, split
from backend.errors import BadInput
from backend.records.specs import TrainSettings
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.tiny_run import WORDS

TEXT = " ".join(WORDS * 10)  # 400 tokens
QUESTION = [{"role": "user", "content": "w1 w2"}]


@pytest.fixture
def tokenizer(tiny_model: Path) -> ChatTokenizer:
    return ChatTokenizer.load(tiny_model)


def pieces(
    tokenizer: ChatTokenizer,
    text: str = TEXT,
    longest: int = 64,
    context: int = 2048,
    **more: int,
) -> list[str]:
    settings = TrainSettings(
        max_length=longest, window_overlap=more.get("overlap", 512)
    )
    return split(text, tokenizer, settings, context, QUESTION, more.get("answer", 16))


def test_pieces_have_every_word_in_order_and_overlap_by_an_eighth_at_most(
    tokenizer: ChatTokenizer,
) -> None:
    assert pieces(tokenizer, "w1 w2 w3") == ["w1 w2 w3"]
    assert " ".join(piece.strip() for piece in pieces(tokenizer, overlap=0)) == TEXT
    first, second, *_ = (piece.split() for piece in pieces(tokenizer))
    shared = len(first) // 8
    assert first[-shared:] == second[:shared]
    assert first[-shared - 1 :] != second[: shared + 1]


@pytest.mark.parametrize(
    ("longest", "context", "answer", "most"),
    [
        (32, 2048, 8, 64),
        (64, 2048, 8, 64),
        (256, 2048, 8, 256),
        (1024, 2048, 8, 1024),
        (4096, 128, 64, 128),
    ],
)
def test_a_piece_with_question_and_answer_fits_as_in_training_and_into_the_model(
    tokenizer: ChatTokenizer, longest: int, context: int, answer: int, most: int
) -> None:
    for piece in pieces(tokenizer, longest=longest, context=context, answer=answer):
        asked = tokenizer.prompt_ids(
            [{"role": "user", "content": about(piece, "w1 w2")}]
        )
        assert len(asked) + answer <= most


def test_without_room_it_says_so(tokenizer: ChatTokenizer) -> None:
    with pytest.raises(BadInput):
        pieces(tokenizer, context=64, answer=60)


def test_answers_are_joined_or_become_one_json_list_without_repetitions() -> None:
    assert combine(['{"a": 1}'], "auto") == ('{"a": 1}', "one", ())
    assert combine(["One.", " ", "Two."], "auto") == ("One.\n\nTwo.", "join", ())
    assert combine(["[1]", "[2]"], "join").text == "[1]\n\n[2]"
    found = combine(
        ['[{"a": 1}, {"b": 2}]', '```json\n{"b": 2}\n```', '{"c": [3]}'], "auto"
    )
    assert (json.loads(found.text), found.how) == (
        [{"a": 1}, {"b": 2}, {"c": [3]}],
        "merge",
    )
    chosen = combine(['{"a": 1}', "Nothing here.", '{"a": 2}'], "merge")
    assert (json.loads(chosen.text), chosen.left_out) == ([{"a": 1}, {"a": 2}], (2,))


@pytest.mark.parametrize("other", ["Nothing here.", "3", '"text"', "", "[" * 100_000])
def test_where_some_answers_are_no_json_nothing_is_lost(other: str) -> None:
    found = combine(['{"a": 1}', other], "auto")
    assert (found.how, found.left_out) == ("join", ())
    assert '{"a": 1}' in found.text
    assert other.strip() in found.text
