"""Finds questions with their answers in a text: after labels, as headings, in bold, or
as paragraphs in turn.
"""

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any
from unicodedata import normalize

from backend.datasets.documents.blocks import Block, characters, joined
from backend.datasets.documents.labelled import RULE, Records, find_labelled
from backend.datasets.documents.quiz import find_quiz, pick_crossed

# The Greek question mark looks like a semicolon, and often is one.
_ASKED = re.compile(
    r"[^\n]{0,299}[?？؟⁇](?:\s?[+＋−▾▼⌄×:：])?|(?=[^\n]*[\u0370-\u03ff])[^\n]{0,299}[;\u037e]"
)
_ASKS_FIRST = re.compile(r"[^\n]{0,299}?[?？؟⁇](?=\s+\S)")  # and says more behind it
_UNFOLDS = re.compile(
    r"(?<=[?？؟⁇])\s?[+＋−▾▼⌄×:：]\Z"
)  # with which a web page shows the answer, or a colon
_ENDS = (*".!?:;,…。！？؟।", '"', "”", "»", ")", "]")
_LONGEST = 300  # characters of a question
_CATEGORY = 40  # characters of a line that may be the title of a section
_SURE, _UNSURE = 0.8, 0.4  # shares of headings that ask
_PARAGRAPHS_SURE, _PARAGRAPHS_UNSURE, _MANY = (
    0.34,
    0.2,
    0.08,
)  # shares of paragraphs that ask; the last one of many
_OUTSIDE = 0.4  # share of the text that belongs to no pair
_ON_ONE_LINE = re.compile(
    r"\s*(?P<question>[^\n?？؟]{4,300}[?？؟])\s*(?P<sign>[|:;,=→–—>-]*)\s*(?P<answer>[^\s|:;,=→–—>-][^\n|]*)"
)
_COUNTED = r"[(（]?\d{1,4}(?:[-–]\d{1,4}(?=\.))?(?:[.):](?=\s)|[.)](?=[^\W\da-z_])|[．：](?!\d)|[）、])"  # 2. 2-3. ２、
_NUMBER = re.compile(rf"\s*{_COUNTED}\s*")
_BULLET = re.compile(r"\s*[-*+•‣▪◦○●■·–—]\s+")
_ITEM = re.compile(
    rf"(?P<indent>\s*)(?:(?P<number>{_COUNTED})|(?P<sign>[-*+•‣▪◦○●■·–—])\s)\s*"
)
_FIRST_LINE, _AFTER_GAP = "first line of a paragraph", ", after a gap"
_CLASS, _TAGGED, _CLASS_SHOWN = "element of class ", "line with ", 40  # characters
_TAG = re.compile(r"\s*(<[^\W\d_]\w{0,19}>)\s*(?=\S)")  # <question>, a label
_PLACES = (_FIRST_LINE, _FIRST_LINE + _AFTER_GAP)
_SEVERAL = 3  # questions in one answer
_FEWEST, _TYPICAL = (
    10,
    2_000,
)  # times that something comes back; characters of half of what is below it, at most
_QUOTE = re.compile(r"\s*>[ \t]?")
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3})(.+)\1")
_PAGED = re.compile(
    r"(?:\t|(?<![ |.·․…‥⋯])[ |.·․…‥⋯]{4,})\d+[ |]*$", re.MULTILINE
)  # a number after dots or a tab
_LISTED, _OF_LISTED = (
    3,
    2 / 3,
)  # lines of a table of contents; share of the lines from its first to its last one
_SIGN = re.compile(r"\s*([^\w\s¿¡\"'“„«‘(\[{$€£¥@#/\\&.,+<]{1,4})\s+")


@dataclass(frozen=True)
class Pairs:
    """Examples in a text. records: (line, fields). sure: nothing speaks against them;
    otherwise the user decides. outside: what belongs to none, first what asks. cue:
    what each question begins with, in words. inside: blocks of answers with numbers
    between those of the questions around them. right: which option of a test is the
    answer.
    """

    records: list[tuple[int, dict[str, Any]]]
    sure: bool
    outside: Sequence[Block] = ()
    cue: str = "line that asks"
    inside: Sequence[Block] = ()
    right: str = ""


