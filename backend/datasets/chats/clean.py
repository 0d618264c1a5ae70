"""Takes the markup out of a message's text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser

_LINE = {"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre"}
_SILENT = {"script", "style", "head", "title"}
_TAG = re.compile(r"<(/?[a-z][a-z0-9]*)\b[^>]*>", re.IGNORECASE)
_MANY_LINES = re.compile(r"\n{3,}")
_SLACK = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        if tag in _LINE:
            self.pieces.append("- " if tag == "li" else "\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT and self._silent > 0
        if tag in _LINE:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))


def html(text: str) -> str:
    """The text of HTML; a text without tags stays as it is."""
    if not _TAG.search(text):
        return unescape(text) if "&" in text else text
    parser = _Text()
    parser.feed(text)
    parser.close()
    lines = "\n".join(line.strip() for line in "".join(parser.pieces).split("\n"))
    return _MANY_LINES.sub("\n\n", lines).strip()


def slack(text: str, names: Mapping[str, str]) -> str:
    """The text of a Slack message: links, mentions and escaped signs as one reads them. names: people by their id."""

    def shown(found: re.Match[str]) -> str:
        sign, target, label = found.groups()
        if sign == "@":
            return "@" + (label or names.get(target, "someone"))
        if sign == "#":
            return "#" + (label or "channel")
        return (label or "@" + target.partition("^")[0]) if sign else (label or target)

    return unescape(_SLACK.sub(shown, text))
