"""The files of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def files_in(folder: Path) -> Iterator[Path]:
    """The files in `folder`, at any depth, sorted by path."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
