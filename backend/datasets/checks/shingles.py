"""Texts as word pairs: each word with the next one, as 64-bit hashes, for many texts at once.

All of it runs as numpy operations over the bytes of a block of texts. Letters and digits make words, case and
punctuation don't count, and in scripts without spaces each character is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

_WORD_BYTES = bytes(
    b + 32 if 65 <= b <= 90 else b if 48 <= b <= 57 or 97 <= b <= 122 or b >= 128 else 32 for b in range(256)
)
_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
_MARKS = re.compile("[\u0080-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u2000-\u206f\u3000-\u303f]")
_M1, _M2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd, as usual hash functions multiply with


@dataclass(slots=True)
class Block:
    """members: one a word, text after text; words: how many each text has; numbers: for each text a hash of the
    numbers in it."""

    members: Hashes
    words: Numbers
    numbers: Hashes

    @property
    def owners(self) -> Numbers:
        """Which text of the block each member belongs to."""
        return np.repeat(np.arange(len(self.words), dtype=np.int64), self.words)


def _prepared(text: str) -> bytes:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        text = _MARKS.sub(" ", _UNSPACED.sub(r" \1 ", text))
    return text.encode("utf-8", "surrogatepass")


def block(texts: Sequence[str]) -> Block:
    """The word pairs of `texts`; the last word of a text is paired with nothing."""
    encoded = [_prepared(text) for text in texts]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
    begins = np.cumsum(lengths) - lengths + 8
    raw = np.frombuffer((b" " * 8 + b"\n".join(encoded) + b" " * 9).translate(_WORD_BYTES), np.uint8)
    is_word = raw != 32
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    first, after = edges[0::2], edges[1::2]
    words = _word_hashes(raw, first, after)
    counts = np.diff(np.searchsorted(first, np.append(begins, len(raw))))
    ends = np.cumsum(counts)

    digits = np.flatnonzero((raw - np.uint8(48)) < 10)
    with_digits = np.unique(np.searchsorted(first, digits, "right") - 1)
    numbers = np.zeros(len(encoded), np.uint64)
    np.add.at(numbers, np.searchsorted(ends, with_digits, "right"), words[with_digits])

    following = np.append(words[1:], np.zeros(min(1, len(words)), np.uint64))
    following[ends[counts > 0] - 1] = 0
    return Block(_mixed(words * _M1 + following), counts, numbers)


def _word_hashes(raw: npt.NDArray[np.uint8], first: Numbers, after: Numbers) -> Hashes:
    """A 64-bit hash of each word raw[first:after]: of its length and its first 40 bytes."""
    eights = np.lib.stride_tricks.as_strided(raw, (len(raw) - 7, 8), (1, 1)).view(np.uint64)[:, 0]
    length = after - first
    unused = (64 - 8 * np.minimum(length, 8)).view(np.uint64)
    hashes = (eights[first] << unused) * _M1 + length.view(np.uint64)
    for offset in range(8, 40, 8):
        longer = np.flatnonzero(length > offset)
        if not len(longer):
            break
        next_eight = np.minimum(first[longer] + offset, after[longer] - 8)
        hashes[longer] = _mixed(hashes[longer]) + eights[next_eight]
    return _mixed(hashes)


def _mixed(hashes: Hashes) -> Hashes:
    """The hashes with every bit depending on every other (in place)."""
    hashes ^= hashes >> np.uint64(32)
    hashes *= _M2
    hashes ^= hashes >> np.uint64(29)
    return hashes
