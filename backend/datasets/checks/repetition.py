"""The same sentence again and again inside one answer: a model learns to do it too."""

from __future__ import annotations

import re
from collections import Counter

LIMIT = 5  # times one sentence may not stand in an answer (the guide's number)
_ENDS = ".!?。！？\n"
_SENTENCE = re.compile(f"[^{_ENDS}]*[{_ENDS}]+|[^{_ENDS}]+")
_SHORTEST = 8  # characters; shorter ones ("Yes.", "1.", "end") repeat in good answers
_CODE = re.compile(r"[{}=;<>|\\]")  # lines of code and tables repeat with good reason


def repeated(text: str) -> tuple[str, int] | None:
    """The sentence that stands most often in `text` and how often, if that is LIMIT times or more.

    The sentence comes without its end mark and in lower case.
    """
    if sum(map(text.count, _ENDS)) < LIMIT - 1:
        return None  # too few sentences, as most answers have
    text = text.casefold()
    for end in _ENDS[1:]:
        text = text.replace(end, _ENDS[0])  # many times as fast as a pattern
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
    """`text` with every sentence that stands there LIMIT times or more kept once."""
    while (found := repeated(text)) is not None:
        kept, pieces = False, []
        for piece in _SENTENCE.findall(text):
            same = piece.rstrip(_ENDS).strip().casefold() == found[0]
            if not (same and kept):
                pieces.append(piece)
            kept = kept or same
        text = "".join(pieces)
    return text


def _is_sentence(text: str) -> bool:
    words = 3 if text.isascii() else 1  # not every script parts its words
    return len(text) >= _SHORTEST and text.count(" ") >= words - 1 and not _CODE.search(text)
