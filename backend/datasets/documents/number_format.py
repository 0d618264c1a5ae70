"""Shows a number of an Excel file as Excel does: percentages, decimals, currencies.

The codes are those of ECMA-376, part 1, 18.8.31. Dates are left alone, and so are
fractions and powers: whoever reads the file shows their plain value.
"""

import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

_LITERAL = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|_.|\*.')
_DIGITS = re.compile(r"(?P<whole>[#0?][#0?,]*)(?:\.(?P<decimals>[#0?]+))?")
_NO_NUMBER = re.compile(r"[eE/?dmyhs@]")  # of a date, a power, a fraction, a text
_STYLES = "xl/styles.xml"
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Formats:
    """The formats of the cells of an Excel file by the number of their style."""

    def __init__(self, path: Path) -> None:
        from openpyxl.styles.numbers import BUILTIN_FORMATS

        self._codes: dict[int, str] = {}
        with ZipFile(path) as archive:
            if _STYLES not in archive.namelist():
                return
            styles = ElementTree.fromstring(archive.read(_STYLES))  # noqa: S314 - without entities: see `archive.check_document`
        own = {
            int(style.get("numFmtId", "0")): style.get("formatCode", "")
            for style in styles.iter(f"{_MAIN}numFmt")
        }
        codes = BUILTIN_FORMATS | own
        for number, style in enumerate(styles.iterfind(f"{_MAIN}cellXfs/{_MAIN}xf")):
            code = codes.get(int(style.get("numFmtId", "0")), "")
            bare = _LITERAL.sub("", code)
            if _DIGITS.search(bare) and not _NO_NUMBER.search(bare):
                self._codes[number] = code

    def applied(self, sheet: bytes) -> bytes:
        """The XML of a sheet, with each number that has a format as the text that it
        shows.
        """
        if not self._codes:
            return sheet
        numbers = "|".join(map(str, self._codes)).encode()
        cell = re.compile(
            rb'(<c r="\w+") s="(%s)"(?: t="n")?>(<f\b[^<>]*(?:/>|>[^<]*</f>))?<v>([^<]+)</v>'
            % numbers
        )
        return cell.sub(self._shown, sheet)

    def _shown(self, cell: re.Match[bytes]) -> bytes:
        text = escape(shown(float(cell[4]), self._codes[int(cell[2])]))
        return b'%s t="str"><v>%s</v>' % (cell[1], text.encode())


def shown(value: float, code: str) -> str:
    """The text of a number by the code of its format."""
    sections = code.split(";")
    code = sections[0]
    if value < 0 and len(sections) > 1:
        value, code = -value, sections[1]
    literals = ("".join(filter(None, part)) for part in _LITERAL.findall(code))
    bare = _LITERAL.sub("\0", code)
    digits = _DIGITS.search(bare)
    if digits is None:
        return plain(value)
    decimals = digits["decimals"] or ""
    whole = digits["whole"].count("0") + (len(decimals) + 1 if decimals else 0)
    grouping = "," if "," in digits["whole"] else ""
    number = value * 100 if "%" in bare else value
    text = f"{number:0{whole}{grouping}.{len(decimals)}f}"
    if "#" in decimals:
        text = text.rstrip("0").rstrip(".")
    filled = bare[: digits.start()] + text + bare[digits.end() :]
    return re.sub("\0", lambda _: next(literals), filled).strip()


def plain(value: float) -> str:
    """A number without a format, with as many digits as Excel shows."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.11g}"
