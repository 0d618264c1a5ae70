"""Guesses which column is the question and which is the answer when the names are
unclear.

Each column scores points for a familiar name and for its content: a question is often
short and ends in a question mark, an answer is longer, and both differ from row to row.
A guess is always shown, and the user can change it; where the columns do not allow one,
the user is asked. A wrong guess that trains is the worst outcome: columns in doubt are
asked about, never trained on.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from backend.datasets.convert.detect import Match
from backend.datasets.convert.shapes import (
    ASKED,
    DESK,
    NAMES,
    PEOPLE,
    RIGHT,
    UNSURE,
    Columns,
    listed,
    plain_name,
)
from backend.text.excerpt import excerpt

_MARKS = ("?", "？", "؟", ";")  # the last one is the Greek question mark
_NOT_TEXT = (
    "id",
    "uuid",
    "index",
    "date",
    "time",
    "timestamp",
    "url",
    "link",
    "split",
    "lang",
    "language",
    "source",
)
_MARGIN = 1.5  # points by which the best pair must win where there are more columns, or the answer comes first

_MOST = 0.8  # of the filled cells
_PROSE = 20  # characters, on average, of a column of texts
_LONG, _ADDRESS = 80, 2000  # characters; a longer text is none of these, and no address
_FEWEST = 2  # filled cells to judge by; for names, one more
_CONSTANT = 5  # rows; a value that all of so many share is not an answer
_SAME = 0.2  # of the rows
_LABELS, _BEST = 20, 20  # different numbers; pairs of columns that are looked at
_OF_DESK = 2  # columns that only a help desk has
_MEDIA = re.compile(
    r"[^\n]{1,200}\.(?:png|jpe?g|gif|svg|webp|bmp|tiff?|mp3|wav|ogg|mp4|webm|avi|mov)",
    re.IGNORECASE,
)
_OPTION = re.compile(r"_?([a-h]|\d)$")  # at the end of names that options have
_DIFFERENT = 0.5  # of the names differ; fewer are categories

_DATE = r"(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}\.? \w{3,9}\.?,? \d{2,4}|\w{3,9}\.? \d{1,2},? \d{4})"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?(?:[ap]\.?m\.?|Z|[+-]\d\d:?\d\d|GMT)?"
_KINDS = (
    (
        "an email address",
        re.compile(r"[^\s@]+@[^\s@]+\.\w+|[\w .,'-]*<[^\s@]+@[^\s@]+>"),
    ),
    ("a web address", re.compile(r"(?:https?://|www\.|data:\w+/)\S+")),
    ("the name of a file", _MEDIA),
    (
        "a date or a time",
        re.compile(
            rf"(?:\w{{3}}, )?{_DATE}(?:,?[T ]\s*{_TIME})?|{_TIME}", re.IGNORECASE
        ),
    ),
    ("a number or an id", re.compile(r"[#$€£]?(?=\S*\d)[\w#.,:/+%€-]+")),
)


@dataclass(frozen=True)
class _Column:
    name: str
    filled: float  # shares of the rows, 0 to 1
    with_letters: float
    with_question_mark: float
    distinct: float
    length: float  # characters, on average

    @property
    def is_text(self) -> bool:
        plain = plain_name(self.name)
        filled = self.filled > (
            0 if self.length >= _PROSE and _name_score(self.name, "answer") else 0.5
        )  # few replies
        return (
            filled
            and self.with_letters > 0.5
            and plain not in _NOT_TEXT
            and not plain.endswith("_id")
        )


def guess(records: Sequence[dict[str, Any]]) -> Match | None:
    """The columns to use; None when nothing fits."""
    names = dict.fromkeys(name for record in records for name in record)
    texts = [
        column
        for column in (_measure(name, records) for name in names)
        if column.is_text
    ]
    holding = {
        c.name: what_it_holds(c.name, [record.get(c.name) for record in records])
        for c in texts
    }
    columns = [column for column in texts if not holding[column.name]]
    if len(columns) > 1:
        return _guess_pair(columns, "", records)
    if len(texts) > 1:
        others = [
            f"{excerpt(name, width=40)!r} holds {what}"
            for name, what in holding.items()
            if what
        ]
        return _guess_pair(texts, f"The column {'; '.join(others[:3])}.", records)
    if not columns:
        return None
    only = columns[0]
    if labelled := beside_text(records, only.name):
        return labelled
    half = _name_score(only.name, "question") or _name_score(only.name, "answer")
    return (
        Match("text", {"text": only.name})
        if len(names) == 1 or (only.length >= _PROSE and not half)
        else None
    )


def _guess_pair(
    columns: list[_Column], doubt: str, records: Sequence[dict[str, Any]]
) -> Match:
    names = [
        *dict.fromkeys(
            n
            for each in records
            for n, cell in each.items()
            if cell or not n.startswith("column ")
        )
    ]
    scored = [
        (_score(q, a, columns), q, a) for q in columns for a in columns if q is not a
    ]
    # what is the same in many rows is no answer
    pairs = [
        pair
        for pair in scored
        if _repeated(pair[1].name, pair[2].name, records) <= _SAME
    ]
    if not pairs:
        first, second = columns[:2]
        rest = [
            {name: record.get(name) for name in names if name != second.name}
            for record in records
        ]
        if labelled := beside_text(rest, first.name):
            return labelled
        why = f"{excerpt(second.name, width=40)!r} repeats {excerpt(first.name, width=40)!r} in many rows."
        return Match("question_answer", {}, why)
    best, question, answer = max(pairs, key=lambda pair: pair[0])
    rivals = [score for score, q, a in pairs if (q, a) != (question, answer)] or [0]
    close = best < max(rivals) + (
        _MARGIN if len(columns) > 2 or columns[0] is answer else 0
    )
    if not doubt and (close or answer.filled <= 0.5):  # most rows would have no answer
        doubt = f"Its columns are: {listed(names)}."
    return Match(
        "question_answer", {"question": question.name, "answer": answer.name}, doubt
    )


def likely_question(records: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """The one of these columns that holds the questions, as far as names and texts
    tell; "" where none has texts.
    """
    columns = [column for name in names if (column := _measure(name, records)).is_text]
    none = _Column("", 1, 1, 0, 1, 1)
    return max(
        columns, key=lambda column: _score(column, none, [*columns, none]), default=none
    ).name


def _repeated(one: str, other: str, records: Sequence[dict[str, Any]]) -> float:
    """The share of the rows with both columns in which they are the same but for
    spaces, as a text and its words are; 1 where no row has both, which make no pair
    either.
    """
    bare = (
        ["".join(str(record.get(name) or "").split()) for name in (one, other)]
        for record in records
    )
    return mean(
        [first == second for first, second in bare if first and second] or [True]
    )


def offer(records: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The likely columns of question and answer, and of plain texts, the likelier ones
    first, to ask about them.
    """
    bases = {
        name: _OPTION.sub("", plain_name(name)) for record in records for name in record
    }
    alike, columns = (
        Counter(base for base in bases.values() if base != "column"),
        list[_Column](),
    )
    for own in (
        _measure(name, records) for name, base in bases.items() if alike[base] <= 2
    ):
        held = what_it_holds(own.name, [record.get(own.name) for record in records])
        title = (
            "a name" in held
            and own.distinct > _DIFFERENT
            and PEOPLE.isdisjoint(plain_name(own.name).split("_"))
        )
        columns += [own] * (
            own.is_text
            and own.distinct > _SAME
            and own.length > 1
            and (not held or title)
        )
    columns = (
        columns if any(alike[bases[own.name]] for own in columns) else columns[:2]
    )  # only places tell
    pairs = sorted(
        (
            (_score(q, a, columns), q.name, a.name)
            for q in columns
            for a in columns
            if q != a
        ),
        reverse=True,
    )
    likely = [
        {"question": q, "answer": a}
        for _, q, a in pairs[:_BEST]
        if _repeated(q, a, records) <= _SAME
    ][:1]
    text = max(
        columns,
        key=lambda own: own.length * (own.filled > 0.5),
        default=_Column("", 0, 0, 0, 0, 0),
    )
    asks = not likely and (
        text.with_question_mark > _DIFFERENT or _name_score(text.name, "question")
    )
    return likely + [{"text": text.name}] * (
        text.length >= _PROSE and text.distinct > _DIFFERENT and not asks
    )


