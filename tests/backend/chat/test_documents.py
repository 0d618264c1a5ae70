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
    tokenizer: ChatTokenizer, text: str = TEXT, longest: int = 64, context: int = 2048, **more: int
) -> list[str]:
    settings = TrainSettings(max_length=longest, window_overlap=more.get("overlap", 512))
    return split(text, tokenizer, settings, context, QUESTION, more.get("answer", 16))


class TestSplit:
    def test_a_short_text_is_one_piece(self, tokenizer: ChatTokenizer) -> None:
        assert pieces(tokenizer, "w1 w2 w3") == ["w1 w2 w3"]

    def test_every_word_is_in_a_piece_in_order(self, tokenizer: ChatTokenizer) -> None:
        found = pieces(tokenizer, overlap=0)
        assert " ".join(piece.strip() for piece in found) == TEXT

    def test_pieces_overlap_by_an_eighth_at_most(self, tokenizer: ChatTokenizer) -> None:
        first, second, *_ = (piece.split() for piece in pieces(tokenizer))
        shared = len(first) // 8
        assert first[-shared:] == second[:shared]
        assert first[-shared - 1 :] != second[: shared + 1]

    @pytest.mark.parametrize("longest", [32, 64, 256, 1024])
    def test_a_piece_with_question_and_answer_fits_in_training(self, tokenizer: ChatTokenizer, longest: int) -> None:
        for piece in pieces(tokenizer, longest=longest, answer=8):
            asked = tokenizer.prompt_ids([{"role": "user", "content": about(piece, "w1 w2")}])
            assert len(asked) + 8 <= max(longest, 64)

    def test_a_piece_and_the_longest_answer_fit_into_the_model(self, tokenizer: ChatTokenizer) -> None:
        for piece in pieces(tokenizer, longest=4096, context=128, answer=64):
            asked = tokenizer.prompt_ids([{"role": "user", "content": about(piece, "w1 w2")}])
            assert len(asked) + 64 <= 128

    def test_without_room_it_says_so(self, tokenizer: ChatTokenizer) -> None:
        with pytest.raises(BadInput):
            pieces(tokenizer, context=64, answer=60)


class TestCombine:
    def test_one_answer_stays_as_it_is(self) -> None:
        assert combine(['{"a": 1}'], "auto") == ('{"a": 1}', "one", ())

    def test_text_is_joined(self) -> None:
        assert combine(["One.", " ", "Two."], "auto") == ("One.\n\nTwo.", "join", ())

    def test_json_lists_and_objects_become_one_list_without_repetitions(self) -> None:
        answers = ['[{"a": 1}, {"b": 2}]', '```json\n{"b": 2}\n```', '{"c": [3]}']
        found = combine(answers, "auto")
        assert json.loads(found.text) == [{"a": 1}, {"b": 2}, {"c": [3]}]
        assert found.how == "merge"

    @pytest.mark.parametrize("other", ["Nothing here.", "3", '"text"', "", "[" * 100_000])
    def test_where_some_answers_are_no_json_nothing_is_lost(self, other: str) -> None:
        found = combine(['{"a": 1}', other], "auto")
        assert (found.how, found.left_out) == ("join", ())
        assert '{"a": 1}' in found.text
        assert other.strip() in found.text

    def test_a_merge_by_choice_names_the_answers_that_it_leaves_out(self) -> None:
        found = combine(['{"a": 1}', "Nothing here.", '{"a": 2}'], "merge")
        assert json.loads(found.text) == [{"a": 1}, {"a": 2}]
        assert found.left_out == (2,)

    def test_json_is_joined_where_that_is_chosen(self) -> None:
        assert combine(["[1]", "[2]"], "join").text == "[1]\n\n[2]"


def test_the_question_comes_before_the_piece() -> None:
    assert about("Piece.", "Translate:") == "Translate:\n\nPiece."
    assert about("Piece.", " ") == "Piece."
