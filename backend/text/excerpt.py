"""Shows a piece of text safely: shortened, on one line, with invisible characters
escaped.
"""

import re

# Line ends, control characters, zero-width and bidirectional marks, tags, line
# separators and lone surrogates.
_INVISIBLE = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e01ef]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """`text` with each invisible character escaped, as in \\u200b."""
    return _INVISIBLE.sub(_escape, text)


def excerpt(text: str, start: int = 0, end: int = 0, width: int = 80) -> str:
    """The piece of a text from `start` to `end`, with about `width` characters around
    it on one line, invisible characters escaped, "…" at cuts; with 0 and 0 the
    beginning of the text.
    """
    room = max(width - (end - start), 0) // 2
    begin = max(0, min(start - room, len(text) - width))
    finish = min(len(text), begin + width)
    return (
        ("…" if begin else "")
        + visible(text[begin:finish])
        + ("…" if finish < len(text) else "")
    )


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    return _NAMED.get(character) or (
        f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
