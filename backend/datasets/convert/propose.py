"""Proposes how the rows of a table become examples, where their columns' names don't
say: at most four readings, best first, by one score.

A proposal is shown, never trained on unseen, so it only has to be likely: names of
columns that people use, cells that ask, texts that differ from each other.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import permutations
from statistics import mean
from typing import Any

from backend.datasets.convert.shapes import NAMES, RIGHT, UNSURE, listed, plain_name
from backend.records.rows import Column, Proposal, columns_of
from backend.text.excerpt import excerpt
from backend.text.normalize import QUESTION_MARKS

MOST = 4  # proposals
_FEWEST = 2  # rows; one alone may be anything
_WIDEST = 12  # columns of which every pair is scored
_CONSTANT = 5  # rows; what all of so many share is neither asked nor answered
_PROSE = 20  # characters of a cell, on average, of a text to learn
# A date, a time, an amount, an id, an address or a path: no words.
# A picture's name is none of these: a question may be about the picture.
_CODE = re.compile(
    r"(?!\S+\.(?:png|jpe?g|gif|webp|mp3|wav|mp4)\Z)"
    r"(?:[\W\d_]*|[!-~]*[@/\\\d][!-~]*|(?:(?:^| )[!-/:-~]*\d[!-~]* \w{2,9}\.?)+ ?\d*)"
)
_BEGINNING = 200  # characters that show it; the pattern's time grows with their square
_NOT_TEXT = frozenset(
    "id uuid index date time timestamp url link split lang language source".split()  # noqa: SIM905
)
# Weights of the score, all of shares from 0 to 1, set by hand. Of the 195 files of the
# corpus with several columns and a right pair among them, the first reading is right
# for 176. Halving, doubling or dropping a weight to suit every second one won two of
# those 98, and one of the other 97.
_NAME, _ASKS, _WORDS, _WHOLE = 8, 4, 3, 3
_DIFFERENT, _LENGTH, _ORDER, _LABELS = 1, 2, 0.5, 4
_KNOWN_WORD = 0.6  # of the weight of a name that only contains a known word


class _Column:
    """A column of the first rows. cells: their texts, "" for an empty or nested one."""

    def __init__(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        values = [record.get(name) for record in records]
        self.cells = [_text(value) for value in values]
        nested = sum(
            isinstance(value, (list, dict)) and bool(value) for value in values
        )
        self.nested = 2 * nested > len(values)
        self._own = [cell for cell in self.cells if cell]

    def _share(self, matching: Iterable[object]) -> float:
        return mean([bool(one) for one in matching]) if self._own else 0

    @cached_property
    def filled(self) -> float:
        return len(self._own) / len(self.cells)

    @cached_property
    def words(self) -> float:
        return self._share(not _CODE.fullmatch(cell[:_BEGINNING]) for cell in self._own)

    @cached_property
    def asks(self) -> float:
        return self._share(cell.endswith(QUESTION_MARKS) for cell in self._own)

    @cached_property
    def distinct(self) -> float:
        return len({*self._own}) / max(1, len(self._own))

    @cached_property
    def length(self) -> float:
        return mean(map(len, self._own)) if self._own else 0

    @cached_property
    def constant(self) -> bool:
        return len(self._own) >= _CONSTANT and len({*self._own}) == 1

    @property
    def is_text(self) -> bool:
        """Whether its cells are words that differ, and not names or codes of rows."""
        return self.words > 0.5 and not self.of_rows and not self.constant

    @property
    def of_rows(self) -> bool:
        """Whether it names or places its rows, such as a date and an id do."""
        name = plain_name(self.name)
        return name in _NOT_TEXT or name.endswith("_id")

    @property
    def may_answer(self) -> bool:
        """Whether its cells are words or labels, or its name is that of answers."""
        labels = self.distinct <= 0.5 and not self.of_rows
        return self.is_text or self.named("answer") > 0 or labels

    def named(self, field: str) -> float:
        """1 for a usual name of the field, less for a name with such a word in it."""
        name = plain_name(self.name)
        if name in NAMES[field]:
            return 1
        words = (word for word in name.split("_") if len(word) > 1)
        return _KNOWN_WORD * any(word in NAMES[field] for word in words)


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "\n".join(value)
    return str(value).strip() if isinstance(value, (str, int, float)) else ""


def propose(
    records: Sequence[Mapping[str, Any]], task: str = "", apart: Collection[str] = ()
) -> list[dict[str, Column]]:
    """The likely columns of question and answer, best first, or of texts to learn from;
    [] for a single row or column without words. task: "extract" puts the fields of a text
    first. apart: columns that are neither, since they choose the rows.
    """
    if len(records) < _FEWEST:
        return []
    names = dict.fromkeys(name for record in records for name in record)
    free = [_Column(name, records) for name in names if name not in apart]
    every = [own for own in free if own.filled]
    texts = [own for own in every if own.is_text]
    scored = sorted(_pairs(texts, every), key=lambda pair: -pair[0])
    found: list[dict[str, Column]] = [
        {"question": question, "answer": answer} for _, question, answer in scored
    ]
    longest = max(texts, key=lambda own: own.length, default=None)
    if longest is None:  # only numbers and codes
        pair = [own.name for own in every[:2]]
        return [{"question": pair[0], "answer": pair[1]}] if pair[1:] else []
    fields = tuple(
        own.name
        for own in every
        if own is not longest and not own.constant and 2 * own.length <= longest.length
    )
    plain: dict[str, Column] = {"text": longest.name}
    alone = len(texts) == 1 and longest.length >= _PROSE
    whole = [plain] * (longest.length >= _PROSE or len(every) == 1)
    object_: list[dict[str, Column]] = (
        [{"question": longest.name, "answer": fields}] if fields[1:] else []
    )
    if task == "extract":
        ranked = [*object_, *found[:2], *whole]
    elif alone and not (scored and scored[0][0] >= _NAME):
        ranked = [*whole, *found[:2], *object_]
    else:
        ranked = [*found[:2], *object_, *whole, *found[2:]]
    return ranked[:MOST] or [plain]


def _pairs(
    texts: Sequence[_Column], every: Sequence[_Column]
) -> Iterator[tuple[float, str, str]]:
    """The score of each pair of columns, question first. Answers may be labels."""
    likely = [own for own in every if own.may_answer][:_WIDEST]
    if len(likely) < 2:
        likely = [own for own in every if not own.of_rows][:_WIDEST]
    longest = max((own.length for own in likely), default=1)
    for question, answer in permutations(likely, 2):
        if question not in texts or question.nested or answer.constant:
            continue
        both = [
            (a, b) for a, b in zip(question.cells, answer.cells, strict=True) if a and b
        ]
        bare = [("".join(a.split()), "".join(b.split())) for a, b in both]
        whole = sum(a != b for a, b in bare) / len(question.cells)
        if 2 * sum(a == b for a, b in bare) > len(bare):  # a text and its copy
            continue
        after = every.index(answer) > every.index(question)
        yield (
            _NAME * (question.named("question") + answer.named("answer"))
            + _ASKS * (question.asks - answer.asks)
            + _WORDS * (question.words + answer.words)
            + _WHOLE * whole
            + _DIFFERENT * (question.distinct + answer.distinct)
            + _LENGTH * (answer.length + question.length / 2) / longest
            + _ORDER * after
            - _LABELS * (question.distinct < 0.3 < answer.distinct),
            question.name,
            answer.name,
        )


def is_sure(records: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]) -> bool:
    """Whether the columns of question and answer, found by their names, need no
    confirmation: they hold what the names say, and no column beside them may be one.
    """
    asked = _Column(mapping["question"], records)
    said = _Column(mapping["answer"], records)
    if not UNSURE.isdisjoint((plain_name(asked.name), plain_name(said.name))):
        return False
    letters = any(map(str.isalpha, "".join(asked.cells)))
    if (len(records) >= _CONSTANT and not letters) or (said.nested and not said.filled):
        return False
    used = {*mapping.values()}
    bases = {_base(own) for own in used}
    for name in dict.fromkeys(name for record in records for name in record):
        if name in used or name.startswith("column "):
            continue
        own = _Column(name, records)
        longer = own.length > said.length and own.distinct > 0.5
        marked = plain_name(name).removeprefix("is_") in RIGHT
        text = own.filled and longer and (own.is_text or own.nested)
        options = own.nested and said.length < _PROSE
        if text or options or (own.filled and (_base(name) in bases or marked)):
            return False
    return True


def _base(column: str) -> str:
    """A name without a number at its end, as "Answer 2" has one beside "Answer"."""
    name = plain_name(column)
    return re.sub(r"^(?:gold(?:en)?|reference|expected|ideal|true)_|_?\d+$", "", name)


def beside(
    records: Sequence[Mapping[str, Any]], mapping: Mapping[str, Column]
) -> list[str]:
    """The columns that are not used though questions may be about them: lists of
    options, and texts that differ.
    """
    used = columns_of(mapping)
    names = dict.fromkeys(name for record in records for name in record)
    unused = (_Column(name, records) for name in names if name not in used)
    return [
        own.name for own in unused if own.nested or (own.is_text and own.distinct > 0.5)
    ]


def as_proposal(mapping: Mapping[str, Column]) -> Proposal:
    """A reading as the page and the command line offer it."""
    named = (
        f"{field} = {listed(columns_of({field: own}))}"
        for field, own in mapping.items()
    )
    options = {
        "mapping": {
            field: own if isinstance(own, str) else list(own)
            for field, own in mapping.items()
        },
    }
    return Proposal(excerpt(", ".join(named), width=200), options)
