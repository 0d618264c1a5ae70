"""One example to look at: by its row number, or the next or previous one."""

from bisect import bisect_left, bisect_right
from dataclasses import replace
from functools import partial
from operator import attrgetter

from backend.datasets.dataset import CheckedDataset
from backend.datasets.store import DatasetStore
from backend.errors import BadInput
from backend.records.encoded import Piece
from backend.records.lengths import LengthLimits
from backend.records.rows import Row
from backend.text.conversation import full_text
from backend.tokens.tokenizer import ChatTokenizer
from ui.records.data import Preview

_number = attrgetter("row")
_MAX_CHARACTERS = 8000  # of one text in a preview


def preview(
    store: DatasetStore,
    data_id: str,
    example: Row,
    tokenizer: ChatTokenizer,
    lengths: LengthLimits,
) -> Preview:
    """What is learned of an example within the length limits of the planned run."""
    pieces = store.compute(
        data_id, partial(_pieces, example, tokenizer, lengths), len(full_text(example))
    )
    if example.text is not None:
        note = lengths.sentence(1, len(pieces)) or _cut_note(pieces, lengths)
        return _shortened(Preview([], pieces, note, example.file))
    worse = [{**message, "role": "rejected"} for message in example.rejected or ()]
    return _shortened(
        Preview(
            [*example.messages, *worse],
            pieces,
            _cut_note(pieces, lengths),
            example.file,
            example.made,
        )
    )


def _pieces(row: Row, tokenizer: ChatTokenizer, lengths: LengthLimits) -> list[Piece]:
    if row.text is not None:
        return tokenizer.document_pieces(row, lengths)
    return tokenizer.pieces(row.messages, row.tools, lengths.max_length)


def _cut_note(pieces: list[Piece], lengths: LengthLimits) -> str:
    most = lengths.max_length
    if most is None or sum(piece.tokens for piece in pieces) < most:
        return ""
    return f"The model reads at most {most:,} tokens of an example; anything after that is cut off."


def _shortened(preview: Preview) -> Preview:
    """The preview with long texts cut in the middle: a page can't show millions of
    characters.
    """

    def cut(text: str) -> str:
        half = _MAX_CHARACTERS // 2
        return (
            text if len(text) <= _MAX_CHARACTERS else f"{text[:half]} … {text[-half:]}"
        )

    cuts = [
        {**m, "content": cut(m["content"])} if isinstance(m.get("content"), str) else m
        for m in preview.messages
    ]
    return replace(
        preview,
        messages=cuts,
        pieces=[
            Piece(cut(piece.text), piece.kind, piece.tokens) for piece in preview.pieces
        ],
    )


def find(checked: CheckedDataset, row: int) -> Row:
    """The example with this row number after the fixes. Raises BadInput when there is
    none, and why.
    """
    if example := checked.now.get(row):
        return example
    last = checked.original.highest
    if not last:
        raise BadInput("There is no example yet.", "", "Write the first one.")
    if not 1 <= row <= last:
        raise BadInput(
            f"There is no example {row:,}.",
            f"The last one is {last:,}.",
            "Choose another number.",
        )
    existing = {example.row for example in checked.original.rows}.union(
        problem.row for problem in checked.unread
    )
    if row not in existing:
        raise BadInput(
            f"You deleted example {row:,}.",
            "",
            "Choose another number, or undo your edits.",
        )
    dropped = {
        change.kind
        for change in checked.fixed.changes
        if change.row == row and not change.after
    }
    why = [
        problem.message
        for problem in checked.report.problems
        if problem.row == row and problem.kind in dropped
    ]
    raise BadInput(
        f"Example {row:,} is not used.",
        why[-1] if why else "",
        "Choose another number.",
    )


def step(checked: CheckedDataset, row: int, direction: int) -> int:
    """The number of the next example (direction 1), the previous one (-1), or the
    nearest (0).
    """
    rows = checked.dataset.rows
    if not rows:
        return 1
    if direction > 0:
        at = bisect_right(rows, row, key=_number)
    else:
        at = bisect_left(rows, row, key=_number) - (direction < 0)
    return rows[min(max(at, 0), len(rows) - 1)].row
