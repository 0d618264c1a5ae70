"""Takes the markup out of a message's text."""

import re
from collections.abc import Mapping
from html import unescape

from backend.datasets.documents.markup import read_html

_TAG = re.compile(
    r"</?[a-z][a-z0-9]{0,30}\b[^<>]*>", re.IGNORECASE
)  # [^<>]: no sign is passed over twice
_SLACK = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


def has_tags(text: str) -> bool:
    """Whether a text is HTML."""
    return _TAG.search(text) is not None


def html(text: str) -> str:
    """The text of HTML; a text without tags stays as it is."""
    if has_tags(text):
        return read_html(text).text
    return unescape(text) if "&" in text else text


def meta(text: str) -> str:
    """A text of Facebook's or Instagram's export, which writes each byte of UTF-8 as a
    separate character.
    """
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def slack(text: str, names: Mapping[str, str]) -> str:
    """The text of a Slack message: links, mentions and escapes as a reader sees them.
    names: people by their id.
    """

    def shown(match: re.Match[str]) -> str:
        sign, target, label = match.groups()
        if sign == "@":
            return "@" + (label or names.get(target, "someone"))
        if sign == "#":
            return "#" + (label or "channel")
        return (label or "@" + target.partition("^")[0]) if sign else (label or target)

    return unescape(_SLACK.sub(shown, text))