def find_pairs(blocks: Sequence[Block]) -> Pairs | None:
    """The questions and answers in a text; None if it seems to contain none."""
    listed = _contents(blocks)
    pairs = _pairs_of([*blocks[: listed.start], *blocks[listed.stop :]])
    left = sorted(
        pairs.outside if pairs else (),
        key=lambda b: (not asks(b.text), {*"?？؟"}.isdisjoint(b.text)),
    )
    return (
        replace(pairs, outside=[*left, *blocks[listed.start : listed.stop]])
        if pairs
        else None
    )


def _contents(blocks: Sequence[Block]) -> range:
    """Where a table of contents stands above the first question: lines with page
    numbers after dots or a tab, or questions that come again below.
    """
    names = [re.sub(r"[\W\d]", "", block.text) for block in blocks]
    asked = [asks(block.text.rstrip(" |0123456789")) for block in blocks]
    left = Counter(
        name for name, is_asked in zip(names, asked, strict=True) if is_asked
    )
    found, lines = list[int](), 0
    for at, (name, block) in enumerate(zip(names, blocks, strict=True)):
        left[name] -= 1
        listing = not block.rows or any(
            asks(cell) for _, cells in block.rows for cell in cells
        )  # prices are none
        if (listing and _PAGED.search(block.text)) or (
            name and left[name] > 0 and asked[at]
        ):
            found.append(at)
            lines += len(_PAGED.findall(block.text)) or 1
        elif asks(block.text):
            break
    of_all = range(found[0], found[-1] + 1) if lines >= _LISTED else range(0)
    return of_all if len(found) >= _OF_LISTED * len(of_all) else range(0)


def _pairs_of(blocks: Sequence[Block]) -> Pairs | None:
    records, sure, outside = find_labelled(blocks) or (Records(), False, [])
    whole = sure and all(
        each.get("answer") in each.get("question", "").split("\n")
        for _, each in records
    )
    if not whole and (
        quiz := find_quiz(blocks)
    ):  # otherwise the answers are whole options, such as "B) Paris"
        return Pairs(
            quiz[0], False, quiz[1], "what stands above the options", right=quiz[2]
        )
    if records:
        return Pairs(records, sure, outside, "label")
    rules = {at for at, block in enumerate(blocks) if RULE.fullmatch(block.text)}
    blocks = [
        replace(b, gap=b.gap or at - 1 in rules)
        for at, b in enumerate(blocks)
        if at not in rules
    ]
    readings = [
        pairs
        for pairs in (_by_cue(blocks), _by_paragraph(blocks), _by_line(blocks))
        if pairs is not None
    ]
    most = readings[0] if readings else None
    best = next(
        (
            pairs
            for pairs in readings
            if most and pairs.sure and len(pairs.records) >= len(most.records)
        ),
        most,
    )
    for name in ("question", "answer") if best else ():
        _take_off_signs([record for _, record in best.records], name)  # type: ignore[union-attr]
    if best and (picked := pick_crossed(best.records)):
        return replace(
            best, records=picked, sure=False, right="the option with an x before it"
        )
    return best


def asked_inside(pairs: Pairs) -> list[Block]:
    """What may begin pairs of its own inside the answers: a number that counts on, or
    the first of several questions with something below each.
    """
    inside = [*pairs.inside]
    for line, record in pairs.records:
        lines = [part for part in record.get("answer", "").split("\n") if part.strip()]
        more = [
            part for part, below in pairwise(lines) if asks(part) and not asks(below)
        ]
        inside += [Block(line, more[0])] if len(more) >= _SEVERAL else []
    return inside


def _take_off_signs(records: Sequence[dict[str, Any]], name: str) -> None:
    """Takes off what most of the questions, or the answers, begin with and is no word:
    an emoji, a sign, a number that counts on. An answer with further lines of that kind
    is a list, and stays.
    """
    for sign in (_SIGN, _NUMBER, _TAG):
        signed = [
            (record, start) for record in records if (start := sign.match(record[name]))
        ]
        most = Counter(
            start[1] for _, start in signed if sign is not _NUMBER
        ).most_common(1)
        alike = most[0][1] if most else 0
        if sign is _NUMBER:  # they rise by the same step, as those of dates don't
            steps = {
                b - a
                for a, b in pairwise(
                    int(re.findall(r"\d+", start[0])[0]) for _, start in signed
                )
            }
            alike = len(signed) if len(steps) == 1 and min(steps) > 0 else 0
        if alike < max(3, _SURE * len(records)):
            continue
        for record, start in signed:
            if not any(map(sign.match, record[name].split("\n")[1:])):
                record[name] = record[name][start.end() :]


