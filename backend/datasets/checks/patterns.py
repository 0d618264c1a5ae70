"""Faults that one pattern finds and fixes in a text, a fast filter for the texts that
can have them, and what a question asks for: a web page that was asked for is no fault.

A TextFault names the bytes or words it needs; `classes` scans many texts at once, so
that the patterns run only on the few texts with such a byte or word.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.json_file import read_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Classes of bytes in UTF-8 text. A text has a class when one of its bytes does.
CONTROL = 1  # C0 except tab and line ends, DEL; 0xC2 starts C1
BRACKET = 2  # < [ { or &
AT = 4  # @
DIGIT = 8
INVISIBLE_BYTES = 16  # first bytes of the invisible characters
LATIN = 32  # 0xC2, 0xC3: UTF-8 read as Latin-1
DASH = 64  # - or _ (in keys)

NUMBER = 128  # no byte: seven digits, or first bytes of them in other scripts, with few signs between them
_DIGITS = rb"0-9\xd9\xdb\xdf\xe0\xe1\xef\xf0"
_NUMBER = re.compile(
    rb"[%b](?:[^A-Za-z\xff%b]{0,8}[%b]){6}" % (_DIGITS, _DIGITS, _DIGITS)
)
WORDS = 256  # no byte: one of these words
_WORDS = re.compile(rb"TODO|Lorem ipsum|\?\? \?|\\n")
ENDING = 512  # the last byte is one of these
_ENDINGS = b"#>DP \n\t"
_MEMBERS: dict[int, Container[int]] = {
    CONTROL: {*range(9), 11, 12, *range(14, 32), 127, 0xC2},
    BRACKET: b"<[{&",
    AT: b"@",
    DIGIT: b"0123456789",
    INVISIBLE_BYTES: {0xC2, 0xCD, 0xD8, 0xE1, 0xE2, 0xEF, 0xF3},
    LATIN: {0xC2, 0xC3},
    DASH: b"-_",
}
_TABLE = bytes(
    sum(flag for flag, members in _MEMBERS.items() if byte in members)
    for byte in range(256)
)
WORD_LISTS: dict[str, Any] = read_json(Path(__file__).with_name("words.json"))


def any_of(
    patterns: Sequence[str], form: str = "{}", flags: int = re.IGNORECASE
) -> re.Pattern[str]:
    """What any of the patterns matches. form: what is around it."""
    return re.compile(form.replace("{}", f"(?:{'|'.join(patterns)})"), flags)


def pattern(name: str) -> re.Pattern[str]:
    """A pattern of the table, by the kind of fault that it finds."""
    return any_of(WORD_LISTS["patterns"][name], flags=re.NOFLAG)


CODE = pattern("code")
# For a kind of fault, the class of texts with one of its words, in whatever case, and a
# digit or a dash.
WORDED: dict[str, int] = {
    kind: 1024 << number for number, kind in enumerate(WORD_LISTS["needed"])
}
_ASKED = {kind: any_of(patterns) for kind, patterns in WORD_LISTS["asked"].items()}


def asks_for(kind: str, question: str) -> bool:
    """Whether `question` asks for what is a problem of this kind elsewhere."""
    return kind in _ASKED and _ASKED[kind].search(question) is not None


@dataclass(frozen=True)
class TextFault:
    """what: what a text contains, and why that matters: "an email address. A model can
    repeat ...". needs: classes of which a text must have one. pattern: finds candidates.
    replacement: for a match, None if it is no fault. drops: only removing the example
    helps. whole: fixes a text that has the fault as a whole. answers_only: elsewhere it
    is no fault. at_least: examples that have it; in fewer it is no fault.
    """

    kind: str
    what: str
    needs: int
    pattern: re.Pattern[str]
    replacement: Callable[[re.Match[str]], str | None] = lambda match: ""
    drops: bool = False
    whole: Callable[[str], str] | None = None
    answers_only: bool = False
    at_least: int = 1

    def matches(self, text: str) -> Iterator[re.Match[str]]:
        """All faults in `text`."""
        return (
            match
            for match in self.pattern.finditer(text)
            if self.replacement(match) is not None
        )

    def fix(self, text: str) -> str:
        """`text` without this fault. Repeated, because removing one fault can create
        another.
        """
        if self.whole is not None:
            return self.whole(text) if any(self.matches(text)) else text
        while (fixed := self.pattern.sub(self._replace, text)) != text:
            text = fixed
        return text

    def _replace(self, match: re.Match[str]) -> str:
        replacement = self.replacement(match)
        return match.group() if replacement is None else replacement


def classes(texts: Sequence[str]) -> npt.NDArray[np.uint16]:
    """The classes of each text, combined by bitwise or."""
    import numpy as np

    if not texts:
        return np.empty(0, np.uint16)
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    joined = (
        b"\xff".join(encoded) + b"\xff"
    )  # which no text in UTF-8 has, so that no match is in two of them
    flags = np.frombuffer(joined.translate(_TABLE), np.uint8)
    per_text = np.bitwise_or.reduceat(flags, starts).astype(np.uint16)
    for flag, signs in ((WORDS, _WORDS), (NUMBER, _NUMBER)):
        found = [match.start() for match in signs.finditer(joined)]
        per_text[np.searchsorted(starts, found, "right") - 1] |= flag
    small = list(map(str.lower, texts))
    whole = "\n".join(small)
    ends = np.cumsum([len(text) + 1 for text in small]).tolist()
    for kind, words in WORD_LISTS["needed"].items():
        for word in words:
            at = whole.find(word)
            while at >= 0:
                number = bisect(ends, at)
                per_text[number] |= WORDED[kind]
                at = whole.find(word, ends[number])
    per_text[per_text & (DIGIT | DASH) == 0] &= ~np.uint16(sum(WORDED.values()))
    last = np.frombuffer(joined, np.uint8)[starts + lengths - 2]
    per_text[np.isin(last, np.frombuffer(_ENDINGS, np.uint8))] |= ENDING
    return per_text
