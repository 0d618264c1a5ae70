"""The rows of a run, shorter: where no memory suffices for them whole, and only when a person asks for it.

Tokens beyond the length are not learned. Parts of documents that are taken as windows lose nothing: they become more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.records.encoded import IGNORED
from backend.records.lengths import LengthLimits, spans
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow, read_rows, sides


@dataclass(frozen=True)
class Shortened:
    """The rows of a run with at most max_length tokens of each. before: how many there were. cut: of them, those that
    lose their end. left_out: of these, those that have nothing left to learn. divided: those that became several."""

    train: list[TokenRow]
    validation: list[TokenRow]
    before: int
    cut: int
    left_out: int
    divided: int


def shortened(run_folder: Path, settings: TrainSettings) -> Shortened:
    """The rows in `run_folder` as `settings` would have them, with a smaller max_length than theirs.

    Raises TrainingFailed for damaged rows.
    """
    lengths = LengthLimits.from_settings(settings)
    train, validation = read_rows(run_folder)
    whole = [*train, *validation]
    long = [row for row in whole if row.longest > lengths.size]
    divided = sum(_is_window(row, lengths) for row in long)
    return Shortened(
        train=_pieces(train, lengths),
        validation=_pieces(validation, lengths),
        before=len(whole),
        cut=len(long) - divided,
        left_out=sum(not _pieces([row], lengths) for row in long),
        divided=divided,
    )


def cut(rows: Sequence[TokenRow], length: int) -> list[TokenRow]:
    """`rows`, at most `length` tokens of each; those that then have nothing to learn are left out."""
    return [row for row in (_first(row, length) for row in rows) if all(side.learned for side in sides([row]))]


def _first(row: TokenRow, length: int) -> TokenRow:
    return _part(row, 0, length, row.rejected and _first(row.rejected, length))


def _part(row: TokenRow, start: int, end: int, rejected: TokenRow | None = None) -> TokenRow:
    labels = row.labels[start:end]
    learned = int((labels != IGNORED).sum())
    return TokenRow(row.input_ids[start:end], labels, learned, rejected, row.reference)


def _pieces(rows: Sequence[TokenRow], lengths: LengthLimits) -> list[TokenRow]:
    return [piece for row in rows for piece in _pieces_of(row, lengths)]


def _pieces_of(row: TokenRow, lengths: LengthLimits) -> list[TokenRow]:
    if _is_window(row, lengths):
        return [_part(row, *span) for span in spans(row.tokens, lengths.size, lengths.overlap)]
    return [pair for pair in cut([row], lengths.size) if not _alike(pair)]


def _is_window(row: TokenRow, lengths: LengthLimits) -> bool:
    """Whether it is of a document that is taken as windows: all of it is learned, as of no conversation."""
    return lengths.long_documents == "windows" and row.rejected is None and row.learned == row.tokens


def _alike(row: TokenRow) -> bool:
    """Whether the two answers of a pair differ no more."""
    return row.rejected is not None and row.input_ids.tolist() == row.rejected.input_ids.tolist()
