"""Spreadsheets that are filled and written again."""

import csv
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from backend.datasets.read.table import read_table
from backend.errors import BadInput

FORMULAS = ["=1+1", "+1;cmd", "-2+3", "@SUM(A1)", "\t=1+1"]


def excel(path: Path, lines: list[list[object]]) -> Path:
    book = Workbook()
    for line in lines:
        book.active.append(line)  # type: ignore[union-attr]
    book.save(path)
    return path


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_text_table_comes_back_with_one_more_column(
    tmp_path: Path, delimiter: str
) -> None:
    source = tmp_path / "q.csv"
    source.write_text(
        f"number{delimiter}question\n1{delimiter}Öffnet ihr?\n2{delimiter}Bis wann?\n",
        "cp1252",
    )
    table = read_table(source, source.name, 10)
    assert table.columns == ("number", "question")
    table.with_column("question", ["Ja", "Um acht"]).write(
        tmp_path / f"out{table.suffix}"
    )
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8-sig") as file:
        written = list(csv.reader(file, delimiter=delimiter))
    assert written == [
        ["number", "question", "question (2)"], ["1", "Öffnet ihr?", "Ja"], ["2", "Bis wann?", "Um acht"],
    ]  # fmt: skip


def test_an_excel_table_comes_back_as_one(tmp_path: Path) -> None:
    source = excel(
        tmp_path / "q.xlsx", [["number", "question"], [7, "Open?"], [8, "Until when?"]]
    )
    table = read_table(source, source.name, 10)
    assert [row["question"] for row in table.rows] == ["Open?", "Until when?"]
    table.with_column("answer", ["Yes\x00", "Eight"]).write(
        tmp_path / f"out{table.suffix}"
    )
    cells = [
        [cell.value for cell in row]
        for row in load_workbook(tmp_path / "out.xlsx").active.iter_rows()
    ]  # type: ignore[union-attr]
    assert cells == [
        ["number", "question", "answer"],
        ["7", "Open?", "Yes"],
        ["8", "Until when?", "Eight"],
    ]


def test_sheets_that_are_left_out_are_named(tmp_path: Path) -> None:
    book = Workbook()
    for sheet, question in (
        (book.active, "Open?"),
        (book.create_sheet("May"), "Until when?"),
    ):
        sheet.append(["question", "answer"])  # type: ignore[union-attr]
        sheet.append([question, ""])  # type: ignore[union-attr]
    book.active.append(["Secret?", ""])  # type: ignore[union-attr]
    book.active.row_dimensions[3].hidden = True  # type: ignore[union-attr]
    book.save(tmp_path / "q.xlsx")
    table = read_table(tmp_path / "q.xlsx", "q.xlsx", 10)
    assert [row["question"] for row in table.rows] == ["Open?"]
    assert table.skipped[0] == "Hidden rows were skipped: row 3."
    assert table.skipped[1:] == (
        "Only the sheet “Sheet” is in the new file, without: May.",
    )


def test_no_cell_becomes_a_formula(tmp_path: Path) -> None:
    source = tmp_path / "q.csv"
    rows = [f"Open {n}?,-4.50,+49 170 1234567" for n in range(len(FORMULAS))]
    source.write_text("\n".join(["question,price,phone", *rows]), "utf-8")
    table = read_table(source, source.name, 10).with_column("answer", FORMULAS)
    table.write(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8-sig") as file:
        _, *cells = csv.reader(file)
    assert [row[3] for row in cells] == [f"'{formula}" for formula in FORMULAS]
    assert {tuple(row[1:3]) for row in cells} == {("-4.50", "+49 170 1234567")}, (
        "numbers stay what they are"
    )
    book = excel(
        tmp_path / "q.xlsx",
        [["question"], *([f"Open {n}?"] for n in range(len(FORMULAS)))],
    )
    table = read_table(book, book.name, 10).with_column("answer", FORMULAS)
    table.write(tmp_path / "out.xlsx")
    sheet = load_workbook(tmp_path / "out.xlsx").active
    assert [row[1].data_type for row in sheet.iter_rows(min_row=2)] == ["s"] * len(
        FORMULAS
    )


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("q.csv", "number,question\n1,Open?\n2,Until,when,is it open?,x\n", "Row 3"),
        ("q.csv", "question\n" + "Open?\n" * 11, "10 rows"),
        ("q.txt", "We bake at night. The shop opens at six.\n", "not a spreadsheet"),
        ("q.csv", "", "empty"),
    ],
)
def test_what_cannot_be_answered_whole_is_named_at_first(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(BadInput, match=says):
        read_table(tmp_path / name, name, 10)
