"""Finds examples in a text whose parts are labelled, such as "Q:" and "A:", or "User:"
and "Assistant:".

labels.json has the words that people write before a question and its answer, or before
what each speaker says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from backend.datasets.documents.blocks import Block, characters, joined
from backend.files.json_file import read_json
from backend.text.normalize import QUESTION_MARKS

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
_NUMBERED = r"(?<=\d)(?=\s|$)"  # "Question 1 Why", and "Answer" before something that is no letter
_BARE = (_NUMBERED, rf"(?:{_NUMBERED}|(?!\s{{0,9}}[^\W\d_①-➿]))")


@dataclass(frozen=True)
class Family:
    """The labels of one kind of text. turns: the labels are speakers, so a conversation
    can have several turns.
    """

    question: re.Pattern[str]
    answer: re.Pattern[str]
    turns: bool = False


def _pattern(
    names: str, letter_mark: str, word_mark: str = _WORD_MARK
) -> re.Pattern[str]:
    letters = [word for word in names.split("|") if len(word) == 1 and word.isascii()]
    longer = [re.escape(word) for word in names.split("|") if word not in letters]
    words, none = "|".join(longer), "(?!)"
    parts = {
        "letters": "|".join(letters) or none,
        "words": words or none,
        "mark": letter_mark,
        "word_mark": word_mark,
    }
    return re.compile(_LABEL.format(**parts), re.I)


def families(
    letter_mark: str, asked: str = _WORD_MARK, answered: str = _WORD_MARK
) -> list[Family]:
    """Every family. letter_mark: what may follow a label of one letter, as in "Q.";
    asked, answered: a longer one.
    """
    return [
        Family(
            _pattern(question, letter_mark, asked),
            _pattern(answer, letter_mark, answered),
            kind == "turns",
        )
        for kind, words in _WORDS.items()
        for question, answer in words
    ]


SYSTEM = _pattern("system|system prompt", _LETTER_MARK)
CONTEXT = _pattern("input|context|kontext|contexte|contexto", _LETTER_MARK)


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
_SEPARATOR = re.compile(
    r"\s*([#*_][#*_ ]*)?(conversation|dialog(ue)?|chat|example|gespräch)\s*#?\d+[.:*_\s]*$",
    re.I,
)
RULE = re.compile(r"\s*(?:(?:[-=*_#~/–—─━]\s?){3,}|[⸺⸻]\s*)")  # divides, and is no text
_RULED, _RULED_END = (
    re.compile(r"\s*[-=*_~]{3,}\w"),
    re.compile(r"\s*[-=*_~]{3,}$"),
)  # "----Question 5:----"
_SURE, _LEAST = 0.8, 0.5  # shares of the labels that are properly paired
_SAMPLE = 2_000  # blocks, enough to know the labels
_OUTSIDE = 0.4  # share of the text that belongs to no label
_OPTION = re.compile(r"[ \t*_-]{0,8}[B-Db-d]\s*[.)]\s")
_ANOTHER_OPTION = re.compile(r"\s[B-Fb-f][:.)]\s")
_WIDE_MARK = r"[:：.)．）、]"  # also "Q." and "A)"

_SPEAKER = re.compile(
    r"[ \t>*_-]{0,8}(?P<name>[^\s:：*_][^:：\n]{0,30}?)(?:\s#?\d{1,4}[a-z]?)?[\s*_]*[:：][*_]*\s+\S"
)
_FEW, _FEW_BARE = (
    3,
    4,
)  # times that each of two unknown speakers has to speak; labels without a mark, at most
_SENTENCE = re.compile(r"[.!?。！？)\]]\s")


@dataclass
class _Part:
    """A labelled piece: kind is "question", "answer", "system", "context" or "end".
    ruled: marks surround its label.
    """

    kind: str
    blocks: list[Block]
    gap: bool
    ruled: bool = False

    @property
    def text(self) -> str:
        return joined(self.blocks)


def find_labelled(blocks: Sequence[Block]) -> tuple[Records, bool, list[Block]] | None:
    """The examples, whether they are certain, and the text that belongs to none; None
    if no labels alternate.
    """
    # A heading or a line in bold that is the name of a speaker, such as "## User", is
    # read with a colon after it.
    bare = (block.text.strip() if block.level or block.bold else "" for block in blocks)
    named = zip(blocks, bare, strict=True)
    blocks = [
        replace(block, text=f"{name}:") if name.casefold() in _SPEAKERS else block
        for block, name in named
    ]
    options = (
        sum(bool(_OPTION.match(block.text)) for block in blocks) >= 2
    )  # "A." may be a choice, not an answer
    sample = blocks[:_SAMPLE]
    for marks in (
        (_LETTER_MARK,),
        (_LETTER_MARK,) if options else (_WIDE_MARK,),
        (_LETTER_MARK, *_BARE),
    ):
        best, count = None, _FEW_BARE if marks[1:] else 1
        for family in families(*marks):
            lines = [
                (
                    after_label(family.question, b.text),
                    after_label(family.answer, b.text),
                )
                for b in sample
            ]
            questions = sum(q is not None for q, _ in lines)
            answers = sum(
                a is not None or (q is not None and bool(_inline(family, q)))
                for q, a in lines
            )
            if min(questions, answers) > count:
                best, count = family, min(questions, answers)
        if best is not None and not marks[1:]:
            return _examples(best, blocks)
    blocks = (
        [part for block in blocks for part in _parts_at_labels(best, block)]
        if best
        else blocks
    )
    unsure = best or _two_speakers(sample)
    pairs = _examples(unsure, blocks) if unsure else None
    return (pairs[0], False, pairs[2]) if pairs else None


def _two_speakers(blocks: Sequence[Block]) -> Family | None:
    """Two people who speak in turn, or two labels that nobody knows; None for other
    texts.
    """
    labels = [
        match["name"] for block in blocks if (match := _SPEAKER.match(block.text))
    ]
    speaking = [
        name for name in labels if labels.count(name) >= _FEW
    ]  # others may be titles
    names = tuple(dict.fromkeys(speaking))
    in_turn = sum(a != b for a, b in pairwise(speaking))
    if len(names) != 2 or in_turn < _SURE * (len(speaking) - 1):
        return None
    options = sum(
        bool(_ANOTHER_OPTION.search(block.text)) for block in blocks
    )  # "A: Red   B: Blue"
    often = 2 * len(speaking) >= len(blocks) and 2 * options < len(speaking)
    return (
        Family(
            _pattern(names[0], _LETTER_MARK),
            _pattern(names[1], _LETTER_MARK),
            turns=True,
        )
        if often
        else None
    )


def _parts_at_labels(family: Family, block: Block) -> list[Block]:
    """A block divided at labels behind its sentences, as a PDF has them."""
    behind = (match.end() for match in _SENTENCE.finditer(block.text))
    starts = [
        at
        for at in behind
        if family.question.match(block.text, at) or family.answer.match(block.text, at)
    ]
    return [
        replace(block, text=block.text[a:b].strip())
        for a, b in pairwise([0, *starts, len(block.text)])
    ]


def _inline(family: Family, text: str) -> tuple[str, str] | None:
    """A question and its answer on one line, as in "Q: Where? A: Here." """
    for match in re.finditer(r"(?<=[\s.?!])(?=\S)", text):
        answer = after_label(family.answer, text[match.start() :])
        if answer is not None and text[: match.start()].strip():
            return text[: match.start()].strip(), answer
    return None


def _examples(
    family: Family, blocks: Sequence[Block]
) -> tuple[Records, bool, list[Block]] | None:
    outside, parts = _parts(family, blocks)
    talk = [part.kind for part in parts if part.kind in ("question", "answer")]
    share = (
        2
        * sum(a == "question" and b == "answer" for a, b in pairwise(talk))
        / len(talk)
    )
    if share < _LEAST:
        return None
    sure = share >= _SURE and characters(outside) <= _OUTSIDE * characters(blocks)
    if family.turns:
        return *_conversations(parts, sure), outside
    records = _single(parts)
    return (
        records,
        sure and sum(not record["question"] for _, record in records) < 2,
        outside,
    )


def _parts(family: Family, blocks: Sequence[Block]) -> tuple[list[Block], list[_Part]]:
    """The blocks that belong to no label, and the labelled pieces."""
    parts: list[_Part] = []
    outside: list[Block] = []
    labels = [
        label[0] for block in blocks[:_SAMPLE] if (label := _labelled(family, block))
    ]
    ruled = sum(label.ruled for label in labels) >= _SURE * len(
        labels
    )  # then another one is inside a text
    # Headings are inside the messages of a chat whose labels have lines of their own.
    headed = any(
        label.kind == "question" and not label.blocks[0].text for label in labels
    )
    for block in blocks:
        if RULE.fullmatch(block.text) or _SEPARATOR.match(block.text):
            parts.append(_Part("end", [], True))
            continue
        if (label := _labelled(family, block)) and label[0].ruled >= ruled:
            parts += label
        elif block.level and parts and _goes_on(parts[-1], block):
            parts[-1].blocks.append(
                replace(block, gap=False)
            )  # the question's next line
        elif (
            block.level
            and not headed
            and not (parts and parts[-1].kind == "answer" and block.level > 3)
        ):
            parts.append(_Part("end", [], True))
            outside.append(block)
        elif parts and parts[-1].kind != "end":
            parts[-1].blocks.append(block)
        else:
            outside.append(block)
    if any(
        a.kind == "question" and b.kind == "end" for a, b in pairwise(parts)
    ):  # rules between all messages
        parts = [part for part in parts if part.kind != "end"]
    return outside, parts


def _goes_on(part: _Part, block: Block) -> bool:
    """Whether a heading is the next line of a question that is one, too."""
    alike = part.kind == "question" and part.blocks[0].level == block.level
    return alike and not part.blocks[-1].text.endswith(QUESTION_MARKS)


def _labelled(family: Family, block: Block) -> list[_Part]:
    kinds = (
        ("question", family.question),
        ("answer", family.answer),
        ("system", SYSTEM),
        ("context", CONTEXT),
    )
    for kind, pattern in kinds:
        rest = after_label(pattern, block.text)
        if rest is None:
            continue
        if kind == "question" and (inline := _inline(family, rest)):
            question, answer = (replace(block, text=text) for text in inline)
            return [
                _Part("question", [question], block.gap),
                _Part("answer", [answer], False),
            ]
        ruled = bool(_RULED.match(block.text) and _RULED_END.search(block.text))
        if ruled:
            rest = (
                _RULED_END.sub("", rest) if any(map(str.isalpha, rest)) else ""
            )  # without the number of a question
        return [_Part(kind, [replace(block, text=rest)], block.gap, ruled)]
    return []


def _single(parts: Sequence[_Part]) -> Records:
    """One example for each question and the answer after it; one without its other half
    stays, to be reported.
    """
    records: Records = []
    context: str = ""
    waiting: _Part | None = None
    for part in [*parts, _Part("question", [], True)]:
        if part.kind == "context":
            context = part.text
        elif part.kind == "question":
            if waiting:
                records.append(
                    (waiting.blocks[0].line, _record(waiting.text, "", context))
                )
            waiting = part
        elif part.kind == "answer":
            question = waiting.text if waiting else ""
            records.append(
                (
                    (waiting or part).blocks[0].line,
                    _record(question, part.text, context),
                )
            )
            waiting, context = None, ""
    return records


def _record(question: str, answer: str, context: str) -> dict[str, Any]:
    record = {"question": question, "answer": answer}
    return {**record, "context": context} if context else record


def _conversations(parts: Sequence[_Part], sure: bool) -> tuple[Records, bool]:
    """Conversations that a line such as --- or a system label divides, else pairs where
    a gap precedes each.
    """
    talk = [part for part in parts if part.kind in ("question", "answer")]
    divided = (
        any(part.kind == "end" for part in parts[1:-1])
        or sum(part.kind == "system" for part in parts) > 1
    )
    alone = all(
        not part.blocks[0].text for part in talk
    )  # labels on lines of their own, as a saved chat has them
    spaced = all(part.gap == (part.kind == "question") for part in talk[1:])
    records: Records = []
    messages: list[dict[str, str]] = []
    line = 0
    for part in [*parts, _Part("end", [], True)]:
        begins = part.kind in ("end", "system") or (
            part.kind == "question" and not divided and not alone
        )
        if begins and any(message["role"] == "assistant" for message in messages):
            records.append((line, {"messages": messages}))
            messages = []
        elif part.kind == "end":
            messages = []
        if part.kind in ("question", "answer", "system"):
            line = line if messages else part.blocks[0].line
            role = {"question": "user", "answer": "assistant"}.get(part.kind, "system")
            messages.append({"role": role, "content": part.text})
    return records, sure and (divided or spaced or alone or len(talk) == 2)
