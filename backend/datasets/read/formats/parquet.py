"""Reads Parquet tables, after checking how large they are once unpacked."""

from collections.abc import Iterator

from backend.datasets.convert.detect import Record
from backend.datasets.documents.archive import damaged
from backend.datasets.read.cells import unique_names
from backend.datasets.read.file import File, Note, OpenSource, Reader
from backend.datasets.read.source import ByteSource
from backend.errors import BadInput

_BATCH = 200  # rows; each may be large


def _records(source: ByteSource, notes: list[Note]) -> Iterator[list[Record]]:
    """Batches of the rows of a Parquet file, up to the limit of rows. notes: receives
    how many were skipped. Raises BadInput when the file is damaged, has no rows, or
    unpacks to too much.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(source.seekable())
        total = table.metadata.num_rows
        groups = range(table.metadata.num_row_groups)
        source.check_expansion(
            sum(table.metadata.row_group(g).total_byte_size for g in groups)
        )
        if total == 0:
            raise BadInput(
                "This table has no rows.",
                f"Its columns are: {', '.join(table.schema_arrow.names)}.",
                "",
            )
        names = unique_names(table.schema_arrow.names)
        row = decoded = 0
        for batch in table.iter_batches(batch_size=_BATCH):
            decoded += batch.nbytes
            source.check_expansion(decoded)
            if row >= source.limits.rows:
                message = f"The last {total - row:,} rows were skipped: at most {source.limits.rows:,} rows are read."
                notes.append(
                    (
                        "rows_left_out",
                        message,
                        "A few thousand good examples teach better than a million.",
                    )
                )
                break
            columns = [column.to_pylist() for column in batch.columns]
            values = zip(*columns, strict=True)
            yield [
                (row + n, dict(zip(names, cells, strict=True)))
                for n, cells in enumerate(values, 1)
            ]
            row += batch.num_rows
            source.advance(row / total)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged() from error


def _open(file: File) -> OpenSource:
    notes: list[Note] = []
    return OpenSource(_records(file.source, notes), late_notes=lambda: notes)


READER = Reader(
    "parquet",
    "a Parquet file",
    lambda file: file.head.startswith(b"PAR1"),
    _open,
    binary=True,
)
