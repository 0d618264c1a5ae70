"""Gives names to the columns of JSON and YAML without any: lists of pairs, and objects
of questions and answers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, cycle
from typing import Any

from backend.datasets.chats.shape import nested_messages
from backend.datasets.convert.detect import CHAT_BY_NAME, Record, match
from backend.datasets.convert.messages import from_json
from backend.datasets.convert.shapes import SPEAKERS
from backend.datasets.read.cells import Cells, as_records, split_header, unique_names
from backend.datasets.read.file import File, OpenSource, each_object
from backend.datasets.read.header import known_columns
from backend.files.json_file import value_of
from backend.records.reading import ReadOptions, RowFault
from backend.records.rows import PassedOver, Proposal
from backend.text.normalize import QUESTION_MARKS

_FEW = 4  # texts, or words
_DEPTH = 6  # objects in objects
_SENTENCE = 10  # characters on average
_ENDS = tuple(".?!…。？！؟۔।։")
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff]|\S+"
)  # without spaces, a letter
_FENCED = re.compile(r"\s*```\w*\s(.*)```\s*", re.DOTALL)
_MOST = 0.8  # of the records
_MARKER = re.compile(
    r"<\|[^|<>]*\|>"
)  # a place in a chat at which nobody says anything


def open_records(
    records: Iterator[list[Record]], file: File, beside: list[PassedOver] | None = None
) -> OpenSource:
    """A source of records of JSON or YAML, whose parts get names. beside: what is in
    none of them. Lists of texts that differ in length may be conversations, or
    questions with several answers each: that is a guess.
    """
    records = filter(None, records)
    first = next(records, [])
    opened = OpenSource(_with_columns(chain([first] if first else [], records), file))
    opened.passed = [] if beside is None else beside
    if not file.options.shape and _has_alternatives([value for _, value in first]):
        opened.guess = "Read as conversations, in which the texts of a list take turns."
        opened.proposals = (
            Proposal("conversations", {"shape": "messages"}),
            Proposal("questions, several answers", {"shape": "question_answer"}),
        )
    return opened


def _with_columns(
    records: Iterator[list[Record]], file: File
) -> Iterator[list[Record]]:
    """The records, where lists become rows of a table, texts the JSON in them, and a
    single object its pairs or the records in it.
    """
    first = next(records, None)
    if first is None:
        return iter(())
    everything: Iterator[list[Record]] = chain([first], records)
    texts = [value for _, value in first if isinstance(value, str)]
    if 2 * sum(isinstance(value_of(_unfenced(text)), dict) for text in texts) > len(
        first
    ):
        everything = (
            [(line, _inside(value)) for line, value in batch] for batch in everything
        )
        return _with_columns(everything, file)
    chosen = file.options.shape == "question_answer"
    if chosen and _has_alternatives([value for _, value in first]):
        return (
            [pair for line, value in batch for pair in _alternatives(line, value)]
            for batch in everything
        )
    if len(texts) == len(first) and alternates(texts):
        return _by_turns(
            (
                (line, {"text": value})
                for line, value in chain.from_iterable(everything)
            ),
            "text",
        )
    if all(
        isinstance(value, dict) and len(value) == 1 and is_pairs(value)
        for _, value in first
    ):
        return each_object(
            everything, lambda _, pair: _pairs(pair) if len(pair) == 1 else [pair]
        )
    if len(first) == 1 and (
        inside := _pairs(first[0][1])
        if is_pairs(first[0][1])
        else _entries(first[0][1])
    ):
        if (second := next(records, None)) is None:
            return iter([[(first[0][0], record) for record in inside]])
        return chain([first, second], records)
    talks = all(_conversation(value, short=True) is not value for _, value in first)
    if talks and 2 * sum(
        _conversation(value) is not value for _, value in first
    ) >= len(first):  # else keywords
        return (
            [(line, _conversation(value, short=True)) for line, value in batch]
            for batch in everything
        )
    lists = [
        value
        for _, value in first
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    if 2 * len(lists) > len(first) and not any(
        isinstance(value, dict) for _, value in first
    ):
        if nested_messages([{"messages": value} for value in lists]) is not None:
            parts = (
                [(n, {"messages": v} if isinstance(v, list) else v) for n, v in batch]
                for batch in everything
            )
        else:
            parts = (
                [
                    (n, it)
                    for n, v in batch
                    for it in (v if isinstance(v, list) else [v])
                ]
                for batch in everything
            )
        return _with_columns(parts, file)
    if all(_is_row(value) for _, value in first):
        cells: Iterator[Cells] = (
            (line, _cells(value)) for batch in everything for line, value in batch
        )
        header, below, _ = split_header(cells)
        return as_records(below, header)
    return everything


def _unfenced(text: str) -> str:
    """The text without a fence of Markdown around it."""
    return fenced[1] if (fenced := _FENCED.fullmatch(text)) else text


def _inside(value: Any) -> Any:
    """The value of the JSON that a text is, or the fault in it; any other value as it
    is.
    """
    try:
        return (
            from_json(_unfenced(value), "example") if isinstance(value, str) else value
        )
    except RowFault as fault:
        return fault


def _has_alternatives(values: Sequence[Any]) -> bool:
    """Whether values are lists of texts, of which the first may be a question and the
    others its answers: nothing says that they alternate, since they differ in length,
    and not all are pairs or all of several turns in full.
    """
    texts = [
        value
        for value in values
        if isinstance(value, list) and all(isinstance(text, str) for text in value)
    ]
    lengths = {len(value) for value in texts}
    in_turn = all(length > 2 and length % 2 == 0 for length in lengths)
    several = len(texts) == len(values) and len(lengths) > 1 and max(lengths) > 2
    return several and not in_turn and not known_columns(texts[0])


def _alternatives(line: int, value: Any) -> list[Record]:
    cells = _cells(value)
    if isinstance(cells, RowFault):
        return [(line, cells)]
    return [(line, {"question": cells[0], "answer": text}) for text in cells[1:]]


def _entries(value: Any, depth: int = _DEPTH) -> list[dict[str, Any]]:
    """The records in an object that has them by their ids or topics, each with these;
    [] for anything else.
    """
    if not isinstance(value, dict) or not depth or match(value) is not None:
        return []
    lists = {
        name: inner
        if isinstance(inner, list) and not _is_row(inner)
        else _entries(inner, depth - 1)
        for name, inner in value.items()
        if inner != []
    }
    items = [
        (name, item)
        for name, inside in lists.items()
        for item in inside or [value[name]]
    ]
    counted = Counter(
        name for _, item in items if isinstance(item, dict) for name in item
    )
    usual = {name for name, count in counted.items() if count > _MOST * len(items)}
    alike = sum(
        isinstance(item, dict) and 2 * len(usual & item.keys()) > len(item)
        for _, item in items
    )
    listed = (
        depth < _DEPTH and all(lists.values()) and not nested_messages([value])
    )  # a topic in an object of topics
    if (len(items) < _FEW and not listed) or alike < _MOST * len(items):
        return []
    return [
        {unique_names([*item, "key"])[-1]: name, **item}
        if isinstance(item, dict)
        else item
        for name, item in items
    ]


def rearrange(opened: OpenSource, options: ReadOptions) -> None:
    """Turns a table round whose first column has the names, or whose answers stand
    below their questions.
    """
    if opened.is_chosen(options):
        return
    sample = [record for _, record in opened.sample()]
    records = [record for record in sample if isinstance(record, dict) and record]
    if not records:
        return
    rows = [[str(cell or "") for cell in record.values()] for record in records]
    first_cells = [
        next(iter(record.values()), "") if isinstance(record, dict) else ""
        for record in sample
    ]
    if len(records[0]) == 1 and alternates([str(cell or "") for cell in first_cells]):
        opened.records = _by_turns(chain.from_iterable(opened.records), *records[0])
        return
    if len(records) < len(sample):
        return
    header = [*records[0]]
    rows = (
        rows if all(name.startswith("column ") for name in header) else [header, *rows]
    )
    first = [row[0] for row in rows]
    if len(rows) > _FEW or len(header) <= len(rows):
        return
    if not known_columns(first):
        if len(rows) != 2 or not alternates(
            [cell for pair in zip(*rows, strict=False) for cell in pair]
        ):
            return
        first, rows = ["question", "answer"], [["", *row] for row in rows]
    turned = zip(*(row[1:] for row in rows), strict=False)
    opened.records = iter(
        [
            [
                (at, dict(zip(first, cells, strict=True)))
                for at, cells in enumerate(turned, 2)
            ]
        ]
    )


def _by_turns(rows: Iterator[Record], column: str) -> Iterator[list[Record]]:
    """Each row with the one below it. One that can't be read is a row of its own, and
    leaves a pair with one text.
    """
    for line, question in rows:
        pair: list[Record] = [(line, question), next(rows, (0, {}))]
        q, a = (
            value.get(column, "") if isinstance(value, dict) else ""
            for _, value in pair
        )
        yield [
            *(row for row in pair if not isinstance(row[1], dict)),
            (line, {"question": q, "answer": a}),
        ]


def alternates(texts: Sequence[str]) -> bool:
    """Whether texts are questions and answers in turn."""
    asks = [text.rstrip().endswith(QUESTION_MARKS) for text in texts]
    return (
        len(asks) >= _FEW
        and sum(asks[::2]) >= 0.8 * len(asks[::2])
        and sum(asks[1::2]) <= 0.2 * len(asks[1::2])
    )


def _turns(value: Any, short: bool = False) -> list[dict[str, str]]:
    """The messages of a list in which speakers take turns: texts (more than a pair),
    pairs, or objects of one name each that is a role. [] for anything else. short: the
    texts may all be a few words, as keywords are.
    """
    if not isinstance(value, list) or len(value) < 2:
        return []
    messages = [message for item in value if (message := _message(item))]
    if len(messages) == len(value):
        return messages
    if all(isinstance(item, list) and len(item) == 2 for item in value):
        value = [text for pair in value for text in pair]
    elif len(value) == 2:
        return []
    if not all(isinstance(text, str) for text in value) or sum(
        map(len, value)
    ) < _SENTENCE * len(value):
        return []
    if not short and all(
        not text.rstrip().endswith(_ENDS) and len(_WORD.findall(text)) < _FEW
        for text in value
    ):
        return []
    turns = zip(value, cycle(("user", "assistant")))
    return [
        {"role": role, "content": text}
        for text, role in turns
        if text and not _MARKER.fullmatch(text)
    ]


def _message(value: Any) -> dict[str, str]:
    """The message of an object that has one name, which is a role, and a text; {} for
    anything else.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return {}
    ((name, text),) = value.items()
    role = SPEAKERS.get(name.casefold()) if isinstance(text, str) else None
    return {"role": role, "content": text} if role else {}


