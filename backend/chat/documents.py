"""Long documents: split as in training, and the answers to their pieces put together.
Pure text and tokens.
"""

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple, get_args

from backend.errors import BadInput
from backend.files.json_file import value_of
from backend.records.lengths import LengthLimits
from backend.records.rows import Row
from backend.records.specs import TrainSettings
from backend.tokens.tokenizer import ChatTokenizer

Combine = Literal["auto", "join", "merge"]
COMBINE: tuple[Combine, ...] = get_args(Combine)
_OVERLAP = 8  # of a piece one eighth at most, as in the guide's windows of 4,096 tokens with 512
_FEWEST = 16  # tokens of a piece


class Combined(NamedTuple):
    """Answers put together. how: "one" for a single answer. left_out: the pieces, from
    1, that gave no JSON.
    """

    text: str
    how: Literal["one", "join", "merge"]
    left_out: tuple[int, ...] = ()


def split(
    text: str,
    tokenizer: ChatTokenizer,
    settings: TrainSettings,
    context_length: int,
    messages: Sequence[dict[str, Any]],
    answer: int,
) -> list[str]:
    """The pieces of `text` that are asked about one by one, each with the end of the
    one before. A piece and its answer (of at most `answer` tokens) are about as long as
    the longest examples in training, and fit into the model beside `messages`. Raises
    BadInput when no room is left for a piece.
    """
    around = len(tokenizer.prompt_ids(messages))
    window = min(settings.max_length, context_length)
    size = min(
        max(window // 4, window - around - min(answer, window // 4)),
        context_length - around - answer,
    )
    if size < _FEWEST:
        raise BadInput(
            "There is no room for the document.",
            f"The model reads {context_length:,} tokens; the question and the answer take them all.",
            "Ask a shorter question, or allow a shorter answer.",
        )
    limits = LengthLimits(
        size, "windows", min(settings.window_overlap, size // _OVERLAP)
    )
    windows = tokenizer.document_pieces(Row(1, 1, text=text), limits)
    pieces = [window.text.removesuffix(tokenizer.eos_token) for window in windows]
    return [piece for piece in pieces if piece.strip()]


def about(piece: str, words: str) -> str:
    """The question about a piece: the person's words, then the piece."""
    return f"{words}\n\n{piece}" if words.strip() else piece


def combine(answers: Sequence[str], how: Combine) -> Combined:
    """The answers to the pieces as one. "merge" makes one JSON list of all that they
    list, without repetitions; "auto" merges where every answer is JSON, and joins
    otherwise.
    """
    if len(answers) == 1:
        return Combined(answers[0], "one")
    values = [_parsed(answer) for answer in answers]
    if how == "merge" or (how == "auto" and all(value is not None for value in values)):
        left_out = tuple(
            number for number, value in enumerate(values, 1) if value is None
        )
        once: dict[str, Any] = {}
        for item in chain.from_iterable(value for value in values if value is not None):
            once.setdefault(json.dumps(item, sort_keys=True), item)
        return Combined(
            json.dumps(list(once.values()), ensure_ascii=False, indent=1),
            "merge",
            left_out,
        )
    return Combined(
        "\n\n".join(answer.strip() for answer in answers if answer.strip()), "join"
    )


def _parsed(answer: str) -> list[Any] | None:
    """The JSON values of an answer, also in a Markdown code fence; None where it is
    none.
    """
    text = answer.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    value = value_of(text)
    return (
        value
        if isinstance(value, list)
        else [value]
        if isinstance(value, dict)
        else None
    )
