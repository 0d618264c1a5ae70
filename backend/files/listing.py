"""The files of a folder, which of them a system made for itself, and the text of one
that may be missing.
"""

from collections.abc import Iterator
from pathlib import Path

_OF_SYSTEMS = ("__macosx", ".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini")


def files_in(folder: Path) -> Iterator[Path]:
    """The files in `folder`, at any depth, sorted by path."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def text_of(file: Path) -> str:
    """The text in `file`, with U+FFFD where it is not UTF-8; "" if it can't be read."""
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def of_system(name: str) -> bool:
    """Whether macOS or Windows made the file for itself, such as __MACOSX/._faq.csv.
    name: its path, with /.
    """
    return any(part.lower() in _OF_SYSTEMS for part in name.split("/"))


def is_hidden(name: str) -> bool:
    """Whether it is such a file, or one whose name, or a folder's above it, begins with
    a dot.
    """
    return of_system(name) or any(part.startswith(".") for part in name.split("/"))
