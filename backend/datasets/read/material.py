"""Reads any text, document or table as passages to make examples from, whether or not it holds examples already."""

from contextlib import closing
from pathlib import Path

from backend.datasets.documents.blocks import Block, Document
from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.documents.passages import Passage, passages
from backend.datasets.read.file import File, decoded
from backend.datasets.read.parse import Parser
from backend.datasets.read.readers import READERS
from backend.datasets.read.source import open_path
from backend.datasets.read.table import TABLES, read_table
from backend.errors import BadInput
from backend.records.reading import Limits, ReadOptions, RowFault

_PARSED = ("pdf", "docx", "odt")
_RECORDS = ("json", "jsonl", "yaml")


def read_material(path: Path, name: str, limits: Limits, encoding: str | None = None) -> list[Passage]:
    """The passages of a file. name: for display; its extension only decides unclear formats. encoding: of its text,
    None to detect it. Raises BadInput for a file that is neither text nor a table, and for one without any text."""
    read_options = ReadOptions(limits=limits, encoding=encoding)
    with open_path(path, limits, None, None) as source:
        try:
            found = decoded(source, name, read_options, lambda file: _read(file, path))
        except RowFault as fault:
            raise BadInput("This text can't be read.", fault.message, fault.fix) from fault
    if not (divided := passages(found)):
        raise BadInput("There is no text to ask about.", f"{name} has no sentence and no row.", "Choose another file.")
    return divided


def _read(file: File, path: Path) -> Document:
    reader = next(reader for reader in READERS if reader.matches(file))
    if reader.format in TABLES:
        table = read_table(path, file.name, file.options.limits.rows)
        rows = [(n, [row[name] for name in table.columns]) for n, row in enumerate(table.rows, 2)]
        return Document([Block(1, "", rows=[(1, list(table.columns)), *rows])])
    if reader.format in _PARSED:
        with closing(Parser(file.source, reader.format)) as parser:
            return parser.document()
    if reader.format == "html":
        return read_html(file.whole_text())
    if reader.binary or reader.format in _RECORDS:
        raise BadInput(
            f"Examples can't be made from {reader.title}.",
            "It can be a text, a document, a web page or a table.",
            "If it already holds questions and answers, upload it as examples instead.",
        )
    if not reader.format:  # it says why it refuses the file
        reader.open(file)
    return read_markdown(file.whole_text(), headings=reader.format == "markdown")