def lacks_answers(records: Sequence[dict[str, Any]]) -> bool:
    """Whether rows are a help desk's tickets of which no column holds an answer."""
    names = dict.fromkeys(name for record in records for name in record)
    words = {name: set(plain_name(name).split("_")) for name in names}
    cells = {name: [record.get(name) for record in records] for name in names}
    texts = [
        name
        for name in names
        if _measure(name, records).is_text and not what_it_holds(name, cells[name])
    ]
    desk = sum(not DESK.isdisjoint(words[name]) for name in names)
    return desk >= _OF_DESK and all(words[name] & (DESK | ASKED) for name in texts)


def can_choose(records: Sequence[dict[str, Any]]) -> bool:
    """Whether there are two columns with values of which a person could choose question
    and answer.
    """
    scalars = (str, int, float)
    return (
        len(
            {
                n
                for record in records
                for n, v in record.items()
                if isinstance(v, scalars) and v != ""
            }
        )
        > 1
    )


def beside_text(records: Sequence[dict[str, Any]], text: str) -> Match | None:
    """The likely pair where another column has texts or a few numbers: labels of the
    texts, their titles, longer texts, or what was marked in them. None where the texts
    stand alone, perhaps with dates, addresses and the like.
    """
    own, others, labels = _measure(text, records), [], []
    if marks := _marks(records):
        return Match("question_answer", {"question": text, "answer": marks})
    for name in dict.fromkeys(name for record in records for name in record):
        held = what_it_holds(name, values := [record.get(name) for record in records])
        title = "a name" in held and PEOPLE.isdisjoint(
            plain_name(name).split("_")
        )  # short titles look like names
        if (
            name != text
            and (not held or title)
            and (column := _measure(name, records)).is_text
        ):
            others.append(column)
        elif "number" in held and plain_name(name) not in _NOT_TEXT and name != text:
            labels += [name] * (
                len({*map(str, values)}) <= min(_LABELS, _SAME * len(values))
            )
    if not others:
        label = max(labels, key=lambda name: _name_score(name, "answer"), default="")
        return (
            Match("question_answer", {"question": text, "answer": label})
            if label
            else None
        )
    other = max(
        others,
        key=lambda each: (
            plain_name(each.name) in RIGHT,
            each.distinct > _DIFFERENT,
            each.length,
        ),
    )
    title = (
        other.distinct > _DIFFERENT
        and other.length < own.length
        and not _name_score(other.name, "answer")
    )
    question, answer = (other.name, text) if title else (text, other.name)
    return Match("question_answer", {"question": question, "answer": answer})


