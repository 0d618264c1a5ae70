"""One example to look at: by its number in the file, the next one, or the next that holds a text."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from backend.datasets.conversation import content
from backend.datasets.dataset import CheckedDataset
from backend.errors import BadInput
from backend.records.encoded import Piece
from backend.records.lengths import LengthLimits
from backend.records.rows import Row
from backend.tokens.tokenizer import ChatTokenizer
from ui.records import Hits, Preview
from ui.services import training_plan


def preview(
    checked: CheckedDataset, row: int, tokenizer: ChatTokenizer | None, lengths: LengthLimits, why_not: str
) -> Preview:
    """The example with the number `row` in the file, as far as `lengths` lets the model have it. Raises BadInput when
    there is none, when it is left out, and when there is no tokenizer; why_not says why."""
    rows = checked.dataset.rows
    at = bisect_left(rows, row, key=_number)
    if at == len(rows) or rows[at].row != row:
        raise _not_there(checked, row)
    if tokenizer is None:
        raise BadInput("The tokens can't be shown yet.", why_not)
    one = rows[at]
    if one.text is not None:
        pieces = tokenizer.document_pieces(one, lengths)
        note = lengths.sentence(1, len(pieces)) or _cut(pieces, lengths)
        return training_plan.shortened(Preview([], pieces, note))
    pieces = tokenizer.pieces(one.messages, one.tools, lengths.max_length)
    return training_plan.shortened(Preview(one.messages, pieces, _cut(pieces, lengths)))


def _cut(pieces: list[Piece], lengths: LengthLimits) -> str:
    most = lengths.max_length
    if most is None or sum(piece.tokens for piece in pieces) < most:
        return ""
    return f"The model is given {most:,} tokens of an example at most; what would follow is cut off."


def _not_there(checked: CheckedDataset, row: int) -> BadInput:
    total = checked.report.rows
    if not 1 <= row <= total:
        return BadInput(f"There is no example {row:,}.", f"The file has {total:,}.", "Choose another number.")
    why = [change.what for change in checked.fixed.changes if change.row == row]
    return BadInput(f"Example {row:,} is left out.", why[-1] if why else "", "Choose another number.")


def step(checked: CheckedDataset, row: int, way: int) -> int:
    """The number of the next example after `row` (way 1) or before it (-1), or of the nearest one (0)."""
    rows = checked.dataset.rows
    if not rows:
        return 1
    at = bisect_right(rows, row, key=_number) if way > 0 else bisect_left(rows, row, key=_number) - (way < 0)
    return rows[min(max(at, 0), len(rows) - 1)].row


def find(checked: CheckedDataset, text: str, row: int, way: int) -> Hits:
    """The examples that hold `text`, upper and lower case alike, and the next one from `row` on, around the end."""
    wanted = text.casefold().strip()
    found = [
        one.row for one in checked.dataset.rows if wanted and any(wanted in said.casefold() for said in _said(one))
    ]
    if not found:
        return Hits(0)
    at = bisect_right(found, row) if way > 0 else bisect_left(found, row) - 1
    return Hits(len(found), found[at % len(found)], at % len(found) + 1)


def _said(row: Row) -> Iterator[str]:
    yield from map(content, row.messages)
    yield from map(content, row.rejected or ())
    if row.text is not None:
        yield row.text


def _number(row: Row) -> int:
    return row.row
