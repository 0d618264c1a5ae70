"""Finds questions with their answers in a text: after labels, as headings, in bold, or as paragraphs in turn."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from backend.datasets.documents.blocks import Block, characters, joined
from backend.datasets.documents.labelled import find_labelled

_MARKS = ("?", "？", "؟", "⁇", ";")  # the last one is the Greek question mark, U+037E
_ENDS = (*".!?:;,…。！？؟।", '"', "”", "»", ")", "]")
_LONGEST = 300  # characters of a question
_CATEGORY = 40  # characters of a line that may be the title of a section
_SURE, _UNSURE = 0.8, 0.4  # shares of headings that ask
_PARAGRAPHS_SURE, _PARAGRAPHS_UNSURE = 0.34, 0.2  # shares of paragraphs that ask
_OUTSIDE = 0.4  # share of the text that belongs to no pair
_ON_ONE_LINE = re.compile(
    r"\s*(?P<question>[^\n?？؟]{4,300}[?？؟])\s*(?P<sign>[|:;=→–—>-]*)\s*(?P<answer>[^\s|:;=→–—>-][^\n]*)"
)
_NUMBER = re.compile(r"\s*\(?\d{1,4}[.):]\s+")
_BULLET = re.compile(r"\s*[-*+•‣▪◦○●■·–—]\s+")
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3})(.+)\1")
_SIGN = re.compile(r"\s*([^\w\s¿¡\"'“„«‘(\[{$€£¥@#/\\&.,+<]{1,4})\s+")


@dataclass(frozen=True)
class Pairs:
    """Examples in a text. records: (line, fields). sure: nothing speaks against them; otherwise the user decides.
    outside: the text that belongs to none."""

    records: list[tuple[int, dict[str, Any]]]
    sure: bool
    outside: str = ""


def find_pairs(blocks: Sequence[Block]) -> Pairs | None:
    """The questions and answers in a text; None if it seems to contain none."""
    labelled = find_labelled(blocks)
    if labelled is not None:
        records, sure, outside = labelled
        return Pairs(records, sure, _worth_telling(outside))
    finders: list[Callable[[Sequence[Block]], Pairs | None]] = [_by_heading, _by_paragraph, _by_line]
    readings = [pairs for find in finders if (pairs := find(blocks)) is not None]
    best = next((pairs for pairs in readings if pairs.sure), readings[0] if readings else None)
    for name in ("question", "answer") if best else ():
        _take_off_signs([record for _, record in best.records], name)  # type: ignore[union-attr]
    return best


def _take_off_signs(records: Sequence[dict[str, Any]], name: str) -> None:
    """Takes off what most of the questions, or the answers, begin with and is no word: an emoji, a sign, a number
    that counts on. An answer with further lines of that kind is a list, and stays."""
    for sign in (_SIGN, _NUMBER):
        signed = [(record, start) for record in records if (start := sign.match(record[name]))]
        most = Counter(start[1] for _, start in signed if sign is _SIGN).most_common(1)
        alike = most[0][1] if most else 0
        if sign is _NUMBER:  # they rise by the same step, as those of dates don't
            steps = {b - a for a, b in pairwise(int(re.sub(r"\D", "", start[0])) for _, start in signed)}
            alike = len(signed) if len(steps) == 1 and min(steps) > 0 else 0
        if alike < max(3, _SURE * len(records)):
            continue
        for record, start in signed:
            if not any(map(sign.match, record[name].split("\n")[1:])):
                record[name] = record[name][start.end() :]


def asks(text: str) -> bool:
    """Whether a text is one question."""
    text = text.rstrip(" \t*_")
    return text.endswith(_MARKS) and len(text) <= _LONGEST and "\n" not in text


def _by_heading(blocks: Sequence[Block]) -> Pairs | None:
    candidates = []
    for is_head in _kinds_of_heading(blocks):
        heads = [i for i, block in enumerate(blocks) if is_head(block)]
        questions = [i for i in heads if asks(blocks[i].text)]
        share = len(questions) / len(heads)
        if len(questions) >= 2 and share >= _UNSURE:
            candidates.append((len(questions), share, _pairs(blocks, questions, is_head, share >= _SURE)))
    return max(candidates, key=lambda candidate: candidate[:2])[2] if candidates else None


def _kinds_of_heading(blocks: Sequence[Block]) -> Iterator[Callable[[Block], bool]]:
    for level in sorted({block.level for block in blocks if block.level}):
        yield lambda block, level=level: block.level == level  # type: ignore[misc]
    if any(block.bold and not block.level for block in blocks):
        yield lambda block: block.bold and not block.level


def _by_paragraph(blocks: Sequence[Block]) -> Pairs | None:
    questions = [i for i, block in enumerate(blocks) if asks(block.text)]
    share = len(questions) / max(len(blocks), 1)
    if len(questions) < 3 or share < _PARAGRAPHS_UNSURE:
        return None
    in_row = sum(b - a == 1 for a, b in pairwise(questions))
    if in_row > 0.3 * len(questions):
        return None  # a list of questions
    lengths = [b - a for a, b in zip(questions, [*questions[1:], len(blocks)], strict=True)]
    regular = Counter(lengths).most_common(1)[0][1] >= 0.7 * len(questions)
    spaced = any(block.gap for block in blocks[1:])
    begins = all(blocks[i].gap or i == 0 for i in questions) if spaced else True
    sure = share >= _PARAGRAPHS_SURE and not in_row and regular and begins and questions[0] <= 2
    starts = set(questions)
    return _pairs(blocks, questions, lambda block: False, sure, starts)


def _pairs(
    blocks: Sequence[Block],
    questions: Sequence[int],
    is_head: Callable[[Block], bool],
    sure: bool,
    starts: set[int] | None = None,
) -> Pairs | None:
    """The pairs that begin at `questions`; an answer ends at the next one, and at any heading as high."""
    starts = starts or set(questions)
    records: list[tuple[int, dict[str, Any]]] = []
    used: set[int] = set()
    for start in questions:
        level = blocks[start].level
        end = start + 1
        while end < len(blocks) and end not in starts and not is_head(blocks[end]):
            if blocks[end].level and (not level or blocks[end].level <= level):
                break
            end += 1
        answer = blocks[start + 1 : end]
        used.update(range(start, end))
        last = answer[-1] if len(answer) > 1 and end < len(blocks) else None
        if last and last.gap and len(last.text) <= _CATEGORY and not last.text.rstrip().endswith(_ENDS):
            sure = False  # it may be the title of the questions below
        records.append((blocks[start].line, _without_marks(blocks[start].text, joined(answer))))
    missing = sum(not record["answer"] for _, record in records)
    if missing > 0.3 * len(records):
        return None
    outside = [block for place, block in enumerate(blocks) if place not in used]
    sure = sure and characters(outside) <= _OUTSIDE * characters(blocks) and missing <= 0.1 * len(records)
    return Pairs(records, sure, _worth_telling(outside))


def _without_marks(question: str, answer: str) -> dict[str, Any]:
    """The pair without the number or the list sign of its question, and without that of an answer of one item."""
    marked = _BULLET.match(question)
    text = question[marked.end() :] if marked else question
    text = (text[number.end() :] if (number := _NUMBER.match(text)) else text).strip()
    if emphasized := _EMPHASIS.fullmatch(text):
        text = emphasized[2].strip()
    first, *rest = answer.split("\n")
    if marked and (sign := _BULLET.match(first)) and not any(map(_BULLET.match, rest)):
        answer = "\n".join([first[sign.end() :], *rest])
    return {"question": text, "answer": answer}


def _worth_telling(outside: Sequence[Block]) -> str:
    """The text outside of all pairs; "" where it is only titles."""
    return joined(outside) if any(not b.level and not b.bold and len(b.text) > _CATEGORY for b in outside) else ""


def _by_line(blocks: Sequence[Block]) -> Pairs | None:
    """A question and its answer on each line, perhaps with a sign between them."""
    matches = [(block.line, _ON_ONE_LINE.fullmatch(block.text)) for block in blocks]
    records = [(line, _without_marks(match["question"], match["answer"])) for line, match in matches if match]
    if len(records) < 3 or len(records) < _SURE * len(blocks):
        return None
    signs = sum(bool(match and match["sign"]) for _, match in matches)
    return Pairs(records, len(records) == len(blocks) == signs)
