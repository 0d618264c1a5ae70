"""Reads one text file as a whole: a document to work on, or a text of facts, not examples to learn from."""

from pathlib import Path

from backend.datasets.read.encoding import detect_encoding, initial_encoding, utf8_blocks
from backend.datasets.read.formats.refused import refusal
from backend.datasets.read.formats.text import is_html
from backend.datasets.read.source import HEAD, ByteSource
from backend.errors import BadInput
from backend.records.reading import Limits
from backend.records.units import MIB, format_sizes

SUFFIXES = (".txt", ".md", ".markdown", ".text")
LARGEST = 2 * MIB  # bytes


def read_document(path: Path) -> str:
    """The text of a .txt or .md file with line ends as "\\n". Raises BadInput, naming the file, if it can't be read
    as text."""
    name = path.name[:100]
    if not name.lower().endswith(SUFFIXES):
        raise BadInput(f"{name} can't be read.", "Only text files can: .txt or .md.", "Save its text as a .txt file.")
    try:
        size = path.stat().st_size
        text = _decoded(path, size) if size <= LARGEST else ""
    except OSError as error:
        raise BadInput(f"{name} can't be read.", f"The system reports: {error.strerror or error}.", "") from error
    except BadInput as error:
        raise BadInput(f"{name} can't be read.", f"{error.what} {error.why}".strip(), error.next) from error
    if size > LARGEST:
        has, most = format_sizes(size / MIB, LARGEST / MIB)
        raise BadInput(f"{name} is too large.", f"It is {has}; the limit is {most}.", "Use a part of it.")
    if not text.strip():
        raise BadInput(f"{name} is empty.", "", "Choose another file.")
    return text


def _decoded(path: Path, size: int) -> str:
    with path.open("rb") as file, ByteSource(file, max(size, 1), Limits()) as source:
        if source.packed or source.head.startswith((b"PK\x03\x04", b"PAR1", b"%PDF")):
            raise BadInput("This file is not text.", "", "Save its text as a .txt file.")
        encoding = initial_encoding(source.head, None)
        data = b"".join(utf8_blocks(source.blocks(), encoding))
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = b"".join(utf8_blocks(source.blocks(), detect_encoding(source))).decode("utf-8", "replace")
    if error := refusal(source.head, text[:HEAD]):
        raise error
    if is_html(text[:4_000]):
        raise BadInput("This file is a web page.", "", "Save its text as a .txt file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")
