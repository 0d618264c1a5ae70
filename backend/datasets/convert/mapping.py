"""The conversion plan of a file: by the user's options, else by the shape of most rows."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from backend.datasets.convert.detect import Record, match
from backend.datasets.convert.fields import numeric_columns
from backend.datasets.convert.propose import (
    MOST,
    as_proposal,
    beside,
    is_sure,
    propose,
)
from backend.datasets.convert.shapes import (
    SHAPES,
    Columns,
    complete,
    listed,
)
from backend.errors import BadInput
from backend.records.reading import ReadOptions, RowFault
from backend.records.rows import Column, Proposal, columns_of
from backend.text.excerpt import excerpt

_MAX_SIGNATURES = 1_000  # sets of columns with a remembered mapping
_CHATS = frozenset({"messages", "sharegpt"})
# Shapes whose names nothing else has.
_DOCUMENTED = _CHATS | {"alpaca", "prompt_completion", "preference", "kto"}
_FEW = 10  # rows beside conversations that have a fault each
_MANY = 20  # faults of a file of which nothing can be read


class NoExamples(BadInput):
    """No column of a file can be a question, an answer or a text."""


@dataclass
class Plan:
    """How the rows of one file are converted, and what was seen so far. lenient: other
    role names (human, gpt) are accepted. fixed: it holds for every row. guessed: by
    content. used: fields with the columns that any row has them in. columns: all seen.
    unused_keys: in messages. others: why and text. numbers: columns of which every cell
    is one.
    """

    shape: str
    mapping: Mapping[str, Column]
    lenient: bool = False
    fixed: bool = False
    guessed: bool = False
    used: dict[tuple[str, Column], None] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    unused_keys: set[str] = field(default_factory=set)
    others: list[tuple[str, str]] = field(default_factory=list)
    numbers: Set[str] = frozenset()
    proposals: Sequence[Proposal] = ()
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
    chosen = options.shape is not None or options.mapping
    plan = (
        _from_options(records, options)
        if chosen
        else _from_content(sample, records, options)
    )
    _require("column", options.only, _columns_of(records), plan.shape)
    return plan


def _from_content(
    sample: Sequence[Record], records: list[dict[str, Any]], options: ReadOptions
) -> Plan:
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
    shape, mapping, first = _by_names(sample)
    likely = (
        [] if shape in _DOCUMENTED else propose(records, options.task, options.only)
    )
    if shape and _needs_no_guess(shape, mapping, records, likely):
        return Plan(
            shape,
            mapping,
            lenient=_is_lenient(records, shape, mapping),
            _first_lines={shape: first},
        )
    if shape in ("question_answer", "text") and options.task != "extract":
        named: dict[str, Column] = {**mapping}
        others = [other for other in likely if other != named]
        likely = [named, *others] if shape != "text" or not others else likely
    if not likely:
        columns = _columns_of(records)
        raise NoExamples(
            "No examples were found in this file.",
            f"Its columns are: {listed(columns)}."
            if columns
            else "Its lines have no column names.",
            "An example is a conversation (messages), or a question with its answer.",
        )
    return Plan(
        "text" if "text" in likely[0] else "question_answer",
        likely[0],
        fixed=True,
        guessed=True,
        numbers=numeric_columns(records, columns_of(likely[0])),
        proposals=[as_proposal(each) for each in likely[:MOST]],
    )


def _by_names(sample: Sequence[Record]) -> tuple[str, Mapping[str, str], int]:
    """The shape of most rows that have one by the names of their columns, the columns
    of its fields, and the line of the first such row; "" where no row has one.
    """
    objects = [(line, own) for line, own in sample if isinstance(own, dict) and own]
    matches = [(line, found) for line, own in objects if (found := match(own))]
    votes = Counter(found.shape for _, found in matches).most_common(1)
    others = len(objects) - len(matches)
    known = _FEW if votes and votes[0][0] in _CHATS else len(matches)
    if not votes or others > max(known, len(matches)):
        return "", {}, 0
    shape, mapping = votes[0][0], dict[str, str]()
    for _, found in matches:
        if found.shape == shape:
            mapping = {**found.mapping, **mapping}
    return shape, mapping, next(n for n, found in matches if found.shape == shape)


def _needs_no_guess(
    shape: str,
    mapping: Mapping[str, str],
    records: Sequence[dict[str, Any]],
    likely: Sequence[Mapping[str, Column]],
) -> bool:
    """Whether the names of the columns leave no doubt: no other column may be a
    question or an answer.
    """
    if shape == "text":
        pairs = any("question" in reading for reading in likely)
        return not pairs and not beside(records, mapping)
    return shape in _DOCUMENTED or is_sure(records, mapping)


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
    columns = _columns_of(records)
    fields = SHAPES[shape].fields
    _require("field", mapping, fields, shape)
    _require("column", columns_of(mapping), columns, shape)
    if not mapping:
        mapping = {**Columns(columns).find(*SHAPES[shape].fields)}
        prompt = Columns(columns).find("pair_prompt")
        if shape in ("preference", "kto") and "prompt" not in mapping and prompt:
            mapping["prompt"] = prompt["pair_prompt"]
    if not complete(shape, mapping):
        raise BadInput(
            f"Some columns for {SHAPES[shape].title} are missing.",
            "It needs "
            + " and ".join(" or ".join(group) for group in SHAPES[shape].required)
            + ".",
            f"Choose the column of each, or another format; the columns are: {listed(columns)}.",
        )
    return Plan(
        shape,
        mapping,
        fixed=True,
        lenient=_is_lenient(records, shape, mapping),
        numbers=numeric_columns(records, columns_of(mapping)),
    )


def _columns_of(records: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    """The columns that any record has, in the file's order."""
    return dict.fromkeys(column for record in records for column in record)


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
