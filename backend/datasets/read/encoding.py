"""Detects the encoding of a text and converts its bytes to UTF-8, which every reader
here expects.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.read.source import ByteSource, line_blocks
from backend.errors import BadInput
from backend.files.json_file import read_json
from backend.text.excerpt import excerpt

# Byte order marks; the four-byte ones first, since one starts like a two-byte one.
_MARKS = [
    ("\ufeff".encode(codec), codec)
    for codec in ("utf-32-le", "utf-32-be", "utf-8", "utf-16-le", "utf-16-be")
]
_TABLES = read_json(Path(__file__).with_suffix(".json"))
# What spreadsheets and editors write; more candidates would only add wrong guesses.
_CANDIDATES: list[str] = _TABLES["candidates"]
# The letters beyond ASCII of languages, by the code pages that have them all; the first
# of equally good ones wins.
_ALPHABETS: dict[str, list[str]] = _TABLES["alphabets"]
_IN_ALL = frozenset("„“”‚‘’–—…€«»°§·\u00a0")  # marks of any language
_SURE = 0.9  # of the letters beyond ASCII
_THAI_MARK = re.compile(
    r"([\u0e01-\u0e3a\u0e47-\u0e4e])?[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]"
)  # and its letter
_OF_TWO_BYTES = (
    "euc_kr",
    "big5",
    "euc_jp",
    "gb18030",
)  # their bytes look like Thai letters and marks
_SAMPLE = 64 * 1024  # bytes of lines with non-ASCII letters, for guessing


@dataclass(frozen=True)
class Encoding:
    """name: for display. codec: Python's name. mark: length of the byte order mark.
    guess: "" when certain, else the reason for the guess. damaged: UTF-8 with a few
    invalid bytes, which are problems of their rows.
    """

    name: str
    codec: str = "utf-8"
    mark: int = 0
    guess: str = ""
    damaged: bool = False

    @property
    def settled(self) -> bool:
        """Whether an invalid byte is a fault of its row rather than a sign of another
        encoding.
        """
        return self.damaged or self.codec != "utf-8"


_SIGNS_ONLY = re.compile(
    r"(?:[\x00-\x7f‘’“”–—…•€©®™°\xa0]|£(?=\d))*"
)  # Word's quotes and the like, and prices


class NotUtf8(Exception):
    """The text turned out not to be UTF-8."""


def initial_encoding(head: bytes, chosen: str | None) -> Encoding:
    """The encoding that is chosen or that the start shows, else UTF-8 until that fails.
    Raises BadInput for an unknown one.
    """
    if chosen is not None:
        try:
            codec = codecs.lookup(chosen).name
            "".encode(codec)
        except (LookupError, UnicodeError) as error:
            raise BadInput(
                f"There is no encoding {chosen[:40]!r}.",
                "",
                "Try utf-8, utf-16 or cp1252.",
            ) from error
        codec = {
            "utf-8-sig": "utf-8",
            "utf-16": "utf-16-le",
            "utf-32": "utf-32-le",
        }.get(codec, codec)
        length = next(
            (len(m) for m, c in _MARKS if c == codec and head.startswith(m)), 0
        )
        return Encoding(codec, codec, length, damaged=codec == "utf-8")
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return Encoding(
                "utf-8-sig" if codec == "utf-8" else codec, codec, len(mark)
            )
    pairs = len(head) // 2
    for codec, zeros in (
        ("utf-16-le", head[1::2].count(0)),
        ("utf-16-be", head[0::2].count(0)),
    ):
        if pairs >= 4 and zeros > 0.4 * pairs and head.count(0) < 1.2 * zeros:
            return Encoding(codec, codec, 0, "every second byte is zero, as in UTF-16")
    return Encoding("utf-8")


def detect_encoding(source: ByteSource) -> Encoding:
    """The encoding of a file that is not valid UTF-8: damaged UTF-8, or a guess at
    another encoding. Text is hardly ever valid UTF-8 by accident, so when most lines
    with non-ASCII letters are, the file is UTF-8. Otherwise charset-normalizer guesses
    from the other lines; Windows-1252 wins among about equally good guesses.
    """
    good = bad = 0
    sample = bytearray()
    for lines in line_blocks(source.blocks(), source.limits.line_bytes):
        for line in lines:
            if line is None or line.isascii():
                continue
            try:
                line.decode()
                good += 1
            except UnicodeDecodeError:
                bad += 1
                sample += line[: max(0, _SAMPLE - len(sample))] + b"\n"
        if bad and good + bad > 2_000:
            break
    if good > bad:
        return Encoding("utf-8", damaged=True)
    codec = _guess(bytes(sample))
    words = re.findall(r"\b\w*[^\W\x00-\x7f]\w*", sample.decode(codec, "replace"))
    shown = ", ".join(dict.fromkeys(excerpt(word, width=20) for word in words[:3]))
    such = (
        f", as in “{shown}”" if shown else ""
    )  # a dash or a currency sign is in no word
    return Encoding(
        codec.replace("_", "-"),
        codec,
        guess=f"it is not UTF-8, and this one fits{such}",
    )


def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    if _SIGNS_ONLY.fullmatch(sample.decode("cp1252", "replace")):
        return "cp1252"
    marks = [
        match[1] for match in _THAI_MARK.finditer(sample.decode("cp874", "replace"))
    ]
    thai = sum(map(bool, marks)) >= max(
        10, _SURE * len(marks)
    )  # ten marks are in two or three words
    if thai and all(
        sample.decode(codec, "replace").count("\ufffd") > 1 for codec in _OF_TWO_BYTES
    ):
        return "cp874"
    matches = list(from_bytes(sample, cp_isolation=_CANDIDATES))
    windows = next(
        (
            m
            for m in matches
            if m.encoding == "cp1252" or "cp1252" in m.could_be_from_charset
        ),
        None,
    )
    if not matches:
        return "cp1252"
    best = matches[0]
    close = (
        windows
        and windows.chaos <= best.chaos + 0.02
        and windows.coherence >= best.coherence - 0.1
    )
    best_codec = "cp1252" if close else best.encoding
    if best_codec not in _ALPHABETS:
        return best_codec
    shares = {}  # how many of the letters beyond ASCII belong to one language of the code page
    for codec, alphabets in _ALPHABETS.items():
        text = sample.decode(codec, "replace").lower()
        counts = Counter(c for c in text if not c.isascii() and c not in _IN_ALL)
        shares[codec] = max(
            sum(counts[c] for c in letters) for letters in alphabets
        ) / max(1, counts.total())
    fits = max(shares, key=lambda codec: shares[codec])
    return fits if shares[fits] >= _SURE else best_codec


def utf8_blocks(blocks: Iterable[bytes], encoding: Encoding) -> Iterator[bytes]:
    """`blocks` in UTF-8 without the byte order mark; UTF-8 passes unchanged, invalid
    bytes included. Invalid bytes of another encoding become U+FFFD; lone surrogates
    stay, to be reported with their row.
    """
    skip = encoding.mark
    decoder = None
    if encoding.codec != "utf-8":
        faults = "surrogatepass" if encoding.codec.startswith("utf-") else "replace"
        decoder = codecs.getincrementaldecoder(encoding.codec)(faults)
    for block in blocks:
        if skip:
            block, skip = block[skip:], max(0, skip - len(block))
        yield (
            block
            if decoder is None
            else decoder.decode(block).encode("utf-8", "surrogatepass")
        )
