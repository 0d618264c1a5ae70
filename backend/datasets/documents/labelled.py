"""Finds examples in a text whose parts are labelled, such as "Q:" and "A:", or "User:"
and "Assistant:".

labels.json has the words that people write before a question and its answer, or before
what each speaker says.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.datasets.documents.blocks import Block, joined
from backend.files.json_file import read_json

# "pairs" and "turns" (speakers): each a question and an answer, with the other
# spellings after a bar.
_WORDS: dict[str, list[tuple[str, str]]] = read_json(
    Path(__file__).with_name("labels.json")
)
_SPEAKERS = {
    name for words in _WORDS["turns"] for part in words for name in part.split("|")
}
_LABEL = (
    r"[ \t>#*_•-]{{0,8}}?(?:\d{{1,4}}(?:[.)]\s{{1,9}}|[．）、]\s{{0,9}}))?(?P<open>\*\*|__)?\s{{0,9}}"
    r"(?:(?P<letter>{letters})|(?P<box>[\[【〔])?(?:{words}))(?:\.(?=[^:：]{{1,9}}[:：](?:[\s*_]|$)))?"  # "Q. 1: Why"
    r"(?:\s{{0,9}}\#?\d{{1,4}}[a-z]?)?\s{{0,9}}(?P<close>\*\*|__)?"
    r"\s{{0,9}}(?(letter){mark}|(?(box)[\]】〕]|{word_mark}))(?P<after>\*\*|__)?[ \t]*"
)
_LETTER_MARK, _WORD_MARK = r"[:：]", r"(?:[:：．]|\s[-–—](?=\s))"


@dataclass(frozen=True)
class Family:
    """The labels of one kind of text. turns: the labels are speakers, so a conversation
    can have several turns.
    """

    question: re.Pattern[str]
    answer: re.Pattern[str]
    turns: bool = False


def _pattern(names: str, letter_mark: str) -> re.Pattern[str]:
    letters = [word for word in names.split("|") if len(word) == 1 and word.isascii()]
    longer = [re.escape(word) for word in names.split("|") if word not in letters]
    parts = {
        "letters": "|".join(letters) or "(?!)",
        "words": "|".join(longer) or "(?!)",
        "mark": letter_mark,
        "word_mark": _WORD_MARK,
    }
    return re.compile(_LABEL.format(**parts), re.I)


def families(letter_mark: str) -> list[Family]:
    """Every family. letter_mark: what may follow a label of one letter, as in "Q."."""
    return [
        Family(
            _pattern(question, letter_mark),
            _pattern(answer, letter_mark),
            kind == "turns",
        )
        for kind, words in _WORDS.items()
        for question, answer in words
    ]


_SYSTEM = _pattern("system|system prompt", _LETTER_MARK)


def after_label(pattern: re.Pattern[str], text: str) -> str | None:
    """The rest of `text` after the label at its start; None without one."""
    match = pattern.match(text)
    if match is None:
        return None
    rest = text[match.end() :].strip()
    if (
        match["open"]
        and not (match["close"] or match["after"])
        and rest.endswith(match["open"])
    ):
        rest = rest.removesuffix(match["open"]).rstrip()  # the whole line is bold
    return rest


Records = list[tuple[int, dict[str, Any]]]
RULE = re.compile(r"\s*(?:(?:[-=*_#~/–—─━]\s?){3,}|[⸺⸻]\s*)")  # divides, and is no text
_SAMPLE = 2_000  # blocks, enough to know the labels
_WIDE_MARK = r"[:：.)．）、]"  # also "Q." and "A)"
_SPEAKER = re.compile(
    r"[ \t>*_-]{0,8}(?P<name>[^\s:：*_][^:：\n]{0,30}?)(?:\s#?\d{1,4}[a-z]?)?[\s*_]*[:：][*_]*\s+\S"
)
_TALK = ("question", "answer")
_ROLES = {"question": "user", "answer": "assistant", "system": "system"}
_FEW = 3  # times that each of two unknown speakers has to speak


@dataclass
class _Part:
    """A labelled piece: kind is "question", "answer", "system" or "end"."""

    kind: str
    blocks: list[Block]
    gap: bool

    @property
    def text(self) -> str:
        return joined(self.blocks)


def find_labelled(blocks: Sequence[Block]) -> tuple[Records, list[Block], bool] | None:
    """The examples, the text that belongs to none, and whether known words label them;
    None if no labels alternate.
    """
    # A heading or a line in bold that is the name of a speaker, such as "## User", is
    # read with a colon after it.
    blocks = [
        replace(own, text=f"{own.text}:")
        if (own.level or own.bold) and own.text.casefold() in _SPEAKERS
        else own
        for own in blocks
    ]
    for mark in (_LETTER_MARK, _WIDE_MARK):
        found = [(_times(own, blocks[:_SAMPLE]), own) for own in families(mark)]
        times, best = max(found, key=lambda pair: pair[0])
        if times > 1:
            return _examples(best, blocks, True)
    speakers = _two_speakers(blocks[:_SAMPLE])
    return _examples(speakers, blocks, False) if speakers else None


def _times(family: Family, blocks: Sequence[Block]) -> int:
    """How often both of its labels are in a text."""
    kinds = [part.kind for block in blocks for part in _labelled(family, block)]
    return min(kinds.count("question"), kinds.count("answer"))


def _two_speakers(blocks: Sequence[Block]) -> Family | None:
    """Two people who speak in turn, or two labels that nobody knows; None for other
    texts.
    """
    labels = [own["name"] for block in blocks if (own := _SPEAKER.match(block.text))]
    times = Counter(labels).most_common(3)
    names = [name for name, count in times if count >= _FEW]
    if len(names) != 2 or 2 * sum(map(labels.count, names)) < len(blocks):
        return None
    first, second = sorted(names, key=labels.index)
    return Family(_pattern(first, _LETTER_MARK), _pattern(second, _LETTER_MARK), True)


def _inline(family: Family, text: str) -> tuple[str, str] | None:
    """A question and its answer on one line, as in "Q: Where? A: Here." """
    for match in re.finditer(r"(?<=[\s.?!])(?=\S)", text):
        answer = after_label(family.answer, text[match.start() :])
        if answer is not None and text[: match.start()].strip():
            return text[: match.start()].strip(), answer
    return None


def _examples(
    family: Family, blocks: Sequence[Block], known: bool
) -> tuple[Records, list[Block], bool]:
    outside, parts = _parts(family, blocks)
    answers = (part for part in parts if part.kind == "answer")
    inside = (own for part in answers for own in part.blocks[1:])
    records, divided = _records(parts, family.turns)
    return records, outside, known and divided and not any(own.level for own in inside)


def _parts(family: Family, blocks: Sequence[Block]) -> tuple[list[Block], list[_Part]]:
    """The blocks that belong to no label, and the labelled pieces. Headings and rules
    right above a label end the answer before.
    """
    parts: list[_Part] = []
    outside: list[Block] = []
    labels = [_labelled(family, block) for block in blocks]
    rules = [RULE.fullmatch(block.text) for block in blocks]
    ends = list[bool]()  # whether a label is below a block, or nothing but headings is
    for at in reversed(range(len(blocks))):
        parting = bool(blocks[at].level or rules[at])
        ends.append(bool(labels[at]) or (parting and all(ends[-1:])))
    for block, label, rule in zip(blocks, labels, rules, strict=True):
        kind, end = parts[-1].kind if parts else "end", ends.pop()
        if end and kind == "answer" and not label:
            parts.append(_Part("end", [], True))
            kind = "end"
        if label:
            parts += label
        elif kind == "end":
            outside += [] if rule else [block]
        elif not (rule and end):
            parts[-1].blocks.append(block)
    return outside, parts


def _labelled(family: Family, block: Block) -> list[_Part]:
    patterns = (family.question, family.answer, *[_SYSTEM] * family.turns)
    for kind, pattern in zip(_ROLES, patterns, strict=False):
        rest = after_label(pattern, block.text)
        if rest is None:
            continue
        if kind == "question" and (inline := _inline(family, rest)):
            question, answer = (replace(block, text=text) for text in inline)
            return [
                _Part("question", [question], block.gap),
                _Part("answer", [answer], False),
            ]
        return [_Part(kind, [replace(block, text=rest)], block.gap)]
    return []


def _records(parts: Sequence[_Part], turns: bool) -> tuple[Records, bool]:
    """One example for each question, or for each conversation that a line such as ---
    or a system label divides; and whether the text says where one begins. What lacks
    its other half stays, to be reported.
    """
    talk = [part for part in parts if part.kind in _TALK]
    divided = (
        any(part.kind == "end" for part in parts[1:-1])
        or sum(part.kind == "system" for part in parts) > 1
        or all(not part.blocks[0].text for part in talk)
    )  # labels on lines of their own, as a saved chat has them
    spaced = all(part.gap == (part.kind == "question") for part in talk[1:])
    whole = turns and divided
    records: Records = []
    said: list[_Part] = []
    for part in [*parts, _Part("end", [], True)]:
        kinds = [own.kind for own in said]
        again = part.kind == "question" or (not turns and "answer" in kinds)
        begins = part.kind not in _TALK or (again and not whole)
        if begins and not {*kinds}.isdisjoint(_TALK):
            messages = [{"role": _ROLES[own.kind], "content": own.text} for own in said]
            pair = dict.fromkeys(_TALK, "") | {own.kind: own.text for own in said}
            record = {"messages": messages} if turns else pair
            records.append((said[0].blocks[0].line, record))
            said = []
        said += [part] if part.kind != "end" else []
    return records, not turns or divided or spaced
