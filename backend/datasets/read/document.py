"""Reads one text file as a whole: a document to work on, or a text of facts, not examples to learn from."""

from pathlib import Path

from backend.datasets.read.file import File, decoded
from backend.datasets.read.formats.refused import refusal
from backend.datasets.read.formats.text import is_html
from backend.datasets.read.source import open_path
from backend.errors import BadInput
from backend.records.reading import Limits, ReadOptions, RowFault
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
        with open_path(path, Limits(), None, None) as source:
            if source.size > LARGEST:
                has, most = format_sizes(source.size / MIB, LARGEST / MIB)
                raise BadInput(f"{name} is too large.", f"It is {has}; the limit is {most}.", "Use a part of it.")
            return decoded(source, name, ReadOptions(), _text)
    except RowFault as fault:
        raise BadInput(f"{name} can't be read.", fault.message, fault.fix) from fault
    except BadInput as error:
        if name in error.what:
            raise
        raise BadInput(f"{name} can't be read.", f"{error.what} {error.why}".strip(), error.next) from error


def _text(file: File) -> str:
    if file.source.packed or file.head.startswith((b"PK\x03\x04", b"PAR1", b"%PDF")):
        raise BadInput("This file is not text.", "", "Save its text as a .txt file.")
    if error := refusal(file.head, file.text):
        raise error
    if is_html(file.text):
        raise BadInput("This file is a web page.", "", "Save its text as a .txt file.")
    return file.whole_text().replace("\r", "\n")
