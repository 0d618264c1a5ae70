"""Reads the text files that Anki exports (https://docs.ankiweb.net/importing/text-files.html).

Lines such as #separator:tab come first; then each line is a note, and its fields are delimited as in a CSV.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backend.datasets.convert.detect import Record
from backend.datasets.documents.markup import read_html
from backend.datasets.read.delimited import Cells, as_records, unique_names
from backend.records.reading import RowFault

_SEPARATORS = {
    "tab": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
    "colon": ":",
}
_EXTRA = ("guid", "notetype", "deck", "tags")  # "#deck column:1" says which field it is


@dataclass(frozen=True)
class AnkiFile:
    """delimiter: between the fields. html: they are HTML. lines: at the start, which say so. columns: the names of
    fields, by number from 1."""

    delimiter: str
    html: bool
    lines: int
    columns: dict[int, str]


def anki_file(text: str) -> AnkiFile | None:
    """How a file of Anki is written, by its first lines; None for any other file."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.rstrip("\r").partition(":")
        if not name.startswith("#") or not colon:
            break
        found[name[1:].strip().lower()] = value
    if "separator" not in found:
        return None
    written = found["separator"]
    delimiter = _SEPARATORS.get(written.strip().lower(), written[:1] or "\t")
    names = found["columns"].split(delimiter) if "columns" in found else []
    columns = dict(enumerate(unique_names(names), 1))
    for name in _EXTRA:
        number = found.get(f"{name} column", "").strip()
        if number.isdecimal():
            columns[int(number)] = name
    return AnkiFile(delimiter, found.get("html", "").strip().lower() == "true", len(found), columns)


def anki_records(cells: Iterator[Cells], file: AnkiFile) -> Iterator[list[Record]]:
    """The notes as records. Fields without a name are Front, Back, and then Field 3 and so on."""
    width, found = _widest(cells)
    rest = iter(("Front", "Back"))
    names = [file.columns.get(n) or next(rest, f"Field {n}") for n in range(1, width + 1)]
    for batch in as_records(found, unique_names(names), pad=True):
        yield [(line, _plain(record) if file.html else record) for line, record in batch]


def _widest(cells: Iterator[Cells]) -> tuple[int, Iterator[Cells]]:
    """How many fields the notes have, and the notes. Notes of several types differ; the widest counts."""
    found = list(cells)
    return max((len(fields) for _, fields in found if not isinstance(fields, RowFault)), default=1), iter(found)


def _plain(record: dict[str, str] | RowFault) -> dict[str, str] | RowFault:
    if isinstance(record, RowFault):
        return record
    return {name: read_html(text).text if "<" in text or "&" in text else text for name, text in record.items()}
