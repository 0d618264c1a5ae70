"""Truncated rows of a run: the same as if prepared that way, and every loss is counted."""

from collections.abc import Sequence
from pathlib import Path

from backend.records.encoded import Encoded
from backend.records.lengths import LengthLimits
from backend.records.rows import Row
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow, sizes
from backend.runs.truncate import truncate_run
from backend.tokens.preference_pairs import encode_pairs
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.tiny_run import WORDS, run_of

SHORT = TrainSettings(max_length=16, window_overlap=4)


def chat(question: int, answer: int, first: int = 0) -> list[dict[str, str]]:
    """A conversation with that many words: <|user|> … <|end|> <|assistant|> … <|end|>."""
    text = " ".join(WORDS[first : first + answer])
    return [{"role": "user", "content": " ".join(WORDS[:question])}, {"role": "assistant", "content": text}]


def ids(rows: Sequence[TokenRow | Encoded]) -> list[tuple[list[int], list[int]]]:
    return [(list(row.input_ids), list(row.labels)) for row in rows]


def test_conversations_are_truncated_as_if_prepared_that_way(tmp_path: Path, tiny_model: Path) -> None:
    tokenizer = ChatTokenizer.load(tiny_model)
    chats = [chat(3, 4), chat(5, 20), chat(20, 5), chat(12, 3), chat(12, 1)]
    run_of(tmp_path, tiny_model, [tokenizer.encode(one) for one in chats[:4]], [tokenizer.encode(chats[4])])
    found = truncate_run(tmp_path, SHORT)
    assert (found.before, found.cut, found.left_out, found.divided) == (5, 4, 1, 0)
    kept = [tokenizer.encode(one, max_length=16) for one in chats if one is not chats[2]]
    assert ids([*found.train, *found.validation]) == ids(kept)
    assert [row.learned for row in found.train] == [5, 8, 1]
    assert sizes(found.train, found.validation)["longest"] == 16


def test_a_pair_stays_while_its_answers_differ(tmp_path: Path, tiny_model: Path) -> None:
    tokenizer = ChatTokenizer.load(tiny_model)
    rows = [
        Row(1, 1, chat(3, 20), chat(3, 20, first=9)[1:]),  # both cut
        Row(2, 2, chat(3, 20), chat(3, 25)[1:]),  # they differ only beyond the length
        Row(3, 3, chat(20, 3), chat(20, 3, first=9)[1:]),  # nothing of the answers is left
    ]
    whole = [row for row in encode_pairs(tokenizer, rows) if isinstance(row, Encoded)]
    run_of(tmp_path, tiny_model, whole, [], trainer="dpo")
    found = truncate_run(tmp_path, SHORT)
    assert (found.cut, found.left_out) == (3, 2)
    prepared = [row for row in encode_pairs(tokenizer, rows, 16) if isinstance(row, Encoded)]
    assert ids(found.train) == ids(prepared)
    assert ids([row.rejected for row in found.train if row.rejected]) == ids(
        [row.rejected for row in prepared if row.rejected]
    )


def test_windows_of_documents_are_divided_and_lose_nothing(tmp_path: Path, tiny_model: Path) -> None:
    document = Row(1, 1, [], text=" ".join(WORDS))
    whole = ChatTokenizer.load(tiny_model).encode_rows([document])[0]
    assert isinstance(whole, Encoded)
    run_of(tmp_path, tiny_model, [whole], [])
    found = truncate_run(tmp_path, SHORT)
    assert (found.cut, found.left_out, found.divided) == (0, 0, 1)
    assert ids(found.train) == ids(LengthLimits.from_settings(SHORT).pieces(document, whole))
    assert found.train[-1].input_ids[-1] == whole.input_ids[-1]
    assert truncate_run(tmp_path, SHORT.changed(long_documents="truncate")).cut == 1
