"""A run's rows in one safetensors file, for another computer: what it holds can't be larger than the file itself. An
Arrow file, as runs have it, has offsets, and a stranger's may point outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.runs.token_rows import TokenRow, read_rows, write_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SIDES = ("chosen", "rejected")  # of a row; the second for preference pairs


def save(run_folder: Path, file: Path) -> None:
    """Writes the rows of a run to `file`. Raises TrainingFailed for damaged rows, OSError."""
    from safetensors.numpy import save_file

    train, validation = read_rows(run_folder)
    save_file({**_flat("train", train), **_flat("validation", validation)}, file)


def restore(file: Path, run_folder: Path) -> tuple[int, int]:
    """Writes the rows in `file` into a run's data; returns how many train and validate. Raises ValueError for a file
    that holds no rows, OSError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored = load_file(file)
        train, validation = _rows("train", stored), _rows("validation", stored)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError("The file holds no rows.") from error
    write_rows(run_folder, train, validation)
    return len(train), len(validation)


def _flat(part: str, rows: Sequence[TokenRow]) -> dict[str, npt.NDArray[np.int32]]:
    """All rows of a part one after the other, and the length of each."""
    import numpy as np

    stored: dict[str, npt.NDArray[np.int32]] = {}
    for side in _SIDES:
        answers = [row if side == "chosen" else row.rejected for row in rows]
        kept = [answer for answer in answers if answer is not None]
        nothing = np.zeros(0, np.int32)
        stored[f"{part}.{side}.lengths"] = np.array([row.tokens for row in kept], np.int32)
        for name in ("input_ids", "labels"):
            arrays = [getattr(row, name).astype(np.int32) for row in kept]
            stored[f"{part}.{side}.{name}"] = np.concatenate([nothing, *arrays])
    return stored


def _rows(part: str, stored: dict[str, Any]) -> list[TokenRow]:
    chosen, rejected = (_side(part, side, stored) for side in _SIDES)
    if rejected and len(rejected) != len(chosen):
        raise ValueError("Not every pair has two sides.")
    return [
        TokenRow(row.input_ids, row.labels, row.learned, rejected[number] if rejected else None)
        for number, row in enumerate(chosen)
    ]


def _side(part: str, side: str, stored: dict[str, Any]) -> list[TokenRow]:
    import numpy as np

    lengths, ids, labels = (stored[f"{part}.{side}.{name}"] for name in ("lengths", "input_ids", "labels"))
    if any(array.dtype != np.int32 or array.ndim != 1 for array in (lengths, ids, labels)):
        raise ValueError("The rows are not lists of tokens.")
    if (lengths < 1).any() or not lengths.sum(dtype=np.int64) == len(ids) == len(labels):
        raise ValueError("The lengths of the rows don't fit.")
    ends = np.cumsum(lengths, dtype=np.int64)[:-1]
    pieces = zip(np.split(ids, ends), np.split(labels, ends), strict=True) if len(lengths) else ()
    return [TokenRow(tokens, learned, int((learned != -100).sum())) for tokens, learned in pieces]
