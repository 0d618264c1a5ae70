"""Finds questions with their answers in a text, by what marks a question.

MARKS is the table of marks. Each finds pairs on its own; `propose` ranks them by one
score, and a person sees the result and can choose another mark.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from backend.datasets.documents.blocks import Block, characters, joined
from backend.datasets.documents.labelled import RULE, Records, find_labelled

# The Greek question mark looks like a semicolon, and often is one. A web page shows a
# sign behind the mark, with which the answer unfolds.
_ASKED = re.compile(
    r"[^\n]{0,299}[?？؟⁇](?P<unfolds>\s?[+＋−▾▼⌄×:：])?"
    r"|(?=[^\n]*[\u0370-\u03ff])[^\n]{0,299}[;\u037e]"
)
_NUMBER = re.compile(
    r"\A\s*[(（]?(\d{1,6})(?:[-–](\d{1,6}))?"  # 2. 2-3. (2) ２、
    r"(?:[.):](?=\s)|[.)](?=[^\W\da-z_])|[．：](?!\d)|[）、])\s*"
)
_ITEM = re.compile(
    r"(?P<indent>\s*)(?P<sign><[^\W\d_]\w{0,19}>(?=\s*\S)"  # <question>
    r"|[^\w\s¿¡\"'“„«‘(\[{$€£¥@#/\\&.,+<]{1,4}(?=\s))\s*"  # - • ❓
)
_QUOTE = re.compile(r"\s*>[ \t]?")
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3})(.+)\1")
_ENDS = (*".!?:;,…。！？؟।", '"', "”", "»", ")", "]")
_TICKED = re.compile(r"^\s*(?:[-*]\s+)?(?:\[[xX✓]\]|[xX✓✔☑])\s+(\S.*)")
_KEY = re.compile(r"\W*[^\W\d_][^:=\n]{0,30}[:=]\s*([A-Fa-f])\W*")
_LONGEST_TITLE = 40  # characters
_ON_ONE_LINE = re.compile(
    r"\s*([^\n?？؟]{4,300}[?？؟]|[^\n?？؟]{2,100}?(?=\s*[|=→]|\s[–—:-]\s))"
    r"\s*([|:;,=→–—-]?)\s*([^\s|:;,=→–—-][^\n|]*)"
)
_OF_ALL = 0.8  # share of the lines that are a question with its answer
_PAGED = re.compile(r"[\s|.·․…‥⋯]+\d+[\s|]*$")  # a number after dots or a space
_LISTED, _LONGEST_LIST = 3, 1_000  # lines of a table of contents
_NAME = 8  # letters of one
_SAMPLE = 5_000  # blocks, enough to know the mark
_MOST = 3  # ways to read a text in pairs that are proposed
LEAST, TEXT = 0.25, 0.45  # scores: of a proposal; of a text to learn as it is
_MOSTLY = 0.6  # share of the text that has labels, where they are certain
_OFTEN = 4  # a paragraph in four asks where questions and answers take turns


@dataclass(frozen=True)
class Pairs:
    """Examples in a text. mark: a key of MARKS. records: (line, fields). outside: what
    belongs to none. score: how well the mark fits, from 0 to 1. certain: labels say
    throughout what is a question and what an answer.
    """

    mark: str
    records: Records
    outside: Sequence[Block]
    score: float
    certain: bool = False


@dataclass(frozen=True)
class Mark:
    """What a question of a text is recognized by. title: in words. alone, asking: how
    likely it is a question, from 0 to 1: where none of what has the mark asks, and where
    all does. heads: the numbers of the blocks that have it, one list for each form of
    the mark, such as the level of a heading.
    """

    title: str
    alone: float
    asking: float
    heads: Callable[[Sequence[Block]], Iterable[Sequence[int]]]


def asks(text: str) -> bool:
    """Whether a text is one question."""
    return _ASKED.fullmatch(text.rstrip(" \t*_")) is not None


def _alike(
    key: Callable[[Block], Hashable],
) -> Callable[[Sequence[Block]], Iterable[Sequence[int]]]:
    """The blocks that have the same key; those without one are in no list."""

    def heads(blocks: Sequence[Block]) -> Iterable[Sequence[int]]:
        groups = defaultdict[Hashable, list[int]](list)
        for at, block in enumerate(blocks):
            if own := key(block):
                groups[own].append(at)
        return groups.values()

    return heads


def _numbered(blocks: Sequence[Block]) -> Iterable[Sequence[int]]:
    """The blocks whose numbers count on; a list in an answer begins at 1 again."""
    heads, last = list[int](), 0
    for at, block in enumerate(blocks):
        number = _NUMBER.match(block.text)
        if number and int(number[1]) == last + 1:
            heads.append(at)
            last = int(number[2] or number[1])
    return [heads]


def _opening(blocks: Sequence[Block]) -> Iterable[Sequence[int]]:
    """The first lines of paragraphs of several lines."""
    follows = [not block.gap for block in blocks[1:]]
    return [[at for at, more in enumerate(follows) if more and blocks[at].gap]]


def _item(block: Block) -> Hashable:
    item = _ITEM.match(block.text)
    return item and (item["sign"], item["indent"])


LABEL = "label"
MARKS: dict[str, Mark] = {
    LABEL: Mark("what follows a label", 1, 1, lambda blocks: ()),
    "heading": Mark("a heading", 0.4, 1, _alike(lambda block: block.level)),
    "bold": Mark(
        "a line in bold",
        0.4,
        1,
        _alike(lambda block: block.bold and not block.level),
    ),
    "number": Mark("a line with a number", 0.4, 1, _numbered),
    "item": Mark("an item of a list", 0.4, 1, _alike(_item)),
    "class": Mark("an element of one class", 0.4, 1, _alike(lambda block: block.style)),
    "sign": Mark("what stands before a sign", 0.4, 1, lambda blocks: ()),
    "question_mark": Mark(
        "a line that asks", 0, 0.8, _alike(lambda block: asks(block.text))
    ),
    "blank_line": Mark("the first line of a paragraph", 0.2, 0.8, _opening),
}


def propose(blocks: Sequence[Block], least: float = LEAST) -> list[Pairs]:
    """The likely ways to read a text in pairs, best first, at most three; only the first
    one where it is certain.

    least: the score that each has at least
    """
    found = (find(mark, blocks[:_SAMPLE]) for mark in MARKS)
    likely = sorted(
        (pairs for pairs in found if pairs and (pairs.certain or pairs.score > least)),
        key=lambda pairs: (pairs.certain, pairs.score),
        reverse=True,
    )[:_MOST]
    if len(blocks) > _SAMPLE:
        likely = [find(pairs.mark, blocks) or pairs for pairs in likely]
    return likely[:1] if likely and likely[0].certain else likely


def find(mark: str, blocks: Sequence[Block]) -> Pairs | None:
    """The questions that have this mark, with their answers; None where fewer than two
    have one. mark: a key of MARKS.
    """
    listed = _contents(blocks)
    left = [*blocks[: listed.start], *blocks[listed.stop :]]
    forms = MARKS[mark].heads(left)
    if mark == LABEL:
        found = _labelled(left)
    else:
        if mark == "sign":
            left, forms = _divided(left)
        each = (_pairs(mark, left, heads) for heads in forms if len(heads) > 1)
        found = max(each, key=lambda pairs: pairs.score, default=None)
    outside = [*found.outside, *blocks[listed.start : listed.stop]] if found else []
    return found and replace(found, outside=outside)


def _contents(blocks: Sequence[Block]) -> range:
    """Where a table of contents stands: lines that come again below, and ask or have
    the number of a page.
    """
    first = blocks[:_LONGEST_LIST]
    names = [re.sub(r"[\W\d_]", "", block.text) for block in first]
    start = 0
    for at, block in enumerate(first):
        text = _PAGED.sub("", block.text)
        listing = not block.rows and (text != block.text or asks(text))
        if (
            listing
            and len(names[at]) >= _NAME
            and names[at] in "".join(names[at + 1 :])
        ):
            continue
        if at - start >= _LISTED:
            return range(start, at)
        start = at + 1
    return range(0)


def _labelled(blocks: Sequence[Block]) -> Pairs | None:
    if (labelled := find_labelled(blocks)) is None:
        return None
    records, outside, explicit = labelled
    texts = [_texts(record) for _, record in records]
    inside = any(
        asks(line) for own in texts for line in own[-1].split("\n")[1:]
    )  # questions without a label
    certain = (
        explicit
        and not inside
        and all(map(all, texts))
        and characters(outside) < (1 - _MOSTLY) * characters(blocks)
    )
    return Pairs(LABEL, records, outside, _score(records, outside, blocks), certain)


def _divided(blocks: Sequence[Block]) -> tuple[list[Block], Sequence[Sequence[int]]]:
    """Each line as a question and its answer, and where the questions are; none where
    few lines are both.
    """
    parts, heads = list[Block](), list[int]()
    for block in blocks:
        if match := _ON_ONE_LINE.fullmatch(block.text):
            heads.append(len(parts))
            parts.append(replace(block, text=match[1]))
            parts.append(replace(block, text=match[3], gap=False))
        else:
            parts.append(block)
    return parts, [heads] if len(heads) >= _OF_ALL * len(blocks) else []


def _pairs(mark: str, blocks: Sequence[Block], heads: Sequence[int]) -> Pairs:
    """The pairs that begin at `heads`. An answer ends at the next of them, at a heading
    as high, at a rule and at an item that is indented less.
    """
    first, starts = blocks[heads[0]], {*heads}
    ends = [
        at
        for at, block in enumerate(blocks)
        if at in starts
        or 0 < block.level <= (first.level or 6)
        or RULE.fullmatch(block.text)
        or (mark == "item" and _indent(block) < _indent(first))
    ]
    spans, asked = list[tuple[list[Block], list[Block]]](), list[Block]()
    for at, end in pairwise([*ends, len(blocks)]):
        if at not in starts:
            continue
        asked.append(blocks[at])
        answer = [*blocks[at + 1 : end]]
        goes_on = mark == "question_mark" and end in starts and not blocks[end].gap
        if answer or not goes_on:  # else the next line belongs to the question
            if end < len(blocks) and answer[1:] and _is_title(*answer[-2:]):
                answer.pop()
            spans.append((asked, answer))
            asked = []
    before, (_, last) = spans[:-1], spans[-1]
    if not any(block.gap for _, answer in before for block in answer[1:]):
        more = (at for at, block in enumerate(last) if at and block.gap)
        del last[next(more, len(last)) :]  # one paragraph, as in all others
    spans = [(own, answer) for own, answer in spans if answer or asks(own[-1].text)]
    records = [
        (own[0].line, _without_signs(joined(own), answer)) for own, answer in spans
    ]
    _pick_right([record for _, record in records])
    used = {id(block) for own, answer in spans for block in (*own, *answer)}
    used |= {id(block) for block in blocks if RULE.fullmatch(block.text)}
    outside = [block for block in blocks if id(block) not in used]
    asking = sum(bool(_ASKED.match(blocks[at].text)) for at in heads) / len(heads)
    if mark == "question_mark":  # all of them ask; do the paragraphs take turns?
        paragraphs = sum(block.gap for block in blocks)
        units = paragraphs if paragraphs >= len(heads) else len(blocks)
        asking = min(1, _OFTEN * len(heads) / units)
    alone, most = MARKS[mark].alone, MARKS[mark].asking
    score = _score(records, outside, blocks) * (alone + (most - alone) * asking)
    return Pairs(mark, records, outside, score)


def _is_title(before: Block, last: Block) -> bool:
    """Whether the last paragraph of an answer may be the title of what is below."""
    short = last.gap and len(last.text) <= _LONGEST_TITLE
    listed = before.bold and last.bold
    return short and not listed and not last.text.rstrip().endswith(_ENDS)


def _indent(block: Block) -> float:
    item = _ITEM.match(block.text)
    return len(item["indent"]) if item else math.inf


def _without_signs(question: str, answer: Sequence[Block]) -> dict[str, Any]:
    """A pair without the number or the sign of its question, the sign of an answer of
    one item, and the marks of a quotation.
    """
    if answer and all(_QUOTE.match(block.text) for block in answer):
        answer = [replace(own, text=_QUOTE.sub("", own.text)) for own in answer]
    first, *rest = joined(answer).split("\n")
    if signed := _ITEM.match(question):
        question = question[signed.end() :]
        if (own := _ITEM.match(first)) and not any(map(_ITEM.match, rest)):
            first = first[own.end() :]
    question = _NUMBER.sub("", question)
    if emphasized := _EMPHASIS.fullmatch(question.strip()):
        question = emphasized[2]
    if asked := _ASKED.fullmatch(question):
        question = question.removesuffix(asked["unfolds"] or "")
    return {"question": question.strip(), "answer": "\n".join([first, *rest])}


def _pick_right(records: Sequence[dict[str, Any]]) -> None:
    """Makes the right option the answer where each answer lists options, of which one
    has a tick or an x before it, or a last line such as "Answer: B" names one.
    """
    picked = list[str]()
    for record in records:
        *options, key = record["answer"].split("\n")
        named = _KEY.fullmatch(key)
        place = ord(named[1].upper()) - ord("A") if named else len(options)
        ticked = [own for line in (*options, key) for own in _TICKED.findall(line)]
        picked += ticked if len(ticked) == 1 else options[place : place + 1]
    if len(picked) == len(records):
        for record, right in zip(records, picked, strict=True):
            record |= {"options": record["answer"], "answer": right}


def _texts(record: dict[str, Any]) -> list[str]:
    """The texts of an example, one per message."""
    if "messages" in record:
        return [message["content"] for message in record["messages"]]
    return [record["question"], record["answer"]]


def _score(
    records: Records, outside: Sequence[Block], blocks: Sequence[Block]
) -> float:
    """The share of a text that is in whole examples which differ, less for few."""
    whole, rest = set[tuple[str, ...]](), characters(outside)
    for _, record in records:
        own = tuple(_texts(record))
        if own in whole or not all(own) or own[0] == own[-1]:
            rest += sum(map(len, own))
        else:
            whole.add(own)
    return (1 - rest / (characters(blocks) or 1)) * len(whole) / (len(whole) + 2)
