"""Characters that a person did not mean to write: control characters, invisible ones, letters read wrongly."""

from __future__ import annotations

import re

from backend.datasets.checks.patterns import CONTROL, LATIN, UNSEEN, TextFault


def _nothing(match: re.Match[str]) -> str:
    return ""


# Zero-width joiners are part of emoji and of the scripts below; there they are meant.
_JOINERS = "\u200c\u200d"
_JOINED = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u18af\ufb50-\ufeff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]"
)


def _unseen(match: re.Match[str]) -> str | None:
    if match.group() in _JOINERS:
        before, after = match.string[match.start() - 1 : match.start()], match.string[match.end() : match.end() + 1]
        if _JOINED.match(before) and (_JOINED.match(after) or match.group() == "\u200c"):
            return None
    return ""


# What the bytes 0x80 to 0xBF become when UTF-8 is read as Latin-1 or as Windows-1252.
_WINDOWS = {bytes([b]).decode("cp1252"): b for b in range(0x80, 0xA0) if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_AS_BYTE = {**{chr(b): b for b in range(0x80, 0x100)}, **_WINDOWS}
_AFTER = "".join(sorted(c for c, b in _AS_BYTE.items() if b < 0xC0))
_QUOTES = "‘’“”–—…‹›«»"  # these do stand after a letter in good text
_TAIL = re.escape(_AFTER)
_SURE_TAIL = re.escape("".join(c for c in _AFTER if c not in _QUOTES))
_SEQUENCE = f"(?:[\u00c2-\u00df][{_TAIL}]|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}})"
_MOJIBAKE = re.compile(
    f"{_SEQUENCE}{{2,}}|[ÂÃÄÅ][{_SURE_TAIL}]|â[€‚„†‡ˆ‰™\u0080-\u0089][{_TAIL}]|ð[Ÿ\u009f][{_TAIL}]{{2}}"
)


def _right_letters(match: re.Match[str]) -> str | None:
    """What the match was before UTF-8 was read as another encoding; None when it is no such thing."""
    try:
        read_right = bytes(_AS_BYTE[c] for c in match.group()).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return read_right if read_right.isprintable() or read_right == "\u00a0" else None


NUL = TextFault(
    "nul_character",
    CONTROL,
    re.compile("\x00"),
    _nothing,
    "a NUL character",
    "It has no meaning in text and breaks tools that read the file.",
)
CONTROLS = TextFault(
    "control_characters",
    CONTROL,
    re.compile("[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]"),
    _nothing,
    "a control character",
    "The model would learn to write it too.",
)
INVISIBLE = TextFault(
    "invisible_characters",
    UNSEEN,
    re.compile(
        "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    ),
    _unseen,
    "a character that can't be seen",
    "Zero-width and direction marks make words look alike that are not.",
)
MOJIBAKE = TextFault(
    "mojibake",
    LATIN,
    _MOJIBAKE,
    _right_letters,
    "garbled letters",
    "The text was once read in the wrong encoding, so accented letters turned into two or three others.",
)
CHARACTER_FAULTS = (NUL, MOJIBAKE, CONTROLS, INVISIBLE)
