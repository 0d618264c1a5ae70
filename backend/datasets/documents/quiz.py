"""Finds the questions of a test: each above its options, of which a mark or a line such
as "Answer: B" says one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import mode

from backend.datasets.documents.blocks import Block
from backend.datasets.documents.labelled import RULE, Records

_FEWEST, _SHARE = (
    6,
    0.5,
)  # questions whose answer is known, at least; their share of all
_OPTIONS, _NEAR = (
    range(2, 9),
    4,
)  # of a question; lines from the last one to what names the right one, at most
_ALPHABETS = " abcdefgh абвгдежз αβγδεζηθ 12345678 ①②③④⑤⑥⑦⑧ 가나다라마바사아 アイウエオ กขคงจ أبجده"
_LETTER = f"[{_ALPHABETS.replace(' ', '')}]"
_OPTION = re.compile(
    r"(?i)^\s*(?:[-+•]\s+)?(?:[*✓✔√]{1,2}\s*)?(?:\[\s?[x*✓✔√]?\s?\]|[☐□☑☒]|[(（\[]?"
    rf"(?P<letter>{_LETTER})(?:(?<=[①-⑧])|\s?[)）\]、．.:：](?:(?<=[^\W\d_].)|(?![\d.]))))\s*(?P<text>\S.*)"
)
_MARKED = re.compile(r"(?i)\W*[*✓✔√☑☒].*|\W*\[\s?x\s?\].*|[^*]*[*✓✔√]\s*")
_BESIDE = re.compile(
    rf"(?i)(?<=\S)(?:\t|[ \u3000]{{2}})\s*(?=[(（]?(?!a){_LETTER}[)）、．.:：])"
)
_CROSSED = re.compile(r"(?i)\s*[x×]\s+(?=\S)")
_KEY = re.compile(
    r"(?i)\W*(?P<key>(?P<word>[^\W\d_][^:=：]{1,40}?)\s*(?:[:=：]|\s(?=[^\W\d_]\s*$))\W*"
    rf"(?P<letters>{_LETTER}(?:[\s,;/&+、，]*{_LETTER}){{0,7}}))(?:\s*$|\s*[^\w\s].*)"
)
_COUNTED = re.compile(
    r"\W{0,9}(?P<word>[^\W\d_]{0,12})\s?#?(?P<number>\d{1,4})(?:[.):：．、）](?!\d)|(?=\s)|$)[\s*_]*"
)


def find_quiz(blocks: Sequence[Block]) -> tuple[Records, list[Block], str] | None:
    """The questions of a test, the lines in none of them, and which options are the
    answers; None for other texts.
    """
    lines = [
        replace(block, text=text, gap=block.gap and not at)
        for block in blocks
        for at, text in enumerate(
            [block.text] if block.rows else _BESIDE.sub("\n", block.text).split("\n")
        )
        if not RULE.fullmatch(text)
    ]
    options = [_OPTION.fullmatch(line.text) for line in lines]
    places = [
        _ALPHABETS.index((option["letter"] or " ").casefold()) if option else -1
        for option in options
    ]
    texts = [_OPTION.sub(r"\g<text>", line.text).strip(" *✓✔√") for line in lines]
    marked = [line.bold or _MARKED.fullmatch(line.text) for line in lines]
    in_row = [
        a >= 0 and b == (a + 1 if a else 0) for a, b in pairwise([-1, *places, -1])
    ]
    keys = _keys(
        lines,
        [place if any(in_row[at : at + 2]) else -1 for at, place in enumerate(places)],
    )
    ends = [*keys] or [
        at
        for at, (before, after) in enumerate(pairwise(in_row), 1)
        if before and not after
    ]
    spans = [*zip([0, *(end + 1 if keys else end for end in ends)], ends, strict=False)]
    size = mode([end - begin for begin, end in spans] or [0])
    counted = [_COUNTED.match(line.text) for line in lines]
    usual = mode(
        [
            next((each["word"] for each in counted[slice(*span)] if each), None)
            for span in spans
        ]
        or [None]
    )
    records, used, number = Records(), set[int](), 0
    for begin, end in spans:
        firsts = [
            at
            for at in range(begin, end)
            if places[at] > 0 and _ALPHABETS[places[at] - 1] == " "
        ]
        rows = [at for at in range([begin, *firsts][-1], end) if places[at] >= 0]
        letters = [places[at] for at in rows]
        if (
            keys
            and len(rows) < 2
            and end - begin == size
            and lines[begin].text[-1:] in "?？؟"
        ):
            rows, letters = (
                [*range(begin + 1, end)],
                [*range(1, end - begin)],
            )  # the places of the lines
        if (
            len(rows) not in _OPTIONS
            or rows[0] == begin
            or any(b != (a + 1 if a else 0) for a, b in pairwise(letters))
        ):
            continue
        begin = max(
            [
                begin,
                *(
                    at + 1
                    for at in range(begin, rows[0])
                    if places[at] >= 0 and not counted[at]
                ),
            ]
        )
        above = range(begin, rows[0])  # below the options of a question without a key
        starts = [at for at in above if lines[at].gap] + [
            at for at in above if lines[at].level
        ]
        own = {
            at: int(each["number"])
            for at in above
            if (each := counted[at]) and each["word"] == usual
        }
        following = [
            at
            for at in [*own][:1]
            if own[at] == number + 1 and number + 2 not in own.values()
        ]
        start = [
            begin,
            *own,
            *starts,
            *(at for at in own if lines[at].gap),
            *following,
        ][-1]
        question = "\n".join(line.text for line in lines[start : rows[0]]).strip()
        if start in own:
            number, question = (
                own[start],
                _COUNTED.sub("", question, count=1) or question,
            )
        last = next(
            (at for at in range(rows[-1] + 1, end) if not lines[at].text[:1].islower()),
            end,
        )
        right = [
            n
            for n, at in enumerate(rows)
            if (letters[n] in keys[end][1] if keys else marked[at])
        ]
        known = end - rows[-1] <= _NEAR and len(right) == (
            len(keys[end][1]) if keys else 1
        )
        parts = [
            " ".join(texts[at:after]) for at, after in pairwise([*rows, last])
        ]  # with the lines they go on
        answer = [part for n, part in enumerate(parts) if known and n in right]
        others = [part for part in parts if part not in answer]
        record = {
            "question": question,
            "answer": "\n".join(answer),
            "other options": "\n".join(others),
        }
        records.append((lines[start].line, record))
        used.update(range(start, last), [end] if answer and keys else [])
    boxed = not keys and 2 * places.count(0) > sum(
        place >= 0 for place in places
    )  # a checklist, where most don't ask
    fit = [
        each
        for _, each in records
        if each["answer"] and not (boxed and {*"?？؟"}.isdisjoint(each["question"]))
    ]
    if len(fit) < max(_FEWEST, _SHARE * len(records)):
        return None
    how = (
        f"that “{next(iter(keys.values()))[0]}” names"
        if keys
        else "that is marked as right"
    )
    return (
        records,
        [line for at, line in enumerate(lines) if at not in used],
        f"the option {how}",
    )


def pick_crossed(records: Records) -> Records:
    """The pairs with the option after an x as the answer, "" where more or fewer than
    usual are listed; [] if few.
    """
    listed = [
        [*filter(str.strip, record["answer"].split("\n"))] for _, record in records
    ]
    usual = mode(map(len, listed))
    crossed = [
        [*filter(_CROSSED.match, own)] if len(own) == usual else [] for own in listed
    ]
    right = [_CROSSED.sub("", own[0]) if len(own) == 1 else "" for own in crossed]
    if sum(map(bool, right)) < max(_FEWEST, _SHARE * len(records)):
        return []
    return [
        (line, {**own, "options": own["answer"], "answer": right[at]})
        for at, (line, own) in enumerate(records)
    ]


def _keys(
    lines: Sequence[Block], options: Sequence[int]
) -> dict[int, tuple[str, list[int]]]:
    """The text and the letters of each line such as "Answer: B". options: places of
    letters, -1 for other lines.
    """
    found = []
    for at, key in enumerate(
        _KEY.fullmatch(re.sub(r"[*_]+", "", line.text)) for line in lines
    ):
        letters = (
            [*map(_ALPHABETS.index, re.findall(_LETTER, key["letters"].casefold()))]
            if key
            else []
        )
        above = {*options[max(0, at - _NEAR - _OPTIONS[-1]) : at]} - {-1}
        if key and letters and options[at] < 0:
            fits = above.issuperset(letters) if above else None
            found.append(
                (
                    re.sub(r"[\W\d]", "", key["word"]).casefold(),
                    at,
                    (key["key"], letters),
                    fits,
                )
            )
    words = [word for word, *_, fits in found if fits] or [
        word for word, *_, fits in found if fits is None
    ]
    usual = mode(words or [""])
    return (
        {at: key for word, at, key, _ in found if word == usual}
        if words.count(usual) >= _FEWEST
        else {}
    )
