"""The rows of a run on disk: data/train.arrow and data/validation.arrow, tokenized, as
the trainer reads them.

They are Arrow streams, the format that `datasets` maps into memory: rows are read from
the disk when they are used. Each has the columns `input_ids` and `labels` (lists of
int32; -100 where a token is not learned), and for preference pairs the same for the
worse answer (`rejected_…`). data/MANIFEST.json holds their SHA-256, so that a damaged
file is noticed before training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from backend.errors import TrainingFailed
from backend.files import manifest
from backend.records.encoded import IGNORED, Encoded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TRAIN = "train.arrow"
VALIDATION = "validation.arrow"
_SIDES = ("chosen", "rejected")  # of a row; the second for preference pairs


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row as read back: ids and labels as int32 arrays of the same length; learned:
    labels that are not -100. rejected: for a preference pair, the row with the worse
    answer. reference_logprob: log-probability (nats) of the learned tokens under the
    reference model; pairs only. general: not an example of the person's, but an answer
    of the base model that training must keep.
    """

    input_ids: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    learned: int
    rejected: TokenRow | None = None
    reference_logprob: float = 0.0
    general: bool = False

    @property
    def tokens(self) -> int:
        return len(self.input_ids)

    @property
    def longest(self) -> int:
        """Tokens of the row, or of its longer side for a pair."""
        return max(side.tokens for side in sides([self]))


Tokens = (
    Encoded | TokenRow
)  # a row to write: from `ChatTokenizer.encode`, or one read back
Side = TypeVar("Side", Encoded, TokenRow)


@dataclass(frozen=True)
class TokenRows(Sequence[TokenRow]):
    """The rows of an Arrow table, each made when it is asked for; a slice is a list.
    general: how many of the last rows are general.
    """

    table: Any
    general: int = 0

    @classmethod
    def of(cls, rows: Sequence[Tokens]) -> TokenRows:
        """`rows` as a table in memory."""
        return cls(_table(rows))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> TokenRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[TokenRow]: ...
    def __getitem__(self, index: int | slice) -> TokenRow | list[TokenRow]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        cells = ((name, self.table[name][index]) for name in self.table.column_names)
        values = (
            (name, cell.values.to_numpy() if hasattr(cell, "values") else cell.as_py())
            for name, cell in cells
        )
        return token_row(dict(values))

    def with_general(self, rows: Sequence[Tokens]) -> TokenRows:
        """These rows, then `rows` as general ones."""
        import pyarrow as pa

        tables = [
            table.append_column(
                "general", pa.array([general] * table.num_rows, pa.bool_())
            )
            for table, general in ((self.table, False), (_table(rows), True))
        ]
        return TokenRows(pa.concat_tables(tables), len(rows)) if rows else self

    def with_reference(self, logprobs: Sequence[Sequence[float]]) -> TokenRows:
        """The same pairs, with the reference log-probabilities of their better and
        worse answers.
        """
        import pyarrow as pa

        table = self.table
        for name, side in zip(
            ("reference_logprob", "rejected_reference_logprob"), (0, 1), strict=True
        ):
            table = table.append_column(
                name, pa.array([pair[side] for pair in logprobs], pa.float32())
            )
        return TokenRows(table)


def token_row(columns: Mapping[str, Any], prefix: str = "") -> TokenRow:
    """The row with these columns, each a numpy array or a number."""
    labels = columns[f"{prefix}labels"]
    return TokenRow(
        input_ids=columns[f"{prefix}input_ids"],
        labels=labels,
        learned=int((labels != IGNORED).sum()),
        rejected=token_row(columns, "rejected_")
        if not prefix and "rejected_labels" in columns
        else None,
        reference_logprob=float(columns.get(f"{prefix}reference_logprob", 0.0)),
        general=bool(columns.get("general", False)),
    )


def sides(rows: Sequence[Side]) -> list[Side]:
    """All sequences of `rows`: the rows and then, if they are pairs, their rejected
    sides in the same order.
    """
    return list(rows) + [row.rejected for row in rows if row.rejected is not None]


def truncate(rows: Sequence[TokenRow], length: int) -> list[TokenRow]:
    """The first `length` tokens of each of `rows`, without the rows that then have
    nothing to learn.
    """
    return [
        row
        for row in (_first(row, length) for row in rows)
        if all(side.learned for side in sides([row]))
    ]


def _first(row: TokenRow, length: int) -> TokenRow:
    ids, labels, rejected = (
        row.input_ids[:length],
        row.labels[:length],
        row.rejected and _first(row.rejected, length),
    )
    return replace(
        row,
        input_ids=ids,
        labels=labels,
        learned=int((labels != IGNORED).sum()),
        rejected=rejected,
    )


