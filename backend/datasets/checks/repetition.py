"""Sentences repeated within one answer; a model would learn to do the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

LIMIT = 5  # repetitions of one sentence that are a fault (the guide's number)
_ENDS = ".!?。！？\n"
_SENTENCE = re.compile(f"[^{_ENDS}]*[{_ENDS}]+|[^{_ENDS}]+")
_MIN_LENGTH = 8  # characters; shorter sentences ("Yes.", "1.", "end") repeat in good answers
_CODE = re.compile(r"[{}=;<>|\\]")  # lines of code and tables may repeat
_SPACES, _END = "\t\x0b\x0c\r\x1c\x1d\x1e\x1f ", 255
_WEIGHTS = bytes(  # of each ASCII character, upper and lower case alike
    _END if chr(b) in _ENDS else 0 if chr(b) in _SPACES else 1 + ord(chr(b).lower()) * 37 % 254 for b in range(128)
) + bytes(128)


def suspects(texts: Sequence[str]) -> list[int]:
    """Positions of the texts that `repeated` has to look at: those with LIMIT sentences whose characters have the
    same sum of weights, and all that are not ASCII."""
    import numpy as np

    plain = [text if text.isascii() else "" for text in texts]
    weights = np.frombuffer("\n".join([*plain, ""]).encode().translate(_WEIGHTS), np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(weights[:-1] == _END) + 1))
    sums = np.add.reduceat(weights, starts, dtype=np.uint32) if len(weights) else np.empty(0, np.uint32)
    owners = np.searchsorted(np.cumsum([len(text) + 1 for text in plain]), starts, "right")
    keys = np.sort((owners << 32 | sums)[sums > _END])
    again = keys[LIMIT - 1 :][keys[LIMIT - 1 :] == keys[: 1 - LIMIT]] >> 32
    return sorted({*again.tolist(), *(i for i, text in enumerate(texts) if text and not plain[i])})


def repeated(text: str) -> tuple[str, int] | None:
    """The most frequent sentence in `text` and its count, if that is at least LIMIT.

    The sentence is returned in lower case and without its end mark.
    """
    ends = [end for end in _ENDS if end in text]
    if sum(map(text.count, ends)) < LIMIT - 1:
        return None  # too few sentences, like most answers
    text = text.casefold()
    for end in ends[1:]:
        text = text.replace(end, ends[0])  # many times faster than a pattern
    keys = list(map(str.strip, text.split(ends[0])))
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
    least = 3 if text.isascii() else 1  # some scripts don't separate words
    return len(text) >= _MIN_LENGTH and text.count(" ") >= least - 1 and not _CODE.search(text)
