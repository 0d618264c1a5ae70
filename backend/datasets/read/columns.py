"""Gives names to the columns of JSON and YAML without any: lists of pairs, and objects of questions and answers."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from backend.datasets.convert.detect import Record, match
from backend.datasets.read.cells import Cells, as_records, split_header
from backend.records.reading import RowFault


def with_columns(records: Iterator[list[Record]]) -> Iterator[list[Record]]:
    """The records, where lists become rows of a table, and a single object of texts its pairs."""
    records = filter(None, records)
    first = next(records, None)
    if first is None:
        return iter(())
    everything = chain([first], records)
    if all(_is_row(value) for _, value in first):
        cells: Iterator[Cells] = ((line, _cells(value)) for batch in everything for line, value in batch)
        header, below, _ = split_header(cells)
        return as_records(below, header)
    if all(isinstance(value, dict) and len(value) == 1 and is_pairs(value) for _, value in first):
        return ([_paired(record) for record in batch] for batch in everything)
    if len(first) == 1 and is_pairs(first[0][1]):
        second = next(records, None)
        if second is None:
            line, value = first[0]
            return iter([[(line, {"question": question, "answer": answer}) for question, answer in value.items()]])
        return chain([first, second], records)
    return everything


def _is_row(value: Any) -> bool:
    many = isinstance(value, list) and len(value) > 1
    return many and all(cell is None or isinstance(cell, (str, int, float)) for cell in value)


def _cells(value: Any) -> list[str] | RowFault:
    if isinstance(value, RowFault):
        return value
    if not _is_row(value):
        return RowFault("not_an_object", "This example is not a list of texts, as the others are.", "Correct it.")
    return ["" if cell is None else str(cell) for cell in value]


def is_pairs(value: Any) -> bool:
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
