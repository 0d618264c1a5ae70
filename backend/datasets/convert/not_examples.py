"""Plain texts that were probably not meant as a document to learn: a word, a configuration file, a log."""

from __future__ import annotations

import re

from backend.errors import BadInput

SHORT = 200  # characters; below it a text is no document
_LEAST_LINES = 3
_SHARE = 0.6  # of the lines that are no comments
_LOOKED_AT = 400  # lines

_COMMENT = re.compile(r"\s*(#|;|//|--)")
_LOG = re.compile(
    r"\s*[\[(<]?(\d{4}-\d\d-\d\d|\d\d[/.]\d\d[/.]\d{2,4}|\d\d:\d\d:\d\d|\d+\.\d{3,}\]"
    r"|[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d"
    r"|(\d{1,3}\.){3}\d{1,3} |(DEBUG|INFO|WARN(ING)?|ERROR|FATAL|TRACE)\b)",
)
_SETTING = re.compile(
    r"\s*(\[[^\]]+\]\s*$"  # [section]
    r"|(export +)?[\w.$@/-]+ *[=:]>? *(\S+ ){0,2}\S*\s*$"  # name = value, name: value
    r"|[^\s:]*(:[^:]*){4,}$"  # fields between colons, as in /etc/passwd
    r"|[{}\[\]],?\s*$|</?\w[^>]*>\s*$)"  # brackets alone, a tag alone
)


def must_be_a_document(text: str) -> None:
    """Raises BadInput when a plain text is too short to be one."""
    length = len(text.strip())
    if length < SHORT:
        raise BadInput(
            f"This text is too short to learn from: {length} characters.",
            "A plain text is taken as a document whose way of writing the model learns.",
            f"Bring questions with their answers (as a table or as JSON), or a text of {SHORT} characters and more.",
        )


def likeness(text: str) -> str:
    """What a plain text looks like, if it is hardly a text to learn: "a log" or "a configuration file", else ""."""
    lines = [line for line in text.split("\n", _LOOKED_AT)[:_LOOKED_AT] if line.strip() and not _COMMENT.match(line)]
    if len(lines) >= _LEAST_LINES:
        for pattern, name in ((_LOG, "a log"), (_SETTING, "a configuration file")):
            if sum(bool(pattern.match(line)) for line in lines) >= _SHARE * len(lines):
                return name
    return ""
