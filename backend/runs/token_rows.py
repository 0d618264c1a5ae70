"""The rows of a run on disk: data/train.parquet and data/validation.parquet, tokenized, as the trainer reads them.

Each has the columns `input_ids` and `labels` (lists of int32; -100 where a token is not learned), and for preference
pairs the same for the worse answer (`rejected_…`). data/MANIFEST.json holds their SHA-256, so that a damaged file is
noticed before training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from backend.errors import TrainingFailed
from backend.files import manifest
from backend.records.encoded import IGNORED

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TRAIN = "train.parquet"
VALIDATION = "validation.parquet"


class Tokens(Protocol):
    """A row to write: from `ChatTokenizer.encode`, or one read back."""

    @property
    def input_ids(self) -> list[int] | npt.NDArray[np.int32]: ...

    @property
    def labels(self) -> list[int] | npt.NDArray[np.int32]: ...

    @property
    def tokens(self) -> int: ...

    @property
    def learned(self) -> int: ...

    @property
    def rejected(self) -> Tokens | None: ...


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row as read back: ids and labels as int32 arrays of the same length; learned: labels that are not -100.

    rejected: for a preference pair, the row with the worse answer. reference_logprob: log-probability (nats) of the
    learned tokens under the reference model; pairs only.
    """

    input_ids: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    learned: int
    rejected: TokenRow | None = None
    reference_logprob: float = 0.0

    @property
    def tokens(self) -> int:
        return len(self.input_ids)

    @property
    def longest(self) -> int:
        """Tokens of the row, or of its longer side for a pair."""
        return max(side.tokens for side in sides([self]))


def sides(rows: Sequence[TokenRow]) -> list[TokenRow]:
    """All sequences of `rows`: the rows and then, if they are pairs, their rejected sides in the same order."""
    return [*rows, *(row.rejected for row in rows if row.rejected is not None)]


def sizes(train: Sequence[Tokens], validation: Sequence[Tokens]) -> dict[str, int]:
    """The counts of rows and tokens in a `DataRef`; for pairs, the tokens of both sides."""

    def all_of(rows: Sequence[Tokens]) -> list[Tokens]:
        return [*rows, *(row.rejected for row in rows if row.rejected is not None)]

    return {
        "train_rows": len(train),
        "validation_rows": len(validation),
        "train_tokens": sum(side.tokens for side in all_of(train)),
        "learned_tokens": sum(side.learned for side in all_of(train)),
        "longest": max((side.tokens for side in all_of([*train, *validation])), default=0),
    }


def write_rows(run_folder: Path, train: Sequence[Tokens], validation: Sequence[Tokens]) -> None:
    """Writes both files and their manifest into `run_folder`/data, creating it if absent. Raises OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = run_folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    ids = pa.list_(pa.int32())
    for name, rows in ((TRAIN, train), (VALIDATION, validation)):
        columns = {"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]}
        worse = [row.rejected for row in rows if row.rejected is not None]
        if worse:
            columns |= {"rejected_input_ids": [row.input_ids for row in worse]}
            columns |= {"rejected_labels": [row.labels for row in worse]}
        table = pa.table(columns, schema=pa.schema([(name, ids) for name in columns]))
        pq.write_table(table, folder / name, compression="zstd")
    list_files(run_folder)


def list_files(run_folder: Path) -> None:
    """Writes the manifest of a run's data as it is now. Raises OSError."""
    folder = run_folder / "data"
    (folder / manifest.NAME).unlink(missing_ok=True)
    manifest.write(folder, {})


def read_rows(run_folder: Path) -> tuple[list[TokenRow], list[TokenRow]]:
    """The training rows and the validation rows of a run.

    Raises TrainingFailed when a file is missing or differs from the one that `write_rows` wrote.
    """
    folder = run_folder / "data"
    if not manifest.holds(folder, content=True):
        raise _damaged("A file in the run's data folder is missing or has changed since the run was created.")
    try:
        return _read(folder / TRAIN), _read(folder / VALIDATION)
    except (OSError, ValueError, KeyError) as error:
        raise _damaged("A file in the run's data folder can't be read.") from error


def _read(path: Path) -> list[TokenRow]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    rows = _rows(table, "")
    if "rejected_input_ids" not in table.column_names:
        return rows
    return [replace(row, rejected=worse) for row, worse in zip(rows, _rows(table, "rejected_"), strict=True)]


def _rows(table: Any, prefix: str) -> list[TokenRow]:
    columns = zip(_arrays(table[f"{prefix}input_ids"]), _arrays(table[f"{prefix}labels"]), strict=True)
    return [TokenRow(ids, labels, int((labels != IGNORED).sum())) for ids, labels in columns]


def _arrays(column: Any) -> list[npt.NDArray[np.int32]]:
    """Each list of a pyarrow list column as a view into one array."""
    return [
        values[start:end]
        for chunk in column.chunks
        for values, offsets in [(chunk.values.to_numpy().copy(), chunk.offsets.to_numpy())]
        for start, end in pairwise(offsets)
    ]


def _damaged(why: str) -> TrainingFailed:
    return TrainingFailed("The examples of this run are damaged.", why, "Start a new run from your data.")