def asks(text: str) -> bool:
    """Whether a text is one question."""
    return _ASKED.fullmatch(text.rstrip(" \t*_")) is not None


def _by_cue(blocks: Sequence[Block]) -> Pairs | None:
    """The pairs that begin at the blocks which look like the sure questions: by
    heading, bold letters, number, list sign or place. Most of them have to ask; the
    others that look alike begin pairs, too.
    """
    cues = [_cues(blocks, at) for at in range(len(blocks))]
    sure = [at for at, block in enumerate(blocks) if asks(block.text)]
    candidates = []
    for cue in dict.fromkeys(cue for at in sure for cue in cues[at]):
        heads = [at for at, has in enumerate(cues) if cue in has]
        asked = [at for at in heads if asks(blocks[at].text)]
        questions = [
            at
            for at in heads
            if asks(blocks[at].text) or _ASKS_FIRST.match(blocks[at].text)
        ]
        share = len(questions) / len(heads)
        if len(asked) < (3 if cue in _PLACES else 2) or share < _UNSURE:
            continue
        classed = cue.startswith((_CLASS, f"{_TAGGED}<"))
        if (
            share >= _SURE
            or classed
            or [_count(blocks[at]) for at in heads] == [*range(1, len(heads) + 1)]
        ):
            ends = zip(
                heads, [*heads[1:], len(blocks)], strict=True
            )  # those without an answer are titles
            questions = [
                at for at, end in ends if asks(blocks[at].text) or end > at + 1
            ]
        elsewhere = sum(blocks[at].gap for at in sure if cue not in cues[at])
        certain = len(asked) >= _SURE * len(heads) and questions[0] in asked
        certain &= (
            elsewhere <= (1 - _SURE) * len(questions) and not classed
        )  # an open one may have another class
        pairs = _pairs(
            blocks, questions, set(heads), certain, cue.removesuffix(_AFTER_GAP)
        )
        above = next(
            n for n, at in enumerate(questions) if asks(blocks[at].text)
        )  # they may be an introduction
        candidates.append((len(questions) - above, share, pairs))
    return (
        max(candidates, key=lambda candidate: candidate[:2])[2] if candidates else None
    )


def _cues(blocks: Sequence[Block], at: int) -> list[str]:
    """What may mark a block as the beginning of a pair, in words for people, the
    clearest first.
    """
    block, below = blocks[at], blocks[at + 1] if at + 1 < len(blocks) else None
    cues = (
        [f"heading {block.level}"]
        if block.level
        else ["line in bold"]
        if block.bold
        else []
    )
    cues += [f"{_CLASS}{block.style[:_CLASS_SHOWN]}"] if block.style else []
    cues += [f"{_TAGGED}{tag[1]}"] if (tag := _TAG.match(block.text)) else []
    if item := _ITEM.match(block.text):
        sign = "number" if item["number"] else f"list sign {item['sign']}"
        indent = f", indented by {len(item['indent'])}" if item["indent"] else ""
        cues.append(f"line with a {sign}{indent}")
        if item[
            "number"
        ]:  # questions have one form of number, and lists in answers another one
            form = re.sub(r"[-–\d]+", "1", normalize("NFKC", item["number"]))
            cues.append(f"line with a number like {form}{indent}")
    if (
        below
        and _QUOTE.match(below.text)
        and not (block.level or _QUOTE.match(block.text))
    ):
        cues.append("line above a quotation")
    if block.gap and below and not below.gap:
        cues.append(_FIRST_LINE)
    return cues + [cue + _AFTER_GAP for cue in cues if block.gap]