def _marks(records: Sequence[dict[str, Any]]) -> str:
    """The column that lists what was marked in the texts, "" without one."""
    half = len(records) / 2
    return next(
        (
            name
            for name in records[0]
            if sum(is_marked(each.get(name)) for each in records) > half
        ),
        "",
    )


def is_marked(value: Any) -> bool:
    """Whether a value lists what was marked in a text: each with its place, as lists or
    as objects.
    """
    items = value if isinstance(value, list) and value else [None]
    cells = [
        list(item.values())
        if isinstance(item, dict)
        else item
        if isinstance(item, list)
        else ()
        for item in items
    ]
    return all(
        sum(type(cell) is int for cell in own) > 1
        and any(isinstance(c, str) for c in own)
        for own in cells
    )


def right_options(value: Any) -> tuple[list[str], list[str]] | None:
    """The texts of the records that are marked as right in a list of options, and all
    other texts in it; None for anything else.
    """
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(item, dict) for item in value)
    ):
        return None
    right, others = list[str](), list[str]()
    for item in value:
        marks = [
            cell
            for name, cell in item.items()
            if plain_name(name).removeprefix("is_") in RIGHT
        ]
        texts = [cell for cell in item.values() if isinstance(cell, str)]
        named = [
            item[name]
            for name in Columns(item).find("text", "answer").values()
            if item[name] in texts
        ]
        if (
            len(marks) != 1
            or not isinstance(marks[0], bool)
            or not (named or len(texts) == 1)
        ):
            return None
        text = (named or texts)[0]
        right += [text.strip()] * marks[0]
        others += [other for other in texts if other != text or not marks[0]]
    return right, others


