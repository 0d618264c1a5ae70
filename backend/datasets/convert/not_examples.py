"""Recognizes plain texts that are probably not meant for training: a few words, settings, a log, a copied chat."""

from __future__ import annotations

import re

from backend.errors import BadInput

MIN_LENGTH = 200  # characters
_MIN_LINES = 3
_MIN_SHARE = 0.6  # of the lines that are not comments
_MAX_LINES = 400

_COMMENT = re.compile(r"\s*(#|;|//|--)")
_LOG = re.compile(
    r"\s*[\[(<]?(\d{4}-\d\d-\d\d|\d\d[/.]\d\d[/.]\d{2,4}|\d\d:\d\d:\d\d|\d+\.\d{3,}\]"
    r"|[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d"
    r"|(\d{1,3}\.){3}\d{1,3} |(DEBUG|INFO|WARN(ING)?|ERROR|FATAL|TRACE)\b)",
)
_CHAT = re.compile(r"\s*\[[^\]\n]{0,40}\d{1,2}:\d\d[^\]\n]{0,12}\]")  # [03/01/2026 10:00 AM] ann
_SETTING = re.compile(
    r"\s*(\[[^\]]+\]\s*$"  # [section]
    r"|(export +)?[\w.$@/-]+ *[=:]>? *(\S+ ){0,2}\S*\s*$"  # name = value, name: value
    r"|[^\s:]*(:[^:]*){4,}$"  # fields between colons, as in /etc/passwd
    r"|[{}\[\]],?\s*$|</?\w[^>]*>\s*$)"  # only brackets, only a tag
)

_KINDS = (
    (_CHAT, "a copied chat", 0.25),  # a line for the name and time, and then what is said
    (_LOG, "a log", _MIN_SHARE),
    (_SETTING, "a configuration file", _MIN_SHARE),
)


def require_document(text: str) -> None:
    """Raises BadInput when a plain text is too short to be a document."""
    length = len(text.strip())
    if length < MIN_LENGTH:
        raise BadInput(
            f"This text is too short to learn from: {length} characters.",
            "Plain text is used as a document, from which the model learns how to write.",
            f"Add questions with answers (as a table or as JSON), or a text of at least {MIN_LENGTH} characters.",
        )


def looks_like(text: str) -> str:
    """The kind of text that this looks like: "a log", "a configuration file", "a copied chat", or "" for prose."""
    lines = [line for line in text.split("\n", _MAX_LINES)[:_MAX_LINES] if line.strip() and not _COMMENT.match(line)]
    if len(lines) >= _MIN_LINES:
        for pattern, name, share in _KINDS:
            if sum(bool(pattern.match(line)) for line in lines) >= share * len(lines):
                return name
    return ""
