"""One text from several columns: a JSON object of an answer's fields, or lines."""

import json
import math
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from backend.records.reading import RowFault
from backend.text.excerpt import excerpt

# As JSON writes numbers: with leading zeros it is a code, which would lose them.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")


def _is_empty(cell: Any) -> bool:
    """Whether a cell has neither a text nor a number."""
    if isinstance(cell, float):
        return not math.isfinite(cell)
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _number_of(cell: Any) -> int | float | None:
    """The number that a cell is or holds, None for any other."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return cell
    text = str(cell).strip()
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return None


def numeric_columns(
    records: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> Set[str]:
    """The columns in which every cell that is not empty is a number."""
    cells = {
        column: [own for r in records if not _is_empty(own := r.get(column))]
        for column in columns
    }
    return {
        column
        for column, own in cells.items()
        if own and all(_number_of(cell) is not None for cell in own)
    }


def as_object(record: dict[str, Any], columns: Sequence[str], numbers: Set[str]) -> str:
    """The JSON object of these columns in their order: numbers as numbers in columns of
    numbers, empty cells as null. Raises RowFault where a column of numbers has another
    cell, and where all are empty.
    """
    if all(_is_empty(record.get(column)) for column in columns):
        what = "All the fields of this answer are empty."
        raise RowFault("content_null", what, "Fill one, or remove this example.")
    return json.dumps(
        {column: _value(record, column, numbers) for column in columns},
        ensure_ascii=False,
        default=str,  # such as a date of a Parquet file
    )


def _value(record: dict[str, Any], column: str, numbers: Set[str]) -> Any:
    cell = record.get(column)
    if _is_empty(cell):
        return None
    if column not in numbers:
        return cell.strip() if isinstance(cell, str) else cell
    number = _number_of(cell)
    if number is None:
        what = f"{column!r} is a number in the other rows, and not in this one."
        raise RowFault("not_a_number", what, "Correct it.", excerpt(str(cell)))
    return number


def as_lines(record: dict[str, Any], columns: Sequence[str]) -> str:
    """A line "Name: value" for each of these columns that is not empty."""
    return "\n".join(
        f"{column}: {_shown(cell)}"
        for column in columns
        if not _is_empty(cell := record.get(column))
    )


def _shown(cell: Any) -> str:
    if isinstance(cell, (list, dict, bool)):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return str(cell)
