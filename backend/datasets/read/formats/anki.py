"""Reads the text files that Anki exports
(https://docs.ankiweb.net/importing/text-files.html).

Lines such as #separator:tab come first; then each line is a note, and its fields are
delimited as in a CSV.
"""

from itertools import chain, islice, takewhile

from backend.datasets.documents.markup import read_html
from backend.datasets.read.cells import as_records, read_cells, unique_names
from backend.datasets.read.file import File, OpenSource, Reader, each_object
from backend.records.reading import RowFault
from backend.records.rows import FileDetails

_SEPARATORS = {
    "tab": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
    "colon": ":",
}
_EXTRA = ("guid", "notetype", "deck", "tags")  # "#deck column:1" says which field it is


def _settings(text: str) -> dict[str, str]:
    """What the first lines of a file of Anki say, one each; {} for any other file."""
    parts = (line.rstrip("\r").partition(":") for line in text.split("\n"))
    written = takewhile(lambda part: part[0].startswith("#") and part[1], parts)
    settings = {name[1:].strip().lower(): value for name, _, value in written}
    return settings if "separator" in settings else {}


def _open(file: File) -> OpenSource:
    settings = _settings(file.text)
    written = settings["separator"]
    delimiter = _SEPARATORS.get(written.strip().lower(), written[:1] or "\t")
    columns = dict(
        enumerate(
            unique_names(
                settings["columns"].split(delimiter) if "columns" in settings else []
            ),
            1,
        )
    )
    columns |= {
        int(n): name
        for name in _EXTRA
        if (n := settings.get(f"{name} column", "").strip()).isdecimal()
    }
    lines = islice(chain.from_iterable(file.lines()), len(settings), None)
    cells = list(read_cells([list(lines)], delimiter, file.options.limits))
    # notes of several types differ in their number of fields; the widest counts
    width = max(
        (len(fields) for _, fields in cells if not isinstance(fields, RowFault)),
        default=1,
    )
    rest = iter(("Front", "Back"))
    names = [columns.get(n) or next(rest, f"Field {n}") for n in range(1, width + 1)]
    batches = as_records(iter(cells), unique_names(names), pad=True)
    if settings.get("html", "").strip().lower() == "true":
        batches = each_object(batches, lambda _, note: [_plain(note)])
    return OpenSource(batches, FileDetails(delimiter=delimiter))


def _plain(note: dict[str, str]) -> dict[str, str]:
    return {
        name: read_html(text).text if "<" in text or "&" in text else text
        for name, text in note.items()
    }


READER = Reader(
    "csv", "a table (CSV)", lambda file: bool(_settings(file.text)), _open, table=True
)
