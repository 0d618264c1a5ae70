"""Held-out conversations whose questions a person corrected: they are learned now, so they judge nothing."""

from __future__ import annotations

from collections.abc import Sequence

from backend.datasets.checks.near_duplicates import similar_pairs
from backend.records.rows import Message, Row
from backend.text.conversation import question
from backend.text.normalize import normalize


def corrected_among(conversations: Sequence[Sequence[Message]], corrected: Sequence[str]) -> set[int]:
    """The positions of the conversations that ask one of the `corrected` questions, exactly or almost.

    corrected: the questions of conversations, each with all turns of the person, by lines.
    """
    asked = [question(Row(0, 0, [*map(dict, messages)])) for messages in conversations]
    normalized = {normalize(text) for text in corrected}
    matches = {i for i, text in enumerate(asked) if normalize(text) in normalized}
    pairs = similar_pairs([*corrected, *asked])
    first = len(corrected)
    return matches | {j - first for i, j in pairs if i < first <= j}
