"""Turns JSON and YAML without column names into records: lists of pairs, and objects of questions and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from backend.datasets.convert.detect import Record, match
from backend.datasets.read.delimited import Cells, as_records, split_header
from backend.errors import BadInput
from backend.records.reading import Limits, RowFault

_LARGEST = 32_000_000  # characters of YAML


def with_columns(records: Iterator[list[Record]]) -> Iterator[list[Record]]:
    """The records, where lists become rows of a table, and a single object of texts its pairs."""
    records = filter(None, records)
    first = next(records, None)
    if first is None:
        return iter(())
    everything = chain([first], records)
    if first and all(_is_row(value) for _, value in first):
        return _rows(record for batch in everything for record in batch)
    if first and all(isinstance(value, dict) and len(value) == 1 and _pairs(value) for _, value in first):
        return ([_paired(record) for record in batch] for batch in everything)
    if len(first) == 1 and _pairs(first[0][1]):
        second = next(records, None)
        if second is None:
            line, value = first[0]
            return iter([[(line, {"question": question, "answer": answer}) for question, answer in value.items()]])
        return chain([first, second], records)
    return everything


def _is_row(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(cell is None or isinstance(cell, (str, int, float)) for cell in value)
    )


def _rows(records: Iterable[Record]) -> Iterator[list[Record]]:
    cells: Iterator[Cells] = ((line, _cells(value)) for line, value in records)
    header, below, _ = split_header(cells)
    return as_records(below, header)


def _cells(value: Any) -> list[str] | RowFault:
    if isinstance(value, RowFault):
        return value
    if not _is_row(value):
        return RowFault("not_an_object", "This example is not a list of texts, as the others are.", "Correct it.")
    return ["" if cell is None else str(cell) for cell in value]


def _pairs(value: Any) -> bool:
    """Whether an object has questions as its names and answers as its values."""
    if not isinstance(value, dict) or not value or match(value) is not None:
        return False
    texts = all(isinstance(answer, str) for answer in value.values())
    return texts and sum(" " in key.strip() or key.rstrip().endswith(("?", "？")) for key in value) > 0.8 * len(value)


def _paired(record: Record) -> Record:
    line, value = record
    if not isinstance(value, dict) or len(value) != 1:
        return record
    ((question, answer),) = value.items()
    return line, {"question": question, "answer": answer}


def yaml_records(text: str, limits: Limits) -> Iterator[list[Record]]:
    """The records of a YAML document: a list, or an object with one list, or an object of pairs.

    Every scalar stays the text that was written. Raises BadInput when it can't be read.
    """
    value = _parse(text, limits)
    if isinstance(value, dict) and not _pairs(value):
        lists = [inner for inner in value.values() if isinstance(inner, (list, dict)) and inner]
        lists = [inner for inner in lists if isinstance(inner, list) and isinstance(inner[0], (dict, list))] or lists
        if len(lists) == 1 and match(value) is None:
            value = lists[0]
    items = value if isinstance(value, list) else [value]
    if not any(isinstance(item, (dict, list)) for item in items):
        raise BadInput("No examples were found in this YAML file.", "", "Write a list with question and answer each.")
    return with_columns(iter([list(enumerate(items, 1))]))


def _parse(text: str, limits: Limits) -> Any:
    import yaml

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
        """Makes texts of all scalars; without aliases, which could stand for endless text."""

        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise BadInput("This YAML file uses aliases (*name).", "They are not read here.", "Write them out.")
            self.depth += 1
            if self.depth > limits.nesting:
                raise BadInput(
                    "This YAML file is nested too deeply.", "", "Write a list with question and answer each."
                )
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    if len(text) > _LARGEST:
        raise BadInput("This YAML file is too large.", "", "Use a part of it, or save it as JSON Lines.")
    try:
        documents = [value for value in yaml.load_all(text, Loader) if value]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"The fault is on line {mark.line + 1}." if mark else ""
        raise BadInput("This YAML file can't be read.", where, "Correct it, or save it as JSON or CSV.") from error
    return documents[0] if len(documents) == 1 else documents
