"""The words that people write before a question and its answer, or before what each speaker says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from backend.files.json_file import read_json

# "pairs" and "turns" (speakers): each a question and an answer, with the other spellings after a bar.
_WORDS: dict[str, list[tuple[str, str]]] = read_json(Path(__file__).with_suffix(".json"))
_LABEL = (
    r"[ \t>#*_•-]{{0,8}}?(?:\d{{1,4}}[.)]\s+)?(?P<open>\*\*|__)?\s*(?:{words})(?:\s*\#?\d{{1,4}})?\s*"
    r"(?P<close>\*\*|__)?\s*{mark}(?P<after>\*\*|__)?[ \t]*"
)
_LETTER_MARK = r"[:：]"


@dataclass(frozen=True)
class Family:
    """The labels of one kind of text. turns: the labels are speakers, so a conversation can have several turns."""

    question: re.Pattern[str]
    answer: re.Pattern[str]
    turns: bool = False


def _pattern(names: str, letter_mark: str) -> re.Pattern[str]:
    letters = [word for word in names.split("|") if len(word) == 1 and word.isascii()]
    longer = [word for word in names.split("|") if word not in letters]
    parts = []
    if longer:
        parts.append(_LABEL.format(words="|".join(map(re.escape, longer)), mark=r"(?:[:：．]|\s[-–—](?=\s))"))
    if letters:
        groups = _LABEL.format(words="|".join(letters), mark=letter_mark)
        parts.append(re.sub(r"\?P<(\w+)>", r"?P<\g<1>_letter>", groups))
    return re.compile(rf"(?:{'|'.join(parts)})", re.IGNORECASE)


def families(letter_mark: str = _LETTER_MARK) -> list[Family]:
    """Every family. letter_mark: the pattern of what may follow a label of one letter, as in "Q." or "A)"."""
    return [
        Family(_pattern(question, letter_mark), _pattern(answer, letter_mark), kind == "turns")
        for kind, words in _WORDS.items()
        for question, answer in words
    ]


def speakers(question: str, answer: str) -> Family:
    """The family of a conversation between two people of these names."""
    first, second = (
        re.compile(rf"[ \t>*_-]{{0,8}}{re.escape(name)}\s*[:：][*_]*[ \t]*") for name in (question, answer)
    )
    return Family(first, second, turns=True)


SYSTEM = _pattern("system|system prompt", _LETTER_MARK)
CONTEXT = _pattern("context|kontext|contexte|contexto", _LETTER_MARK)


def after_label(pattern: re.Pattern[str], text: str) -> str | None:
    """The rest of `text` after the label at its start; None without one."""
    match = pattern.match(text)
    if match is None:
        return None
    groups = {name.removesuffix("_letter"): value for name, value in match.groupdict().items() if value}
    rest = text[match.end() :].strip()
    if "open" in groups and not {"close", "after"} & set(groups) and rest.endswith(groups["open"]):
        rest = rest.removesuffix(groups["open"]).rstrip()  # the whole line is bold
    return rest