def asked_about(records: Sequence[dict[str, Any]], used: Sequence[str]) -> list[str]:
    """The columns that are not used though questions may be about them: lists of
    options, different texts, and names of pictures; but no people, dates and the like.
    """
    found = []
    for name in dict.fromkeys(
        name for record in records for name in record if name not in used
    ):
        values = [
            value
            for record in records
            if (value := record.get(name)) not in (None, "", [])
        ]
        own, held = _measure(name, records), what_it_holds(name, values)
        of_people = not PEOPLE.isdisjoint(plain_name(name).split("_"))
        text = (
            own.is_text
            and own.distinct > _DIFFERENT
            and (not held or ("name" in held and not of_people))
        )
        listing = 2 * sum(isinstance(value, list) for value in values) > len(records)
        pictures = 2 * sum(
            _MEDIA.fullmatch(str(value)) is not None for value in values
        ) > len(records)
        found += [name] * (text or listing or pictures)
    return found


def rival(records: Sequence[dict[str, Any]], mapping: Mapping[str, str]) -> str:
    """A column that may be one of those in `mapping`: of texts with the name of one and
    a number, such as "Answer 2" and gold_answer, of what was marked in the texts, or of
    longer texts above the questions. "" without one.
    """
    if plain_name(mapping.get("question", "")) in NAMES["text"] and (
        marks := _marks(records)
    ):
        return marks
    names = {
        _base_name(column) for field, column in mapping.items() if field != "system"
    }
    above, question = (
        "context" not in mapping,
        _measure(mapping.get("question", ""), records),
    )
    for column in dict.fromkeys(name for record in records for name in record):
        above &= column != question.name != ""
        if column not in mapping.values() and (own := _measure(column, records)).filled:
            longer = (
                own.is_text
                and own.distinct > _SAME
                and own.length > max(_LONG / 2, question.length)
            )
            if _base_name(column) in names or (above and longer):
                return column
    return ""


def _base_name(column: str) -> str:
    return re.sub(
        r"^(?:gold(?:en)?|correct|reference|expected|ideal|true)_|_?\d+$",
        "",
        plain_name(column),
    )


def _measure(name: str, records: Sequence[dict[str, Any]]) -> _Column:
    values = [record.get(name) for record in records]
    texts = [
        value.strip() for value in values if isinstance(value, str) and value.strip()
    ]
    if not texts:
        return _Column(name, 0, 0, 0, 0, 0)
    return _Column(
        name,
        len(texts) / len(values),
        mean(any(c.isalpha() for c in text) for text in texts),
        mean(text.endswith(_MARKS) for text in texts),
        len(set(texts)) / len(texts),
        mean(map(len, texts)),
    )


def _score(question: _Column, answer: _Column, columns: list[_Column]) -> float:
    score = 8 * _name_score(question.name, "question") + 8 * _name_score(
        answer.name, "answer"
    )
    score += 4 * (question.with_question_mark - answer.with_question_mark)
    score += question.distinct + answer.distinct
    longest = max(column.length for column in columns)
    score += 2 * answer.length / longest + question.length / longest
    labels = (
        question.distinct <= _SAME
        and answer.distinct > _DIFFERENT
        and question.length < answer.length
    )
    apart = columns.index(answer) - columns.index(question)
    return (
        score + 0.4 * (apart > 0) + 0.1 * (apart == 1) - 4 * labels
    )  # most answers stand right behind


def _name_score(column: str, field: str) -> float:
    """1 for a known name, less for a name that contains a known word."""
    name = plain_name(column)
    if name in NAMES[field]:
        return 1
    return (
        0.6
        if any(word in NAMES[field] and len(word) > 1 for word in name.split("_"))
        else 0
    )