def _conversation(value: Any, short: bool = False) -> Any:
    """The record with the list in which speakers take turns as messages; as it is
    without one. short: as above.
    """
    if talk := _turns(value, short):
        return {"messages": talk}
    if message := _message(value):
        return message
    if isinstance(value, dict):
        named = match(value)
        for name, inner in sorted(value.items(), key=lambda item: not _turns(item[1])):
            if (named is None or name in CHAT_BY_NAME) and (
                talk := _turns(inner, short)
            ):
                return {
                    **{other: cell for other, cell in value.items() if other != name},
                    "messages": talk,
                }
    return value


def _is_row(value: Any) -> bool:
    many = isinstance(value, list) and len(value) > 1
    return many and all(
        cell is None or isinstance(cell, (str, int, float)) for cell in value
    )


def _cells(value: Any) -> list[str] | RowFault:
    if isinstance(value, RowFault):
        return value
    if not _is_row(value):
        return RowFault(
            "not_an_object",
            "This example is not a list of texts, as the others are.",
            "Correct it.",
        )
    return ["" if cell is None else str(cell) for cell in value]


def is_pairs(value: Any) -> bool:
    """Whether an object has questions as its names and answers as its values."""
    if not isinstance(value, dict) or not value or match(value) is not None:
        return False
    texts = all(isinstance(answer, str) for answer in value.values())
    return texts and sum(
        " " in key.strip() or key.rstrip().endswith(("?", "？")) for key in value
    ) > 0.8 * len(value)


def _pairs(value: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"question": question, "answer": answer} for question, answer in value.items()
    ]
