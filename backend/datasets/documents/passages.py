"""Divides a long text into passages of a size to read at once and to write a question about."""

import re
from collections.abc import Iterator

SIZE = 900  # characters of a passage, at most, wherever its sentences allow it

_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?=\s)|(?<=[。！？])")


def passages(text: str) -> list[str]:
    """The text in passages: whole paragraphs where they are short enough, else whole sentences."""
    finished: list[str] = []
    joined = ""
    for part in _parts(text):
        if joined and len(joined) + len(part) > SIZE:
            finished.append(joined)
            joined = ""
        joined = f"{joined}\n\n{part}" if joined else part
    return [*finished, joined] if joined else finished


def _parts(text: str) -> Iterator[str]:
    for paragraph in filter(None, map(str.strip, _PARAGRAPH.split(text))):
        if len(paragraph) <= SIZE:
            yield paragraph
            continue
        joined = ""
        for sentence in _SENTENCE_END.split(paragraph):
            if joined and len(joined) + len(sentence) > SIZE:
                yield joined.strip()
                joined = ""
            joined += sentence
        yield joined.strip()
