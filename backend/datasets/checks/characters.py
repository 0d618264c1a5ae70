"""Unintended characters: control characters, invisible ones, and letters from a wrong encoding."""

import re

from backend.datasets.checks.patterns import CONTROL, INVISIBLE_BYTES, LATIN, TextFault, pattern

# Zero-width joiners belong in emoji and in the scripts below.
_JOINERS = "\u200c\u200d"
_JOINED = pattern("joined")


def _invisible(match: re.Match[str]) -> str | None:
    if match.group() in _JOINERS:
        before, after = match.string[match.start() - 1 : match.start()], match.string[match.end() : match.end() + 1]
        if _JOINED.match(before) and (_JOINED.match(after) or match.group() == "\u200c"):
            return None
    return ""


# The bytes 0x80 to 0xBF as they look when UTF-8 is read as Latin-1 or as Windows-1252.
_WINDOWS = {bytes([b]).decode("cp1252"): b for b in range(0x80, 0xA0) if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_AS_BYTE = {**{chr(b): b for b in range(0x80, 0x100)}, **_WINDOWS}
_AFTER = "".join(sorted(c for c, b in _AS_BYTE.items() if b < 0xC0))
_QUOTES = "‘’“”–—…‹›«»"  # these also follow a letter in correct text
_TAIL = re.escape(_AFTER)
_SURE_TAIL = re.escape("".join(c for c in _AFTER if c not in _QUOTES))
_SEQUENCE = f"(?:[\u00c2-\u00df][{_TAIL}]|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}})"
_MOJIBAKE = re.compile(
    f"{_SEQUENCE}{{2,}}|[ÂÃÄÅ][{_SURE_TAIL}]|â[€‚„†‡ˆ‰™\u0080-\u0089][{_TAIL}]|ð[Ÿ\u009f][{_TAIL}]{{2}}"
)


def _correct_letters(match: re.Match[str]) -> str | None:
    """The match as it was before UTF-8 was read in another encoding; None when that is not what happened."""
    try:
        correct = bytes(_AS_BYTE[c] for c in match.group()).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return correct if correct.isprintable() or correct == "\u00a0" else None


NUL = TextFault("nul_character", CONTROL, re.compile("\x00"))
CONTROLS = TextFault("control_characters", CONTROL, pattern("control_characters"))
INVISIBLE = TextFault("invisible_characters", INVISIBLE_BYTES, pattern("invisible_characters"), _invisible)
LOST = TextFault("lost_characters", INVISIBLE_BYTES, re.compile("\ufffd"), drops=True)
MOJIBAKE = TextFault("mojibake", LATIN, _MOJIBAKE, _correct_letters)
CHARACTER_FAULTS = (NUL, MOJIBAKE, LOST, CONTROLS, INVISIBLE)
