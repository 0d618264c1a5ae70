"""Truncating a run's rows, when memory is too small for whole ones; only at the person's request. Tokens beyond the
length are not learned. Documents split into windows lose nothing: they become more windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.records.encoded import IGNORED
from backend.records.lengths import LengthLimits, spans
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow, read_rows, sides


@dataclass(frozen=True)
class TruncatedRun:
    """The rows of a run, each with at most max_length tokens. before: number of rows before. cut: rows that lose
    their end. left_out: cut rows with nothing left to learn. divided: rows that became several windows."""

    train: list[TokenRow]
    validation: list[TokenRow]
    before: int
    cut: int
    left_out: int
    divided: int


def truncate_run(run_folder: Path, settings: TrainSettings) -> TruncatedRun:
    """The rows in `run_folder` under `settings`, whose max_length is smaller than theirs. Raises TrainingFailed for
    damaged rows."""
    lengths = LengthLimits.from_settings(settings)
    train, validation = read_rows(run_folder)
    whole = [*train, *validation]
    long = [row for row in whole if row.longest > lengths.size]
    divided = sum(_is_window(row, lengths) for row in long)
    return TruncatedRun(
        train=_pieces(train, lengths),
        validation=_pieces(validation, lengths),
        before=len(whole),
        cut=len(long) - divided,
        left_out=sum(not _pieces([row], lengths) for row in long),
        divided=divided,
    )


def truncate(rows: Sequence[TokenRow], length: int) -> list[TokenRow]:
    """The first `length` tokens of each of `rows`, without the rows that then have nothing to learn."""
    return [row for row in (_first(row, length) for row in rows) if all(side.learned for side in sides([row]))]


def _first(row: TokenRow, length: int) -> TokenRow:
    return _part(row, 0, length, row.rejected and _first(row.rejected, length))


def _part(row: TokenRow, start: int, end: int, rejected: TokenRow | None = None) -> TokenRow:
    labels = row.labels[start:end]
    learned = int((labels != IGNORED).sum())
    return TokenRow(row.input_ids[start:end], labels, learned, rejected, row.reference_logprob)


def _pieces(rows: Sequence[TokenRow], lengths: LengthLimits) -> list[TokenRow]:
    pieces = []
    for row in rows:
        if _is_window(row, lengths):
            pieces += [_part(row, *span) for span in spans(row.tokens, lengths.size, lengths.overlap)]
            continue
        for cut in truncate([row], lengths.size):
            if cut.rejected is None or cut.input_ids.tolist() != cut.rejected.input_ids.tolist():
                pieces.append(cut)  # the answers of a pair must still differ
    return pieces


def _is_window(row: TokenRow, lengths: LengthLimits) -> bool:
    """Whether the row is a window of a document: all of it is learned, unlike any conversation."""
    return lengths.long_documents == "windows" and row.rejected is None and row.learned == row.tokens
