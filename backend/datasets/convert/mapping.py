"""The conversion plan of a file: by the user's options, else by the shape of most rows."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from backend.datasets.convert.detect import Record, match
from backend.datasets.convert.fields import EMPTY, number_of
from backend.datasets.convert.guess_columns import (
    beside_text,
    can_choose,
    guess,
    in_doubt,
    lacks_answers,
    offer,
    rival,
)
from backend.datasets.convert.shapes import (
    SHAPES,
    Columns,
    complete,
    listed,
    plain_name,
)
from backend.errors import BadInput
from backend.records.reading import ReadOptions, RowFault
from backend.records.rows import Column, columns_of
from backend.text.excerpt import excerpt

_MAX_SIGNATURES = 1_000  # sets of columns with a remembered mapping
_MANY = 20  # faults of a file of which nothing can be read
_FEWER, _FEW = (
    2,
    10,
)  # rows with a fault each beside conversations: of a table, and of nothing that is known


class NoExamples(BadInput):
    """The columns of readable rows can't be identified. columns: their names. likely:
    {field: name}, best first.
    """

    likely: Sequence[Mapping[str, str]] = ()

    def __init__(
        self,
        what: str,
        why: str = "",
        next: str = "",  # noqa: A002
        columns: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, why, next)
        self.columns = columns


class SeveralReadings(NoExamples):
    """What a file holds may be read in several ways. shapes: these, the likely one
    first; one answers the question. what, why: the question
    """

    def __init__(self, shapes: tuple[str, ...], why: str, what: str = "") -> None:
        what = what or "Is this a list of examples, or a text to learn from as a whole?"
        super().__init__(what, why, "Choose what it is.", shapes)
        self.shapes = shapes


@dataclass
class Plan:
    """How the rows of one file are converted, and what was seen so far. lenient: other
    role names (human, gpt) are accepted. fixed: it holds for every row. guessed: by
    content. rival: a column that may be one of them. used: fields with the columns that
    any row has them in. columns: all seen. unused_keys: in messages. others: why and
    text. only: as in ReadOptions. numbers: columns of which every cell is one.
    """

    shape: str
    mapping: Mapping[str, Column]
    lenient: bool = False
    fixed: bool = False
    guessed: bool = False
    rival: str = ""
    used: dict[tuple[str, Column], None] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    unused_keys: set[str] = field(default_factory=set)
    others: list[tuple[str, str]] = field(default_factory=list)
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: Set[str] = frozenset()
    _known: dict[tuple[str, ...], tuple[str, Mapping[str, Column]]] = field(
        default_factory=dict
    )
    _first_lines: dict[str, int] = field(default_factory=dict)

    def mapping_for(self, record: dict[str, Any], line: int) -> Mapping[str, Column]:
        """The columns of this record's fields. Raises RowFault for another shape or a
        missing field.
        """
        signature = tuple(record)
        known = self._known.get(signature)
        if known is None:
            self.columns.update(dict.fromkeys(signature))
            known = self._fields_of(record)
            if len(self._known) < _MAX_SIGNATURES:
                self._known[signature] = known
            if known[0] == self.shape:
                self.used.update(dict.fromkeys(known[1].items()))
        shape, mapping = known
        first = self._first_lines.setdefault(shape, line)
        if shape != self.shape:
            raise RowFault(
                "mixed_shapes",
                f"This file mixes two formats: {SHAPES[self.shape].title} (first on line "
                f"{self._first_lines.get(self.shape, 1)}) and {SHAPES[shape].title} (first on line {first}). "
                "This example has the second one.",
                "Put the two formats into two files, or convert one of them.",
            )
        return mapping

    def _fields_of(self, record: dict[str, Any]) -> tuple[str, Mapping[str, Column]]:
        """The shape of a record and the columns of its fields. Raises RowFault."""
        present = {
            name: columns
            for name, columns in self.mapping.items()
            if not record.keys().isdisjoint(columns_of({name: columns}))
        }
        if self.fixed and complete(self.shape, present):
            return self.shape, present
        if matched := match(record):
            return matched.shape, matched.mapping
        first = [group[0] for group in SHAPES[self.shape].required]
        wanted = columns_of({name: self.mapping.get(name, name) for name in first})
        missing = sorted({*wanted} - {*record})
        raise RowFault(
            "missing_field",
            f"This example has no {' and no '.join(map(repr, missing)) or 'column that the others have'}.",
            "Add it, or remove this example.",
            excerpt("has: " + ", ".join(record)),
        )


def make_plan(sample: Sequence[Record], options: ReadOptions) -> Plan:
    """The plan for a file that starts with `sample`: by `options` if they choose it,
    else by the shape of most rows. Raises BadInput when the rows are not examples, or
    when the options name something that does not exist.
    """
    records = [value for _, value in sample if isinstance(value, dict) and value]
    if options.shape is not None or options.mapping:
        return _from_options(records, options)
    faults = [value for _, value in sample if isinstance(value, RowFault)]
    if not records and sum(fault.kind == "bad_json" for fault in faults) >= _MANY:
        how = "Save it as JSON or as a table (.csv) with the program that made it."
        raise BadInput(
            "Nothing in this file can be read as JSON, as which it begins.",
            faults[0].message,
            how,
        )
    if not records and faults:
        return Plan(
            "messages", {"messages": "messages"}
        )  # nothing is readable, and each row has its own fault
    if lacks_answers(records):
        raise NoExamples(
            "This file holds no answers.",
            "Each row is a ticket, with what was asked and not what was answered.",
            "Export the comments of the tickets too, and choose that file.",
        )
    readable = (
        (line, match(value))
        for line, value in sample
        if isinstance(value, dict) and value
    )
    matches = [(line, matched) for line, matched in readable if matched is not None]
    guessed = guess(records) if len(records) > max(1, 2 * len(matches)) else None
    votes = Counter(matched.shape for _, matched in matches)
    shape = votes.most_common(1)[0][0] if votes else ""
    few = len(records) - len(matches) <= (
        _FEWER if guessed and guessed.mapping else _FEW
    )
    if (
        few
        and shape in ("messages", "sharegpt")
        and guessed
        and (guessed.doubt or not guessed.mapping)
    ):
        guessed = None  # its other rows have a fault each
    if matches and guessed is None:
        mapping: dict[str, str] = {}
        for _, matched in matches:
            if matched.shape == shape:
                mapping.update(
                    {
                        name: c
                        for name, c in matched.mapping.items()
                        if name not in mapping
                    }
                )
        if shape == "question_answer" and (doubt := in_doubt(records, mapping)):
            return Plan(shape, _without(*doubt, records), fixed=True)
        if shape == "text" and (pair := beside_text(records, mapping["text"])):
            return Plan(pair.shape, pair.mapping, fixed=True, guessed=True)
        if other := rival(records, mapping):
            return Plan(shape, mapping, fixed=True, guessed=True, rival=other)
        first = next(line for line, matched in matches if matched.shape == shape)
        return Plan(
            shape,
            mapping,
            lenient=_is_lenient(records, shape, mapping),
            _first_lines={shape: first},
        )
    if guessed is None:
        columns = dict.fromkeys(column for record in records for column in record)
        raise NoExamples(
            "No examples were found in this file.",
            f"Its columns are: {listed(columns)}."
            if columns
            else "Its lines have no column names.",
            "An example is a conversation (messages), or a question with its answer."
            + " If yours have other names, choose which column is which."
            * can_choose(records),
            tuple(columns) if can_choose(records) else (),
        )
    if not guessed.mapping:
        raise NoExamples(
            "This file holds no answers.",
            guessed.doubt,
            "Export it with who wrote each comment.",
        )
    if guessed.doubt:
        raise _which(guessed.doubt, records)
    return Plan(guessed.shape, guessed.mapping, fixed=True, guessed=True)


def _without(
    doubtful: str, why: str, records: Sequence[dict[str, Any]]
) -> dict[str, str]:
    """The columns of questions and answers, by their names, apart from the one in
    doubt. Raises NoExamples.
    """
    columns = dict.fromkeys(
        column for record in records for column in record if column != doubtful
    )
    mapping = Columns(columns).find("question", "answer", "context", "system")
    distinct = len({*mapping.values()}) == len(mapping)
    if not (distinct and complete("question_answer", mapping)) or in_doubt(
        records, mapping
    ):
        raise _which(why, records)
    return mapping


def _which(doubt: str, records: Sequence[dict[str, Any]]) -> NoExamples:
    filled = (
        n
        for record in records
        for n, cell in record.items()
        if cell or not n.startswith("column ")
    )
    columns = tuple(dict.fromkeys(filled))
    speaker = next(
        (column for column in columns if plain_name(column) in ("speaker", "role")), ""
    )
    rename = f" If each row is a message, by whom {speaker!r} says, rename the column of its text to 'text'."
    likely = offer(records)
    used = [*likely[0].values()] if likely else []
    first = next((record for record in records if all(map(record.get, used))), {})
    cells = {
        name: excerpt(" ".join(str(first.get(name, "")).split()), width=60)
        for name in used
    }
    shown = ", ".join(
        f"{excerpt(repr(name), width=60)} (“{cell}”)" for name, cell in cells.items()
    )
    proposal = (
        f" Most likely {'question and answer' if used[1:] else 'a text to learn from'}: {shown}."
        if used
        else ""
    )
    error = NoExamples(
        "Which column holds the questions, and which the answers?",
        f"That is not clear. {doubt}{rename if speaker else ''}{proposal}",
        "Choose the column of each.",
        columns,
    )
    error.likely = likely
    return error


def _from_options(records: list[dict[str, Any]], options: ReadOptions) -> Plan:
    mapping = {
        name: own if isinstance(own, str) else tuple(own)
        for name, own in (options.mapping or {}).items()
    }
    shape = options.shape
    if shape is None:
        fitting = [
            name
            for name, s in SHAPES.items()
            if set(mapping) <= set(s.fields) and complete(name, mapping)
        ]
        shape = fitting[0] if fitting else ""
    if shape not in SHAPES:
        raise BadInput(
            f"There is no format {shape[:40]!r}."
            if shape
            else "These columns are not enough for an example.",
            "",
            "The formats are: "
            + "; ".join(f"{name} ({', '.join(s.fields)})" for name, s in SHAPES.items())
            + ".",
        )
    columns = dict.fromkeys(column for record in records for column in record)
    fields = SHAPES[shape].fields
    _require("field", mapping, fields, shape)
    _require("column", (*columns_of(mapping), *options.only), columns, shape)
    if not mapping:
        mapping = {**Columns(columns).find(*SHAPES[shape].fields)}
        prompt = Columns(columns).find("pair_prompt")
        if shape in ("preference", "kto") and "prompt" not in mapping and prompt:
            mapping["prompt"] = prompt["pair_prompt"]
    if not complete(shape, mapping):
        raise NoExamples(
            f"Some columns for {SHAPES[shape].title} are missing.",
            "It needs "
            + " and ".join(" or ".join(group) for group in SHAPES[shape].required)
            + ".",
            f"Rename the columns that hold this, or choose another format; the columns are: {listed(columns)}.",
            tuple(columns)
            if "messages" not in SHAPES[shape].required[0]
            else (),  # these are asked for as two
        )
    return Plan(
        shape,
        mapping,
        fixed=True,
        lenient=_is_lenient(records, shape, mapping),
        only=options.only,
        numbers=_numbers(records, columns_of(mapping)),
    )


def _require(
    what: str, chosen: Iterable[str], available: Collection[str], shape: str
) -> None:
    """Raises BadInput for a chosen field or column that does not exist."""
    for name in chosen:
        if name not in available:
            raise BadInput(
                f"The {what} {name[:60]!r} does not exist.",
                f"You chose it for {SHAPES[shape].title}.",
                f"Available: {listed(available)}.",
            )


def _numbers(records: Sequence[dict[str, Any]], columns: Sequence[str]) -> Set[str]:
    """The columns in which every cell that is not empty is a number."""
    cells = {
        column: [own for record in records if (own := record.get(column)) not in EMPTY]
        for column in columns
    }
    return {
        column
        for column, own in cells.items()
        if own and all(number_of(cell) is not None for cell in own)
    }


def _is_lenient(
    records: list[dict[str, Any]], shape: str, mapping: Mapping[str, Column]
) -> bool:
    """Whether most rows use human and gpt (or similar) instead of user and assistant."""
    if shape != "messages":
        return True
    chats = [
        chat
        for record in records
        if isinstance(chat := record.get(str(mapping["messages"])), list)
    ]
    last = [
        message for chat in chats for message in chat[-2:] if isinstance(message, dict)
    ]
    usual = sum(
        message.get("role") in ("system", "user", "assistant", "tool", "developer")
        for message in last
    )
    parts = sum("parts" in message and "content" not in message for message in last)
    return 2 * usual <= len(last) != 0 or 2 * parts > len(last)
