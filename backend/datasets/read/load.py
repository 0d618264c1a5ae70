"""Loads a file as rows, with a problem for each row that can't be used.

data = load(Path("chats.jsonl"))
data.rows, data.problems, data.source.shape, data.total_rows
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from backend.datasets.read.assemble import assemble
from backend.datasets.read.file import decoded
from backend.datasets.read.readers import open_file
from backend.datasets.read.source import ByteSource, open_path
from backend.datasets.read.together import ManyFiles, read_together
from backend.files.manifest import digest
from backend.gc_pause import without_gc
from backend.records.reading import Cancelled, Limits, ReadOptions
from backend.records.rows import Dataset

__all__ = ["Cancelled", "Limits", "ReadOptions", "load"]


def load(
    path: Path,
    *,
    name: str | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    options: ReadOptions | None = None,
    on_first_rows: Callable[[Dataset], None] | None = None,
) -> Dataset:
    """Reads a file. Raises BadInput when it can't be read or is not a dataset,
    Cancelled when `cancelled` returns True.

    name: for display, by default the file's own; its extension only decides unclear
        formats
    progress: receives the fraction read, 0 to 1
    on_first_rows: receives the first rows, once read
    """
    options = options or ReadOptions()
    most = max(1, min(options.rows or options.limits.rows, options.limits.rows))
    options = replace(options, limits=replace(options.limits, rows=most))
    with open_path(path, options.limits, progress, cancelled) as source:
        data = _load(source, name or path.name, options, on_first_rows)
        data.source = replace(data.source, sha256=digest(path, source.check_cancelled))
    if progress is not None:
        progress(1.0)
    return data


def _load(
    source: ByteSource,
    name: str,
    options: ReadOptions,
    tell: Callable[[Dataset], None] | None = None,
) -> Dataset:
    with without_gc():
        try:
            return decoded(
                source,
                name,
                options,
                lambda file: assemble(open_file(file), file, tell),
            )
        except ManyFiles:
            return read_together(source, name, options, _load)
