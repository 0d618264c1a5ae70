"""Reads one file as text, whatever it holds: as passages to make examples from, or a
text file as a whole.
"""

from pathlib import Path

from backend.datasets.documents.blocks import Block, Document
from backend.datasets.documents.passages import Passage, passages
from backend.datasets.read.file import File, decoded
from backend.datasets.read.formats.refused import refusal
from backend.datasets.read.formats.text import is_html
from backend.datasets.read.readers import reader_of
from backend.datasets.read.source import open_path
from backend.datasets.read.table import read_table
from backend.errors import BadInput
from backend.hosting.policy import require_rows
from backend.records.reading import Limits, ReadOptions, RowFault
from backend.records.units import MIB, format_sizes

SUFFIXES = (".txt", ".md", ".markdown", ".text")
LARGEST = 2 * MIB  # bytes


def read_material(
    path: Path, name: str, limits: Limits, encoding: str | None = None
) -> list[Passage]:
    """The passages of a text, a document or a table. Raises BadInput for another kind
    of file, and for one without any text; NotInDemo for too many passages.

    name: for display; its extension only decides unclear formats
    encoding: of its text; None to detect it
    """
    options = ReadOptions(limits=limits, encoding=encoding)
    with open_path(path, limits, None, None) as source:
        try:
            document = decoded(
                source, name, options, lambda file: _material(file, path)
            )
        except RowFault as fault:
            raise BadInput(
                "This text can't be read.", fault.message, fault.fix
            ) from fault
    if not (divided := passages(document)):
        raise BadInput(
            "There is no text to ask about.",
            f"{name} has no sentence and no row.",
            "Choose another file.",
        )
    require_rows(len(divided), limits.rows_allowed)
    return divided


def _material(file: File, path: Path) -> Document:
    reader = reader_of(file)
    if reader.table:
        table = read_table(path, file.name, file.options.limits.rows)
        rows = [
            (n, [row[name] for name in table.columns])
            for n, row in enumerate(table.rows, 2)
        ]
        return Document([Block(1, "", rows=[(1, list(table.columns)), *rows])])
    if reader.document is None:
        raise BadInput(
            f"Examples can't be made from {reader.title}.",
            "It can be a text, a document, a web page or a table.",
            "If it already holds questions and answers, upload it as examples instead.",
        )
    return reader.document(file)


def read_document(path: Path) -> str:
    """The text of a .txt or .md file with line ends as "\\n": a document to work on, or
    facts, not examples to learn from. Raises BadInput, naming the file, if it can't be
    read as text.
    """
    name = path.name[:100]
    if not name.lower().endswith(SUFFIXES):
        raise BadInput(
            f"{name} can't be read.",
            "Only text files can: .txt or .md.",
            "Save its text as a .txt file.",
        )
    try:
        with open_path(path, Limits(), None, None) as source:
            if source.size > LARGEST:
                has, most = format_sizes(source.size / MIB, LARGEST / MIB)
                raise BadInput(
                    f"{name} is too large.",
                    f"It is {has}; the limit is {most}.",
                    "Use a part of it.",
                )
            return decoded(source, name, ReadOptions(shape="text"), _text)
    except RowFault as fault:
        raise BadInput(f"{name} can't be read.", fault.message, fault.fix) from fault
    except BadInput as error:
        if name in error.what:
            raise
        raise BadInput(
            f"{name} can't be read.", f"{error.what} {error.why}".strip(), error.next
        ) from error


def _text(file: File) -> str:
    if file.source.packed or reader_of(file).binary:
        raise BadInput("This file is not text.", "", "Save its text as a .txt file.")
    if error := refusal(file.head, file.text):
        raise error
    if is_html(file.text):
        raise BadInput("This file is a web page.", "", "Save its text as a .txt file.")
    return file.whole_text().replace("\r", "\n")