def _by_paragraph(blocks: Sequence[Block]) -> Pairs | None:
    questions = [i for i, block in enumerate(blocks) if asks(block.text)]
    share = len(questions) / max(len(blocks), 1)
    if share < _PARAGRAPHS_UNSURE:  # of a long text; in a story people ask after a dash
        questions = [
            i
            for i in questions
            if not blocks[i].text.lstrip().startswith(("-", "–", "—"))
        ]
    if len(questions) < (
        3 if share >= _PARAGRAPHS_UNSURE else max(_FEWEST, _MANY * len(blocks))
    ):
        return None
    if (in_row := sum(b - a == 1 for a, b in pairwise(questions))) > 0.3 * len(
        questions
    ):
        return None  # a list of questions
    lengths = [
        b - a for a, b in zip(questions, [*questions[1:], len(blocks)], strict=True)
    ]
    usual, times = Counter(lengths).most_common(1)[0]
    regular = times >= 0.7 * len(questions)
    if regular and usual > 1:  # a title in the place of a question is one
        places = (at for start, length in zip(questions, lengths, strict=True)
                  for at in range(start + usual, start + length - usual + 1, usual))  # fmt: skip
        questions = sorted(
            [*questions, *(at for at in places if _is_title(blocks[at]))]
        )
    begins = not any(block.gap for block in blocks[1:]) or all(
        blocks[i].gap or i == 0 for i in questions
    )
    begins &= not blocks[questions[0]].bold or sum(
        block.bold for block in blocks
    ) <= len(questions)
    sure = (
        share >= _PARAGRAPHS_SURE
        and not in_row
        and regular
        and begins
        and questions[0] <= 2
    )
    return _pairs(blocks, questions, set(questions), sure, "line that asks")


def _is_title(block: Block) -> bool:
    return (
        len(block.text) <= _LONGEST
        and "\n" not in block.text
        and not block.text.rstrip().endswith(_ENDS)
    )


def _pairs(
    blocks: Sequence[Block],
    questions: Sequence[int],
    heads: Set[int],
    sure: bool,
    cue: str,
) -> Pairs | None:
    """The pairs that begin at `questions`; an answer ends at the next one of `heads`,
    and at any heading as high.
    """
    records: list[tuple[int, dict[str, Any]]] = []
    used: set[int] = set()
    inside, above = list[Block](), list[Block]()  # above: the first lines of a question
    bold = next(
        (
            at
            for at in range(questions[0], len(blocks))
            if blocks[at].bold and at not in heads
        ),
        0,
    )
    first, titles = blocks[questions[0]], _titles(blocks, questions)
    introduced = blocks[bold - 1].text.endswith((":", "："))
    if (
        bold > questions[-1] + 1
        and _is_title(blocks[bold])
        and not (introduced or first.bold or first.level)
    ):
        heads = {
            *heads,
            bold,
        }  # no other answer has one: it begins what follows the last
    for start, following in zip(questions, [*questions[1:], len(blocks)], strict=True):
        level = blocks[start].level
        higher = range(1, (level or 6) + 1)
        ends = (
            at
            for at in range(start + 1, len(blocks))
            if at in heads or blocks[at].level in higher
        )
        end = next(ends, len(blocks))
        if (
            end == start + 1 < following
            and asks(blocks[start].text)
            and not (sure or blocks[end].level)
        ):
            end = following  # an answer that looks like the questions
        answer = blocks[start + 1 : end]
        more = (
            not answer
            and not level
            and end == following < len(blocks)
            and asks(blocks[start].text)
        )
        if more and not (blocks[end].gap or _ITEM.match(blocks[end].text)):
            above.append(blocks[start])
            continue
        if (
            len(answer) > 1
            and end in heads
            and end != following
            and answer[-1].text.endswith((":", "："))
        ):
            answer = answer[
                : -2 if len(answer) > 2 and _is_title(answer[-2]) else -1
            ]  # they lead to what is below
        answer, sure = (answer[:-1], False) if end - 1 in titles else (answer, sure)
        used.update(range(start - len(above), start + 1 + len(answer)))
        last = answer[-1] if len(answer) > 1 and end < len(blocks) else None
        if (
            last
            and last.gap
            and len(last.text) <= _CATEGORY
            and not last.text.rstrip().endswith(_ENDS)
        ):
            sure = False  # it may be the title of the questions below
        before, after = (
            _count(blocks[start]),
            _count(blocks[end]) if end < len(blocks) else 0,
        )
        inside += [block for block in answer if 0 < before < _count(block) < after]
        inside += [
            block
            for block in answer[1:-1]
            if not sure and block.gap and asks(block.text)
        ]
        if all(_QUOTE.match(block.text) for block in answer):
            answer = [
                replace(block, text=_QUOTE.sub("", block.text)) for block in answer
            ]
        asked, above = [*above, blocks[start]], []
        records.append((asked[0].line, _without_marks(joined(asked), joined(answer))))
    missing = len(questions) - sum(bool(record["answer"]) for _, record in records)
    if missing > 0.3 * len(questions):
        return None
    outside = [block for place, block in enumerate(blocks) if place not in used]
    sure = (
        sure
        and characters(outside) <= _OUTSIDE * characters(blocks)
        and missing <= 0.1 * len(questions)
    )
    return Pairs(records, sure, outside, cue, inside)