def sizes(train: Sequence[Side], validation: Sequence[Side]) -> dict[str, int]:
    """The counts of rows and tokens in a `DataRef`; for pairs, the tokens of both
    sides.
    """
    return {
        "train_rows": len(train),
        "validation_rows": len(validation),
        "train_tokens": sum(side.tokens for side in sides(train)),
        "learned_tokens": sum(side.learned for side in sides(train)),
        "longest": max(
            (side.tokens for side in sides([*train, *validation])), default=0
        ),
    }


def write_rows(
    run_folder: Path, train: Sequence[Tokens], validation: Sequence[Tokens]
) -> None:
    """Writes both files and their manifest into `run_folder`/data, creating it if
    absent. Raises OSError.
    """
    import pyarrow as pa

    folder = run_folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in ((TRAIN, train), (VALIDATION, validation)):
        table = _table(rows)
        with (
            pa.OSFile(str(folder / name), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as stream,
        ):
            stream.write_table(table)
    list_files(run_folder)


def list_files(run_folder: Path) -> None:
    """Writes the manifest of a run's data as it is now. Raises OSError."""
    folder = run_folder / "data"
    (folder / manifest.NAME).unlink(missing_ok=True)
    manifest.write(folder, {})


def read_rows(run_folder: Path) -> tuple[TokenRows, TokenRows]:
    """The training rows and the validation rows of a run. Raises TrainingFailed when a
    file is missing or differs from the one that `write_rows` wrote.
    """
    folder = run_folder / "data"
    if not manifest.holds(folder, content=True):
        raise _damaged(
            "A file in the run's data folder is missing or has changed since the run was created."
        )
    try:
        return _read(folder / TRAIN), _read(folder / VALIDATION)
    except (OSError, ValueError) as error:
        raise _damaged("A file in the run's data folder can't be read.") from error


def _read(path: Path) -> TokenRows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():  # written by version 0.1
        return TokenRows(pq.read_table(path.with_suffix(".parquet")))
    return TokenRows(pa.ipc.open_stream(pa.memory_map(str(path))).read_all())


def _table(rows: Sequence[Tokens]) -> Any:
    import pyarrow as pa

    columns = {
        "input_ids": [row.input_ids for row in rows],
        "labels": [row.labels for row in rows],
    }
    worse = [row.rejected for row in rows if row.rejected is not None]
    if worse:
        columns |= {"rejected_input_ids": [row.input_ids for row in worse]}
        columns |= {"rejected_labels": [row.labels for row in worse]}
    return pa.table(
        columns, schema=pa.schema([(name, pa.list_(pa.int32())) for name in columns])
    )


def _damaged(why: str) -> TrainingFailed:
    return TrainingFailed(
        "The examples of this run are damaged.", why, "Start a new run from your data."
    )


def save_portable(run_folder: Path, file: Path) -> None:
    """Writes the rows of a run to one safetensors file, for another computer: what it
    holds can't be larger than the file itself. An Arrow file has offsets, and a
    stranger's may point outside of it. Raises TrainingFailed for damaged rows, OSError.
    """
    from safetensors.numpy import save_file

    train, validation = read_rows(run_folder)
    save_file({**_flat("train", train), **_flat("validation", validation)}, file)


def restore_portable(file: Path, run_folder: Path) -> tuple[int, int]:
    """Writes the rows in `file` into a run's data; returns how many train and validate.
    Raises ValueError for a file that holds no rows, OSError.
    """
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
        stored[f"{part}.{side}.lengths"] = np.array(
            [row.tokens for row in kept], np.int32
        )
        for name in ("input_ids", "labels"):
            arrays = [getattr(row, name).astype(np.int32) for row in kept]
            stored[f"{part}.{side}.{name}"] = np.concatenate([nothing, *arrays])
    return stored


def _rows(part: str, stored: dict[str, Any]) -> list[TokenRow]:
    chosen, rejected = (_side(part, side, stored) for side in _SIDES)
    if rejected and len(rejected) != len(chosen):
        raise ValueError("Not every pair has two sides.")
    return [
        TokenRow(
            row.input_ids,
            row.labels,
            row.learned,
            rejected[number] if rejected else None,
        )
        for number, row in enumerate(chosen)
    ]


def _side(part: str, side: str, stored: dict[str, Any]) -> list[TokenRow]:
    import numpy as np

    lengths, ids, labels = (
        stored[f"{part}.{side}.{name}"] for name in ("lengths", "input_ids", "labels")
    )
    if any(
        array.dtype != np.int32 or array.ndim != 1 for array in (lengths, ids, labels)
    ):
        raise ValueError("The rows are not lists of tokens.")
    if (lengths < 1).any() or not lengths.sum(dtype=np.int64) == len(ids) == len(
        labels
    ):
        raise ValueError("The lengths of the rows don't fit.")
    ends = np.cumsum(lengths, dtype=np.int64)[:-1]
    pieces = (
        zip(np.split(ids, ends), np.split(labels, ends), strict=True)
        if len(lengths)
        else ()
    )
    return [
        TokenRow(tokens, learned, int((learned != -100).sum()))
        for tokens, learned in pieces
    ]