def in_doubt(
    records: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]
) -> tuple[str, str] | None:
    """A column that holds something else than `mapping` says, only names options or is
    one, and why, a sentence.
    """
    for field, column in (
        (name, mapping[name]) for name in ("question", "answer") if name in mapping
    ):
        what = what_it_holds(column, [record.get(column) for record in records])
        bare = sum(
            str(record.get(column)).strip(" .)").isdecimal() for record in records
        )
        numbers = field == "question" and bare >= max(_CONSTANT, len(records) / 2)
        if numbers or (what and plain_name(column) in UNSURE):
            what = what or "numbers"
            return (
                column,
                f"The column {excerpt(column, width=40)!r} may not be the {field}: it holds {what}.",
            )
    answer = next(
        (
            mapping[name]
            for name in ("answer", "output", "completion")
            if name in mapping
        ),
        "",
    )
    lists_of = [
        cell
        for record in records
        if isinstance(cell := record.get(answer), list) and cell
    ]
    unmarked = sum(
        isinstance(cell[0], dict) and right_options(cell) is None for cell in lists_of
    )
    if "answer" in mapping and 2 * unmarked > len(records):
        return (
            answer,
            f"The column {excerpt(answer, width=40)!r} holds a list of records, and none is marked as right.",
        )
    first = {
        name: cell
        for name, cell in (records[0] if records else {}).items()
        if name != answer
    }
    options = Counter(_OPTION.sub("", plain_name(name)) for name in first)
    lists = [len(cell) for cell in first.values() if isinstance(cell, list)]
    unnamed = options.pop("column", 0)
    most = min(9, max([*options.values(), *lists], default=0))
    cells = [
        cell if isinstance(cell := record.get(answer), list) else [cell]
        for record in records
    ]
    given = [
        str(value) for values in cells for value in values if value not in (None, "")
    ]
    key = re.compile(r"[A-Ha-h]{1,4}" + f"|[0-{most}]" * (most > 2))
    if given and max(most, unnamed) > 2 and _mostly(given, key.fullmatch):
        return (
            answer,
            f"The column {excerpt(answer, width=40)!r} only names one of the options beside it.",
        )
    if plain_name(answer) == "a" and {"b", "c"} <= {
        plain_name(name) for record in records for name in record
    }:
        return (
            answer,
            f"The column {excerpt(answer, width=40)!r} seems to be the first of several options.",
        )
    return None


def what_it_holds(column: str, values: Sequence[Any]) -> str:
    """The content of a column that can't be questions or answers, such as "a name in
    most rows"; "" if it can be.
    """
    texts = [
        text for value in values if value is not None and (text := str(value).strip())
    ]
    if len(texts) < _FEWEST:
        return ""
    different = len(set(texts))
    if len(texts) >= _CONSTANT and different == 1:
        return f"the same in every row looked at: {excerpt(texts[0], width=40)!r}"
    for what, kind in _KINDS:
        if _mostly(texts, kind.fullmatch, _ADDRESS if "address" in what else _LONG):
            return f"{what} in most rows"
    of_people = len(PEOPLE.intersection(plain_name(column).split("_")))
    if (
        len(texts) > _FEWEST
        and (of_people or different > _DIFFERENT * len(texts))
        and _mostly(texts, _is_name)
    ):
        return "a name in most rows"
    return "a name in most rows" if of_people > 1 and _mostly(texts, bool) else ""


def _mostly(
    texts: Sequence[str], fits: Callable[[str], object], longest: int = _LONG
) -> bool:
    return sum(
        len(text) <= longest and bool(fits(text)) for text in texts
    ) >= _MOST * len(texts)


def _is_name(text: str) -> bool:
    """One to four capitalized words."""
    parts = text.split()
    capitalized = all(
        word[0].isupper() and word.strip(".,'’-").isalpha() for word in parts
    )
    return len(parts) <= 4 and text[-1] not in "!?:" and capitalized
