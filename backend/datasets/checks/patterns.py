"""A fault inside a text, found and fixed by one pattern, and a quick way to see which texts can have it.

A TextFault says in which bytes it can show itself at all; `classes` looks at a whole block of texts at once,
so that the patterns run only over the few texts that hold such a byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

# Classes of bytes in UTF-8 text. A text has a class when one of its bytes does.
CONTROL = 1  # C0 but tab and line ends, DEL; 0xC2 begins C1
BRACKET = 2  # < or [
AT = 4  # @
DIGIT = 8
UNSEEN = 16  # bytes that begin the invisible characters
LATIN = 32  # 0xC2, 0xC3: where UTF-8 read as Latin-1 shows itself
LOW_LINE = 64  # - or _ : in keys


@dataclass(frozen=True)
class TextFault:
    """needs: classes of which a text must have one. pattern: where to look. fixed: what belongs in the place of
    a match, None where the match is no fault. what: "an e-mail address"; why: a sentence on why it matters."""

    kind: str
    needs: int
    pattern: re.Pattern[str]
    fixed: Callable[[re.Match[str]], str | None]
    what: str
    why: str

    def find(self, text: str) -> re.Match[str] | None:
        """The first fault in `text`."""
        for match in self.pattern.finditer(text):
            if self.fixed(match) is not None:
                return match
        return None

    def fix(self, text: str) -> str:
        """`text` without this fault (fixing can lay bare another one, so it goes on until there is none)."""
        while True:
            fixed = self.pattern.sub(self._replacement, text)
            if fixed == text:
                return text
            text = fixed

    def _replacement(self, match: re.Match[str]) -> str:
        fixed = self.fixed(match)
        return match.group() if fixed is None else fixed


def classes(texts: Sequence[str]) -> list[int]:
    """The classes of each text, or-ed together."""
    import numpy as np

    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    flags = np.frombuffer((b"\n".join(encoded) + b"\n").translate(_table()), np.uint8)
    found: list[int] = np.bitwise_or.reduceat(flags, starts).tolist() if len(encoded) else []
    return found


@cache
def _table() -> bytes:
    members: dict[int, Any] = {
        CONTROL: [*range(9), 11, 12, *range(14, 32), 127, 0xC2],
        BRACKET: b"<[",
        AT: b"@",
        DIGIT: b"0123456789",
        UNSEEN: [0xC2, 0xCD, 0xD8, 0xE1, 0xE2, 0xEF, 0xF3],
        LATIN: [0xC2, 0xC3],
        LOW_LINE: b"-_",
    }
    table = [0] * 256
    for flag, values in members.items():
        for value in values:
            table[value] |= flag
    return bytes(table)
