"""Reads text tables: finds the delimiter, and joins texts that a comma without quotes
has split.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from statistics import median

from backend.datasets.checks.issues import numbered
from backend.datasets.convert.shapes import plain_name
from backend.datasets.read.cells import (
    Cells,
    as_records,
    read_cells,
    split_header,
    unique_names,
)
from backend.datasets.read.file import File, Note, OpenSource, Reader
from backend.datasets.read.formats.text import holds_examples
from backend.datasets.read.header import KNOWN, LOOKED_AT, is_header
from backend.datasets.read.leftovers import BESIDE, TITLE, Passed, without_leftovers
from backend.records.reading import RowFault
from backend.records.rows import FileDetails
from backend.text.excerpt import excerpt

DELIMITERS = (",", ";", "\t", "|")
_DIVIDERS = {",": "comma", ";": "semicolon"}  # which people also write inside a text
# Lines above a table at most; in it at least, also where | divides cells.
_TITLES, _UNDER_TITLES, _RULED = 5, 3, 20


def _is_declared(file: File) -> bool:
    return file.options.delimiter is not None or _fits(
        file, _declared_delimiter(file.text)
    )


def _declared_delimiter(text: str) -> str:
    """The delimiter from a first line such as "sep=;" (Excel reads and writes it), else
    "".
    """
    first_line = text.partition("\n")[0].rstrip("\r")
    return (
        first_line[4] if first_line.startswith("sep=") and len(first_line) == 5 else ""
    )


def _fits(file: File, delimiter: str) -> bool:
    return bool(delimiter) and (
        _is_certain(file.text, delimiter) or not holds_examples(file)
    )


def _is_certain(text: str, delimiter: str) -> bool:
    """Whether a text with this delimiter is a table, whatever its cells are: by its
    header, or by its tabs.
    """
    lines = [line for line in text.lstrip("\ufeff\r\n").split("\n") if line.strip()]
    if delimiter == "\t":
        first = [line.partition("\t")[0].strip() for line in lines]
        marks = sum(
            not cell or (len(cell) <= 12 and cell[-1] in ":：.)") for cell in first
        )
        return 5 * marks < len(
            first
        )  # otherwise a list: indented, or with marks such as "Q:" and "1."
    header = lines[0].split(delimiter) if lines and delimiter in (",", ";") else []
    return len(header) > 1 and all(
        plain_name(cell.strip('" ')) in KNOWN for cell in header
    )


def sniff_delimiter(file: File) -> str:
    """The delimiter that gives most records the same number of cells, two or more; ""
    when this is not a table. A file named "csv" must be a table; in one named "txt" the
    signs must be clearer.
    """
    text = file.text
    table = file.has_suffix("csv", "tsv", "tab")
    prose = file.has_suffix("txt", "md", "markdown")
    best, best_score = "", 0.0
    for delimiter in DELIMITERS:
        widths, first = _widths(text, delimiter, file.source.whole)
        if len(first) < 2 or (
            prose and delimiter == "|" and file.options.shape == "text"
        ):
            continue
        width, agreeing = Counter(widths).most_common(1)[0]
        usual = sum(plain_name(cell) in KNOWN for cell in first)
        if usual > 1:  # the header counts, even if most texts contain the delimiter
            width = len(first)
            agreeing = max(agreeing, sum(cells >= len(first) for cells in widths))
        share = agreeing / len(widths)
        clear = first[0].strip() and (
            delimiter == "\t"
            or (delimiter == "|" and width > 2 and len(widths) >= _RULED)
        )
        orderly = (
            len(widths) >= 3
            and share > 0.9
            and (clear or (is_header(first) and not prose))
        )
        score = share + min(usual, 2) / 4 + min(width, 10) / 100
        score -= (
            text.count(f"{delimiter} ") / max(text.count(delimiter), 1) / 5
        )  # as in sentences
        if (
            width >= 2
            and share >= 0.5
            and (table or usual > prose or orderly)
            and score > best_score
        ):
            best, best_score = delimiter, score
    return best or ("," if table else "")


def _widths(text: str, delimiter: str, whole: bool) -> tuple[list[int], list[str]]:
    """The number of cells of the first records below the titles of a table, and the
    cells of the first.
    """
    lines = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    records = []
    try:
        for record in csv.reader([line + "\n" for line in lines], delimiter=delimiter):
            if record:
                records.append(record)
    except csv.Error:
        records.append([])
    if not whole and len(records) > 1:
        records.pop()
    titles = next(
        (n for n, record in enumerate(records[: _TITLES + 1]) if len(record) > 1), 0
    )
    if titles and len(records) >= titles + _UNDER_TITLES:
        records = records[titles:]
    return [len(record) for record in records[:200]], records[0] if records else []


def _open(file: File) -> OpenSource:
    declared = _declared_delimiter(file.text)
    delimiter = file.options.delimiter or declared or sniff_delimiter(file)
    cells = read_cells(file.lines(), delimiter, file.options.limits)
    if declared:
        next(cells)
    header, below, above = split_header(cells)
    first = [*islice(below, LOOKED_AT)]
    below = chain(first, below)
    plain = [
        row
        for _, row in first
        if not isinstance(row, RowFault) and any(map(str.strip, row))
    ]
    more = {len(row) - len(header or row) for row in plain}  # cells than names
    notes: list[Note] = []
    if header and len(header) > 2 and more == {-1}:
        what = (
            f"No row has a cell for the last column, {excerpt(header[-1], width=40)!r}."
        )
        notes.append(
            ("header_width", what, "Check that each text is in the right column.")
        )
    elif header and more == {1} and all(row[0].isdecimal() for row in plain):
        header = unique_names(
            ["", *header]
        )  # of numbered rows, whose numbers have no name
    elif header and len(plain) >= _UNDER_TITLES and len(more) == 1 and max(more) < -1:
        # It names no columns of the rows below.
        above, header = [*above, (first[0][0] - 1, header)], None
    passed = Passed()
    passed.add(TITLE, above)
    width = len(header or (plain[0] if plain else ()))
    ends = [
        width - max(n for n, cell in enumerate(row, 1) if cell.strip())
        for row in plain
        if len(row) == width
    ]
    below = _filled_up(below, width, int(median(ends)) if ends else 0)
    split = _SplitTexts(
        len(header or ()),
        delimiter,
        file.options.join_cells,
        file.options.drop_cells,
        passed,
    )
    rows = (
        split.rows(without_leftovers(below, header, len(header), passed))
        if header
        else below
    )
    tabs = delimiter == "\t"
    details = FileDetails("a table (TSV)" if tabs else "", delimiter=delimiter)
    records = as_records(rows, header, pad=bool(notes), can_drop=header is not None)
    opened = OpenSource(records, details, notes, format="tsv" if tabs else "")
    opened.passed = passed.parts
    opened.late_notes = lambda: [*passed.notes(), *split.notes()]
    return opened


def _filled_up(rows: Iterable[Cells], width: int, optional: int) -> Iterator[Cells]:
    """The rows, with empty cells for those missing at the end. optional: so many there
    are empty in most rows. A row below one that lacks more, or can't be read, may be
    the rest of it and stays as it is.
    """
    whole = True
    for line, cells in rows:
        missing = optional + 1 if isinstance(cells, RowFault) else width - len(cells)
        fits = whole and missing <= optional
        yield (
            line,
            [*cells, *[""] * missing]
            if fits and not isinstance(cells, RowFault)
            else cells,
        )
        whole = missing <= optional


@dataclass
class _SplitTexts:
    """Texts that a comma without quotes divides into several cells: offered to be
    joined again. join: whether the user chose to join them. lines: of the rows; first:
    what the first of them is when joined.
    """

    width: int
    delimiter: str
    join: bool
    drop: bool
    passed: Passed
    dropped: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    first: str = ""

    def rows(self, rows: Iterable[Cells]) -> Iterator[Cells]:
        """The rows, those with too many cells joined where that is wanted and leaves
        one for each column.
        """
        for line, cells in rows:
            if (
                not isinstance(cells, RowFault)
                and len(cells) > self.width
                and self.delimiter in _DIVIDERS
            ):
                joined = cells[:1]
                for cell in cells[1:]:
                    if (
                        cell[:1] == " "
                    ):  # people write a space after a comma inside a text
                        joined[-1] += self.delimiter + cell
                    else:
                        joined.append(cell)
                if len(joined) == self.width and all(map(str.strip, joined)):
                    self.lines.append(line)
                    self.first = self.first or " | ".join(
                        excerpt(cell.strip(), width=60) for cell in joined
                    )
                    cells = joined if self.join else cells
            if (
                self.drop
                and not isinstance(cells, RowFault)
                and len(cells) > self.width
                and not _may_be_split(cells)
            ):
                self.dropped.append(line)
                self.passed.add(BESIDE, [(line, cells[self.width :])])
                cells = cells[: self.width]
            yield line, cells

    def notes(self) -> list[Note]:
        """That cells were dropped, and the offer to join texts, or that they were
        joined.
        """
        notes: list[Note] = []
        if self.dropped:
            notes.append(
                (
                    "spare_cells",
                    f"Cells that the table has no column for: line {numbered(self.dropped)}.",
                    "",
                )
            )
        if not self.lines:
            return notes
        where = f"line {numbered(self.lines)}"
        sign = _DIVIDERS[self.delimiter]
        if self.join:
            message = f"Texts that were split at a {sign} were joined: {where}. The first row is now: {self.first}"
            return [
                *notes,
                ("split_texts", message, "Check that the joined rows are right."),
            ]
        message = (
            f"A {sign} without quotes seems to have split a text into several cells: {where}. "
            f"Joined, the first row would be: {self.first}"
        )
        return [
            *notes,
            ("split_texts", message, "Join the cells, or remove these rows."),
        ]


def _may_be_split(cells: list[str]) -> bool:
    """Whether a cell may be the rest of the one before: ", at nine", or "1,500 euros"."""
    return any(
        b[:1] == " " or (a[-1:].isdigit() and b[:3].isdigit())
        for a, b in pairwise(cells)
    )


DECLARED = Reader("csv", "a table (CSV)", _is_declared, _open, table=True)
TABLE = Reader(
    "csv",
    "a table (CSV)",
    lambda file: _fits(file, sniff_delimiter(file)),
    _open,
    table=True,
)
