"""Web pages are read as a browser shows them, in steps that grow with the page; cells
are shown as Excel does.
"""

import datetime
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from backend.datasets.documents.markdown import has_table
from backend.datasets.documents.markup import _Reader, read_html
from backend.datasets.documents.number_format import plain, shown
from backend.datasets.documents.workbook import FORMULA, HIDDEN, Sheets


class Tag(str):
    """A name of an element that counts how often it is looked at."""

    looked = 0

    def __eq__(self, other: object) -> bool:
        Tag.looked += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Tag.looked += 1
        return str.__hash__(self)


@pytest.mark.parametrize("closed", ["b", "i", "p"])
def test_the_steps_do_not_depend_on_how_many_elements_are_open(closed: str) -> None:
    def steps(depth: int) -> int:
        reader = _Reader()
        reader.feed(" ")
        for _ in range(depth):
            reader.handle_starttag(Tag("span"), [])
        Tag.looked = 0
        for _ in range(10):
            reader.handle_data("x")
            reader.handle_endtag(closed)
            reader.handle_starttag("p", [])
            reader.handle_endtag("p")
        return Tag.looked

    assert steps(300) == steps(3)


def test_elements_end_and_what_is_no_whole_tag_is_text() -> None:
    document = read_html(
        "<h2>A<h3>B</h3></h2><p><b>C<b>D</b></b></p><pre>E  F</pre><p>G  H</p><script>I</script>J"
    )
    assert [(b.text, b.level, b.bold) for b in document.blocks] == [
        ("A", 2, False), ("B", 3, False), ("CD", 0, True), ("E  F", 0, False), ("G H", 0, False), ("J", 0, False),
    ]  # fmt: skip
    assert read_html("a <b>c</b> d <i e <i f <i g").text == "a c d <i e <i f <i g"
    assert read_html("a <![>b<![CDATA[c>d").text == "a bd"


def test_the_end_of_a_tag_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    begin = _Reader.parse_starttag

    def counted(reader: _Reader, at: int) -> int:
        begun.append(at)
        return begin(reader, at)

    monkeypatch.setattr(_Reader, "parse_starttag", counted)
    assert read_html("<p>" + "<a " * 100).text == ("<a " * 100).strip()
    assert begun == [0]


def test_lists_are_indented_and_rules_of_tables_found() -> None:
    text = read_html("<ul><li>a" * 500).text
    assert "\n  - a" in text
    assert max(len(line) for line in text.split("\n")) < 50
    for rule in ("|---|---|", "--- | :---:", "  | - | - |  ", "|-|-"):
        assert has_table(f"a | b\n{rule}\n1 | 2")
    for line in ("---", "| a | b |", "|-|-" + " " * 5_000 + "x", "|-|-|" + " " * 5_000):
        assert not has_table(f"a | b\n{line}\n1 | 2")


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.35, "0%", "35%"), (0.3456, "0.0%", "34.6%"), (1299, "#,##0.00", "1,299.00"),
        (1299.5, '#,##0.00\\ "€"', "1,299.50 €"), (1299, "[$$-409]#,##0", "$1,299"),
        (-5, "#,##0.00;(#,##0.00)", "(5.00)"), (7, "00000", "00007"), (3.1, "0.##", "3.1"), (3, '0" h";-0', "3 h"),
    ],
)  # fmt: skip
def test_a_number_looks_as_in_the_cell(value: float, code: str, text: str) -> None:
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (2.5, "2.5"), (0.1 + 0.2, "0.3"), (4006381333931.0, "4006381333931")],
)
def test_a_number_without_a_format_has_the_digits_that_excel_shows(
    value: float, text: str
) -> None:
    assert plain(value) == text


def test_cells_that_have_no_value_to_read_are_shown(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["=1+1", "#N/A", 0.35, datetime.time(14, 5), "x_x000D_\ny"])
    book.active.append([True, datetime.datetime(2026, 3, 9), 12345.678, 1.5, None])
    book.active.append(["hidden", "row"])
    book.active.row_dimensions[3].hidden = True
    book.active["A4"] = "merged"
    book.active.merge_cells("A4:B5")
    book.active["C5"] = "beside"
    book.active["C1"].number_format = "0%"
    book.active["C2"].number_format = "0.00E+00"
    book.active["D2"].number_format = "# ?/?"
    book.create_chartsheet("Chart")
    book.save(tmp_path / "x.xlsx")
    sheets = Sheets(tmp_path / "x.xlsx", 5)
    assert sheets.names == ["Sheet"]
    assert list(sheets.rows("Sheet")) == [
        (1, [FORMULA, "#N/A", "35%", "14:05:00", "x\ny"]),
        (2, ["true", "2026-03-09", "12345.678", "1.5"]),
        (3, [HIDDEN, "hidden", "row"]),
        (4, ["merged"]),
        (5, ["merged", "", "beside"]),
    ]


def test_an_opendocument_cell_is_read_as_it_is_shown(tmp_path: Path) -> None:
    cell, row = "<table:table-cell", "<table:table-row"
    with zipfile.ZipFile(tmp_path / "x.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest:manifest/>")
        archive.writestr(
            "content.xml",
            '<office:document-content xmlns:office="o" xmlns:table="t" xmlns:text="x">'
            '<office:body><office:spreadsheet><table:table table:name="One">'
            f'{row}>{cell} office:value-type="percentage" office:value="0.35">'
            "<office:annotation><text:p>why?</text:p></office:annotation>"
            f"<text:p>35 %</text:p></table:table-cell>"
            f'{cell} office:value-type="float" office:value="7"/>'
            f'{cell} table:formula="of:=[.A1]"/></table:table-row>'
            f'{row} table:visibility="collapse">{cell} office:value-type="string">'
            "<text:p>hidden</text:p></table:table-cell></table:table-row>"
            "</table:table></office:spreadsheet></office:body></office:document-content>",
        )
    sheets = Sheets(tmp_path / "x.ods", 5)
    assert list(sheets.rows("One")) == [
        (1, ["35 %", "7", FORMULA]),
        (2, [HIDDEN, "hidden"]),
    ]