def _titles(blocks: Sequence[Block], questions: Sequence[int]) -> set[int]:
    """What stands alone above the next number of a list and may be the title of what is
    below, where few do.
    """
    pairs = (
        (a, b)
        for a, b in pairwise(questions)
        if b > a + 2 and 0 < _count(blocks[a]) == _count(blocks[b]) - 1
    )
    alone = [
        b - 1
        for a, b in pairs
        if blocks[b - 1].gap and not any(block.gap for block in blocks[a + 1 : b - 1])
    ]
    titles = {
        at for at in alone if _is_title(blocks[at]) and not _ITEM.match(blocks[at].text)
    }
    return titles if 2 * len(titles) <= len(questions) else set()


def _count(block: Block) -> int:
    """The number that a block begins with; 0 without one."""
    number = _NUMBER.match(block.text)
    return int(re.findall(r"\d+", number[0])[0]) if number else 0


def _without_marks(question: str, answer: str) -> dict[str, Any]:
    """The pair without the number or the list sign of its question, and without that of
    an answer of one item.
    """
    marked = _BULLET.match(question)
    text = question[marked.end() :] if marked else question
    text = _UNFOLDS.sub(
        "", (text[number.end() :] if (number := _NUMBER.match(text)) else text).strip()
    )
    if emphasized := _EMPHASIS.fullmatch(text):
        text = emphasized[2].strip()
    first, *rest = answer.split("\n")
    if marked and (sign := _BULLET.match(first)) and not any(map(_BULLET.match, rest)):
        answer = "\n".join([first[sign.end() :], *rest])
    return {"question": text, "answer": answer}


def _by_line(blocks: Sequence[Block]) -> Pairs | None:
    """A question and its answer on each line, perhaps with a sign between them, which
    then divides the other lines.
    """
    matches = [_ON_ONE_LINE.fullmatch(block.text) for block in blocks]
    signs = Counter(match["sign"] for match in matches if match)
    if sum(signs.values()) < 3 or sum(signs.values()) < _SURE * len(blocks):
        return None
    sign = signs.most_common(1)[0][0]
    if sign:
        apart = r"\s" * (sign not in (":", ";", ","))
        other = re.compile(
            rf"\s*(?P<question>\S.{{3,300}}?){apart}\s*(?P<sign>{re.escape(sign)})\s+(?P<answer>\S.*)"
        )
        matches = [
            match or other.fullmatch(block.text)
            for match, block in zip(matches, blocks, strict=True)
        ]
    matched = [
        (block, match) for block, match in zip(blocks, matches, strict=True) if match
    ]
    records = [
        (block.line, _without_marks(match["question"], match["answer"]))
        for block, match in matched
    ]
    outside = [block for block, match in zip(blocks, matches, strict=True) if not match]
    sure = (
        bool(sign)
        and not outside
        and all(match["sign"] == sign for _, match in matched)
    )
    return Pairs(
        records,
        sure,
        outside,
        f"what stands before {sign}" if sign else "what asks on each line",
    )


def find_repeated(blocks: Sequence[Block]) -> Pairs | None:
    """The pairs, never sure, below what comes back: a heading, bold, a number, an item,
    a line above a quotation.
    """
    seen = (set(_cues(blocks, at)).difference(_PLACES) for at in range(len(blocks)))
    cues = [{cue for cue in has if not cue.startswith(_CLASS)} for has in seen]
    found: list[Pairs] = []
    for cue in sorted(set[str]().union(*cues)):
        heads = [at for at, has in enumerate(cues) if cue in has]
        names = {
            re.sub(r"[\W\d]", "", blocks[at].text) for at in heads
        }  # "Chapter 1" and "Chapter 2" have one name
        ends = {
            *heads,
            *(
                at
                for at, block in enumerate(blocks)
                if block.bold and "heading" not in cue
            ),
        }
        pairs = (
            _pairs(blocks, heads, ends, False, cue)
            if len(names) >= max(_FEWEST, _SURE * len(heads))
            else None
        )
        if (
            pairs
            and median(len(record["answer"]) for _, record in pairs.records) <= _TYPICAL
        ):
            found.append(pairs)
    return max(found, key=lambda pairs: len(pairs.records), default=None)
