"""Sentences repeated within one answer; a model would learn to do the same."""

from __future__ import annotations

import re
from collections import Counter

LIMIT = 5  # repetitions of one sentence that are a fault (the guide's number)
_ENDS = ".!?。！？\n"
_SENTENCE = re.compile(f"[^{_ENDS}]*[{_ENDS}]+|[^{_ENDS}]+")
_MIN_LENGTH = 8  # characters; shorter sentences ("Yes.", "1.", "end") repeat in good answers
_CODE = re.compile(r"[{}=;<>|\\]")  # lines of code and tables may repeat


def repeated(text: str) -> tuple[str, int] | None:
    """The most frequent sentence in `text` and its count, if that is at least LIMIT.

    The sentence is returned in lower case and without its end mark.
    """
    if sum(map(text.count, _ENDS)) < LIMIT - 1:
        return None  # too few sentences, like most answers
    text = text.casefold()
    for end in _ENDS[1:]:
        text = text.replace(end, _ENDS[0])  # many times faster than a pattern
    keys = [piece.strip() for piece in text.split(_ENDS[0])]
    if len(keys) - len(set(keys)) < LIMIT - 1:
        return None
    for sentence, times in Counter(keys).most_common():
        if times < LIMIT:
            return None
        if _is_sentence(sentence):
            return sentence, times
    return None


def fix(text: str) -> str:
    """`text` with each sentence only once, also those that appear twice, if `repeated` finds a fault in it."""
    if repeated(text) is None:
        return text
    seen, pieces = set(), []
    for piece in _SENTENCE.findall(text):
        key = piece.rstrip(_ENDS).strip().casefold()
        if key not in seen or not _is_sentence(key):
            pieces.append(piece)
        seen.add(key)
    return "".join(pieces)


def _is_sentence(text: str) -> bool:
    words = 3 if text.isascii() else 1  # some scripts don't separate words
    return len(text) >= _MIN_LENGTH and text.count(" ") >= words - 1 and not _CODE.search(text)
