"""Reads the text files that Anki exports (https://docs.ankiweb.net/importing/text-files.html).

Lines such as #separator:tab come first; then each line is a note, and its fields are delimited as in a CSV.
"""

from dataclasses import dataclass
from itertools import chain, islice

from backend.datasets.documents.markup import read_html
from backend.datasets.read.cells import as_records, read_cells, unique_names
from backend.datasets.read.file import File, OpenSource, Reader, each_object
from backend.records.reading import RowFault
from backend.records.rows import FileDetails

_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "colon": ":"}
_EXTRA = ("guid", "notetype", "deck", "tags")  # "#deck column:1" says which field it is


@dataclass(frozen=True)
class _Layout:
    """delimiter: between the fields. html: they are HTML. lines: at the start, which say so. columns: by number from
    1."""

    delimiter: str
    html: bool
    lines: int
    columns: dict[int, str]


def _layout(text: str) -> _Layout | None:
    """How a file of Anki is written, by its first lines; None for any other file."""
    options: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.rstrip("\r").partition(":")
        if not name.startswith("#") or not colon:
            break
        options[name[1:].strip().lower()] = value
    if "separator" not in options:
        return None
    written = options["separator"]
    delimiter = _SEPARATORS.get(written.strip().lower(), written[:1] or "\t")
    names = options["columns"].split(delimiter) if "columns" in options else []
    columns = dict(enumerate(unique_names(names), 1))
    for name in _EXTRA:
        if (number := options.get(f"{name} column", "").strip()).isdecimal():
            columns[int(number)] = name
    return _Layout(delimiter, options.get("html", "").strip().lower() == "true", len(options), columns)


def _open(file: File) -> OpenSource:
    layout = _layout(file.text)
    assert layout is not None
    lines = islice(chain.from_iterable(file.lines()), layout.lines, None)
    cells = list(read_cells([list(lines)], layout.delimiter, file.options.limits))
    # notes of several types differ in their number of fields; the widest counts
    width = max((len(fields) for _, fields in cells if not isinstance(fields, RowFault)), default=1)
    rest = iter(("Front", "Back"))
    names = [layout.columns.get(n) or next(rest, f"Field {n}") for n in range(1, width + 1)]
    batches = as_records(iter(cells), unique_names(names), pad=True)
    plain = each_object(batches, lambda _, note: [_plain(note)]) if layout.html else batches
    return OpenSource(plain, FileDetails(delimiter=layout.delimiter))


def _plain(note: dict[str, str]) -> dict[str, str]:
    return {name: read_html(text).text if "<" in text or "&" in text else text for name, text in note.items()}


READER = Reader("csv", "a table (CSV)", lambda file: _layout(file.text) is not None, _open, table=True)
