"""Token ids and labels of a row: records, and pure functions over character spans."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from backend.records.rows import Message

if TYPE_CHECKING:
    from tokenizers import Encoding

IGNORED = -100  # label of a token that is not learned (torch's cross-entropy skips it)

Kind = Literal["learned", "read", "template"]
Span = tuple[int, int]  # characters of the rendered text, end excluded


@dataclass(frozen=True, slots=True)
class Rendered:
    """A row as text. learned: its learned spans, in order. skipped_turns: assistant
    turns that can't be learned.
    """

    text: str
    learned: list[Span]
    skipped_turns: int = 0


@dataclass(frozen=True, slots=True)
class Encoded:
    """One row as the trainer receives it, in numbers of 32 bits. labels: the token's id
    where it is learned, else -100. truncated: tokens beyond max_length were cut off.
    skipped_turns: assistant turns that are not learned. rejected: for a preference
    pair, the same conversation with the worse answer.
    """

    input_ids: array[int]
    labels: array[int]
    truncated: bool = False
    skipped_turns: int = 0
    rejected: Encoded | None = None

    @property
    def tokens(self) -> int:
        return len(self.input_ids)

    @property
    def learned(self) -> int:
        return len(self.labels) - self.labels.count(IGNORED)


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive tokens of one kind, for display: their text and their number."""

    text: str
    kind: Kind
    tokens: int


def first_token(encoding: Encoding, at: int) -> int | None:
    """The token that starts at character `at`; None unless one starts exactly there,
    after a character of another.
    """
    if not at:
        return 0
    token = encoding.char_to_token(at)
    if (
        token is None
        or encoding.char_to_token(at - 1) is None
        or token_span(encoding, token)[0] != at
    ):
        return None
    return token


def token_span(encoding: Encoding, token: int) -> Span:
    """The characters of a token."""
    span = encoding.token_to_chars(token)
    assert span is not None
    return span


def fill_gaps(offsets: Sequence[Span], length: int) -> list[Span]:
    """Spans without gaps: characters that a tokenizer's offsets leave out (a space
    before a word) go to the
    token after them. length: characters of the text.
    """
    spans: list[Span] = []
    reached = 0
    for start, end in offsets:  # without min and max, which would take most of the time
        spans.append(
            (start if start < reached else reached, end if end > start else start)
        )
        reached = end if end > reached else reached
    if spans:
        spans[-1] = (spans[-1][0], length)
    return spans


def unlearned(tokens: int) -> array[int]:
    """The labels of so many tokens that are only read."""
    return array("i", [IGNORED]) * tokens


def label_tokens(ids: list[int], spans: Sequence[Span], rendered: Rendered) -> Encoded:
    """The ids with their labels: a token is learned if it starts inside a learned span."""
    labels = unlearned(len(ids))
    turns = iter(rendered.learned)
    turn = next(turns, None)
    for position, (start, _) in enumerate(spans):
        while turn is not None and start >= turn[1]:
            turn = next(turns, None)
        if turn is None:
            break
        if start >= turn[0]:
            labels[position] = ids[position]
    return Encoded(array("i", ids), labels, skipped_turns=rendered.skipped_turns)


def content_spans(text: str, messages: Sequence[Message]) -> list[Span]:
    """The spans of the messages' contents in the rendered text; contents not found in
    order are left out.
    """
    spans: list[Span] = []
    position = 0
    for message in messages:
        content = message.get("content")
        content = content.strip() if isinstance(content, str) else ""
        at = text.find(content, position) if content else -1
        if at >= 0:
            position = at + len(content)
            spans.append((at, position))
    return spans


def group_pieces(
    text: str,
    spans: list[Span],
    labels: Sequence[int],
    content: list[Span],
    hidden: str,
) -> list[Piece]:
    """Tokens grouped into learned, read (inside `content`) and template pieces, without
    the character `hidden`.
    """

    def kind_of(token: tuple[Span, int]) -> Kind:
        (start, end), label = token
        if label != IGNORED:
            return "learned"
        return (
            "read" if any(a <= start and end <= b for a, b in content) else "template"
        )

    grouped: list[Piece] = []
    shown = 0
    for kind, group in groupby(zip(spans, labels, strict=False), kind_of):
        ends = [end for (_, end), _ in group]
        before, shown = shown, max(shown, *ends)
        grouped.append(Piece(text[before:shown].replace(hidden, ""), kind, len(ends)))
    return grouped
