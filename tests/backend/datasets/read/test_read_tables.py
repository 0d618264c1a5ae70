"""Table cells are read unchanged, and a row that does not fit is reported with its
line.
"""

import csv
import datetime
import gzip
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.datasets.read.load import Limits, ReadOptions, load
from backend.errors import BadInput
from backend.records.rows import Dataset, columns_of
from tests.backend.datasets.builders import load_text
from tests.cases import cases


def pairs(data: Dataset) -> list[tuple[str, str]]:
    """(question, answer) of each row."""
    return [
        (row.messages[-2]["content"], row.messages[-1]["content"]) for row in data.rows
    ]


def found(data: Dataset) -> list[tuple[int, int, str]]:
    return [(p.line, p.row, p.kind) for p in data.problems if p.row]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("question,answer\na,b\n", [("a", "b")]),
        ('question,answer\n"a ""quoted"" word","b, c"\n', [('a "quoted" word', "b, c")]),
        ('question,answer\n"two\nlines","b\r\nc"\n', [("two\nlines", "b\r\nc")]),
        ("question,answer\r\na,b\r\n\r\nc,d", [("a", "b"), ("c", "d")]),
        ("question,answer\nNone,NA\n007,null\nNaN,1.10\n", [("None", "NA"), ("007", "null"), ("NaN", "1.10")]),
        ('question,answer\nIs 5" enough?,yes\n', [('Is 5" enough?', "yes")]),
        ("\ufeffquestion,answer\na,b\n", [("a", "b")]),
        ("question,answer\na\u2028b,c\u0085d\n", [("a\u2028b", "c\u0085d")]),
        ("question,answer\n" + "x" * 200_000 + ",b\n", [("x" * 200_000, "b")]),
        ("question,answer\na\0b,c\n", [("a\0b", "c")]), ("question,answer\na\ue000b,c\0d\n", [("a\ue000b", "c\0d")]),
        ("question , Answer:\na,b\n", [("a", "b")]),
    ],
)  # fmt: skip
def test_cells_stay_as_they_are_written(
    text: str, expected: list[tuple[str, str]]
) -> None:
    data = load_text(text)
    assert pairs(data) == expected
    assert data.problems == []


def test_ragged_rows_and_spare_cells() -> None:
    data = load_text(
        'question,answer,note\na,b,c\nonly,two\n"x\ny",2,3\none,two,three,four\nd,e,f\n'
    )
    assert pairs(data) == [("a", "b"), ("x\ny", "2"), ("d", "e")]
    assert found(data) == [(3, 2, "ragged_row"), (6, 4, "ragged_row")]
    assert (re.findall(r"\d", data.problems[0].message), data.total_rows) == (
        ["2", "3"],
        5,
    )
    assert data.source.ignored == ("note",)
    data = load_text(
        "question,answer,note\na,b,\nc,d,\nWhat is\nthe thing?,Paris\ne,f\n"
    )  # an optional last cell
    assert (pairs(data), [line for line, *_ in found(data)]) == (
        [("a", "b"), ("c", "d"), ("e", "f")],
        [4, 5],
    )
    text = "question,answer\nOpen?,Yes.,mia,old\nLate?,No.,tom\nd,e\nalone\n"
    assert [p.fix for p in load_text(text).problems][:2] == [
        "Drop the 2 spare cells.",
        "Drop the spare cell.",
    ]
    dropped = load_text(text, options=ReadOptions(drop_cells=True))
    assert pairs(dropped) == [("Open?", "Yes."), ("Late?", "No."), ("d", "e")]
    assert found(dropped) == [(5, 4, "ragged_row")]


def test_texts_that_a_comma_divides_are_joined_only_when_that_is_wanted() -> None:
    text = "question,answer\nHello, do you open?,Yes, at nine.\nAnd when?,At 5, or 6, it depends.\na,b,c\nd,e\n"
    data = load_text(text)
    assert pairs(data) == [("d", "e")]
    [offer] = [p.message for p in data.problems if p.kind == "split_texts"]
    assert "Hello, do you open? | Yes, at nine." in offer
    joined = load_text(text, options=ReadOptions(join_cells=True))
    assert pairs(joined)[:2] == [
        ("Hello, do you open?", "Yes, at nine."),
        ("And when?", "At 5, or 6, it depends."),
    ]
    assert found(joined) == [(4, 3, "ragged_row")]
    assert [p.kind for p in joined.problems] == ["ragged_row", "split_texts"]
    assert "split_texts" not in {
        p.kind for p in load_text("q?, answer\na?, b, c\nd?, e\n").problems
    }


def test_broken_quotes_and_long_cells_lose_only_their_row() -> None:
    rows = "".join(f"q{n},a{n}\n" for n in range(3000))
    data = load_text('question,answer\nfirst,"opened\n' + rows)
    assert (found(data), len(data.rows)) == ([(2, 1, "bad_quotes")], 3000)
    data = load_text('question,answer\n"a"b,c\nd,e\n')
    assert (found(data), pairs(data)) == ([(2, 1, "bad_quotes")], [("d", "e")])
    text = "question,answer\na,b\n" + "x" * 300 + ",b\nc,d\n"
    assert found(
        load_text(text, options=ReadOptions(limits=Limits(field_chars=200)))
    ) == [(3, 2, "field_too_large")]
    assert found(
        load_text(text, options=ReadOptions(limits=Limits(row_chars=200)))
    ) == [(3, 2, "row_too_large")]
    assert found(
        load_text(text, options=ReadOptions(limits=Limits(line_bytes=200)))
    ) == [(3, 2, "row_too_large")]


@pytest.mark.parametrize(
    ("more", "passed"),
    [
        ([",", " , ", "e,f"], ["3, 4"]), (["e,f,", "g,h,,"], []), (["e,f", "Total,2"], ["4"]),
        (["e,f", "", "Stand: neu,"], ["5"]), (["e,f", ",", "Summe:,12"], ["5", "4"]), (["question,answer", "e,f"], []),
    ],
)  # fmt: skip
def test_leftovers_of_a_spreadsheet_are_passed_over_with_a_word(
    more: list[str], passed: list[str]
) -> None:
    data = load_text("\n".join(["question,answer", "a,b", *more]))
    assert [(p.kind, p.severity, p.row) for p in data.problems] == [
        ("leftovers", "warning", 0)
    ] * len(passed)
    assert all(
        rows in problem.message
        for rows, problem in zip(passed, data.problems, strict=True)
    )
    assert (
        data.total_rows
        == len(data.rows)
        == sum(line[0] in "eg" for line in more if line) + 1
    )


def test_a_row_with_one_cell_that_may_belong_to_the_row_above_is_named() -> None:
    data = load_text(
        "no,question,answer\n1,What goes on,b\n,in the next row?,\n2,c,d\n"
    )
    assert [(p.kind, "row 3" in p.message) for p in data.problems] == [
        ("leftovers", True)
    ]


def test_a_total_is_an_example_and_the_delimiter_is_chosen() -> None:
    assert len(load_text("question,answer\na,b\nTotal,2\nc,d\n").rows) == 3
    assert (
        load_text("frage;antwort\n1,5;2,5\n3,5;4,5\n").source.details.delimiter == ";"
    )
    data = load_text(
        "a~b\nq~r\ns~t\n",
        options=ReadOptions(delimiter="~", mapping={"question": "a", "answer": "b"}),
    )
    assert pairs(data) == [("q", "r"), ("s", "t")]


def test_a_table_without_a_header_loses_no_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "What is the capital of France?,It is Paris of course.\nWho wrote Faust?,Johann Wolfgang von Goethe did.\n"
        "Where is the Nile?,It flows through Egypt and Sudan.\n"
    )
    data = load(path)
    assert (pairs(data)[0], len(data.rows)) == (
        ("What is the capital of France?", "It is Paris of course."),
        3,
    )
    assert data.source.mapping == {"question": "column 1", "answer": "column 2"}


@pytest.mark.parametrize(("header", "rows"), cases("tables", "headers"))
def test_names_of_columns_are_told_from_a_first_row_of_data(
    header: str, rows: list[str]
) -> None:
    for lines in ([header, *rows], rows):
        options = ReadOptions(delimiter="|")
        found = load_text("\n".join(lines), options=options).source
        columns = (*columns_of(found.mapping), *found.ignored)
        assert (
            set(columns) <= set(header.split("|"))
            if lines is not rows
            else columns[0].startswith("column ")
        )


# Many control characters mean a binary file, which is rejected, so cells here have only
# the common ones.
WRITTEN = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from("\n\r\t")
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(WRITTEN, WRITTEN), min_size=1, max_size=8),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@example([("", "?")] * 4, ",", csv.QUOTE_ALL)
def test_csv_output_is_read_back(
    rows: list[tuple[str, str]], delimiter: str, quoting: Any
) -> None:
    clean = [
        (f"q{a}", f"a{b}") for a, b in rows if not any(c in a + b for c in "\0\ue001")
    ]
    if quoting == csv.QUOTE_MINIMAL:
        clean = [(a, b) for a, b in clean if "\r" not in a + b] or [("q", "a")]
    clean = clean or [("q", "a")]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerows([("question", "answer"), *clean])
    data = load_text(out.getvalue())
    assert pairs(data) == clean
    assert data.problems == []


def _workbook(path: Path, *sheets: tuple[str, list[list[Any]]]) -> Path:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


QA: list[list[Any]] = [
    ["Question", "Answer"],
    ["007", "None"],
    [3, 2.5],
    [datetime.date(2026, 1, 2), True],
]


def test_excel_values_sheets_and_ragged_rows_are_read(tmp_path: Path) -> None:
    rows = [*QA, [], ["last", "one", None]]
    data = load(_workbook(tmp_path / "table.csv", ("Table", rows)))
    assert pairs(data) == [
        ("007", "None"),
        ("3", "2.5"),
        ("2026-01-02", "true"),
        ("last", "one"),
    ]
    assert [row.line for row in data.rows] == [2, 3, 4, 6]
    details = data.source.details
    assert (data.source.format, details.sheet, details.sheets) == (
        "xlsx",
        "Table",
        ("Table",),
    )
    path = _workbook(
        tmp_path / "x.xlsx",
        ("Cover", []),
        ("Data", QA),
        ("More", [["question", "answer"], ["x", "y"]]),
    )
    data = load(path)
    assert (len(data.rows), [(p.kind, p.severity) for p in data.problems]) == (
        3,
        [("other_sheets", "warning")],
    )
    assert "More" in data.problems[0].message
    chosen = load(path, options=ReadOptions(sheet="More"))
    assert (pairs(chosen), chosen.problems) == ([("x", "y")], [])
    with pytest.raises(BadInput, match="'Gone'"):
        load(path, options=ReadOptions(sheet="Gone"))
    data = load(
        _workbook(
            tmp_path / "x.xlsx",
            ("T", [["question", "answer"], ["a"], ["b", "c", "d"], ["e", "f"]]),
        )
    )
    assert (found(data), pairs(data)) == ([], [("a", ""), ("b", "c"), ("e", "f")])
    assert [(part.text, part.line) for part in data.source.passed] == [("d", 3)]


def test_bombs_and_entities_in_excel_are_stopped(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "x.xlsx", ("T", QA))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/blank.bin", b"\0" * 5_000_000)
    for limits in (
        Limits(expanded_bytes=1_000_000),
        Limits(ratio_from_bytes=1_000_000),
    ):
        with pytest.raises(BadInput, match="unpacks"):
            load(path, options=ReadOptions(limits=limits))
    path = tmp_path / "x.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/workbook.xml",
            '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><workbook/>',
        )
    with pytest.raises(BadInput, match="entities"):
        load(path)


def _parquet(path: Path, columns: dict[str, list[Any]], **options: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, **options)
    return path


def test_parquet_tables_and_conversations(tmp_path: Path) -> None:
    data = load(
        _parquet(
            tmp_path / "x.json",
            {
                "question": ["a", "007", None],
                "answer": ["b", "None", "c"],
                "id": [1, 2, 3],
            },
        )
    )
    assert (pairs(data), found(data)) == (
        [("a", "b"), ("007", "None")],
        [(3, 3, "content_null")],
    )
    assert (data.source.format, data.source.ignored) == ("parquet", ("id",))
    messages = [
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        [
            {"role": "user", "content": "c", "name": "Ann"},
            {"role": "assistant", "content": "d"},
        ],
    ]
    chats = load(_parquet(tmp_path / "y.parquet", {"messages": messages}))
    assert [row.messages for row in chats.rows] == messages
    packed = tmp_path / "z.parquet.gz"
    packed.write_bytes(gzip.compress((tmp_path / "y.parquet").read_bytes()))
    assert [row.messages for row in load(packed).rows] == messages


def test_parquet_is_measured_before_it_is_read(tmp_path: Path) -> None:
    path = _parquet(
        tmp_path / "x.parquet",
        {"question": ["a" * 1000] * 5000, "answer": [str(n) for n in range(5000)]},
    )
    assert len(load(path, options=ReadOptions(limits=Limits(rows=100))).rows) == 100
    huge = _parquet(
        tmp_path / "y.parquet",
        {"question": ["a" * 1000] * 5000, "answer": ["b"] * 5000},
        use_dictionary=False,
    )
    with pytest.raises(BadInput, match="unpacks"):
        load(huge, options=ReadOptions(limits=Limits(expanded_bytes=1_000_000)))
    many = _parquet(
        tmp_path / "m.parquet",
        {"question": [f"q{n}" for n in range(900)], "answer": ["b"] * 900},
    )
    data = load(many, options=ReadOptions(limits=Limits(rows=400)))
    assert (len(data.rows), [p.kind for p in data.problems]) == (400, ["rows_left_out"])
    assert "500 rows" in data.problems[0].message
    same = _parquet(
        tmp_path / "s.parquet",
        {"question": ["a" * 1000] * 5000, "answer": ["b"] * 5000},
    )  # 2 kB
    with pytest.raises(BadInput, match="unpacks"):
        load(same, options=ReadOptions(limits=Limits(ratio_from_bytes=1_000_000)))
    with pytest.raises(BadInput, match="no rows"):
        load(_parquet(tmp_path / "z.parquet", {"question": [], "answer": []}))


@pytest.mark.parametrize(("codec", "ask", "reply"), cases("tables", "code_pages"))
def test_code_pages_are_told_apart_by_letters_of_languages(
    tmp_path: Path, codec: str, ask: str, reply: str
) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"question,answer\n" + f'{ask},"{reply}"\n'.encode(codec) * 9)
    assert [message["content"] for message in load(path).rows[0].messages] == [
        ask,
        reply,
    ]


@pytest.mark.parametrize(
    ("delimiter", "encoding", "name"),
    [(";", "cp1252", "a.csv"), ("\t", "utf-16", "a.txt")],
)
def test_a_headless_table_is_read_in_any_encoding(
    tmp_path: Path, delimiter: str, encoding: str, name: str
) -> None:
    rows = [
        (f"Vocês têm a peça número {n}?", f"Temos, até sábado às {n} h.")
        for n in range(8)
    ]
    (tmp_path / name).write_bytes(
        "\r\n".join(map(delimiter.join, rows)).encode(encoding)
    )
    data = load(tmp_path / name)
    assert pairs(data) == rows
    assert "mapping_guessed" in {p.kind for p in data.problems}


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN:VCALENDAR\nVERSION:2.0\nSUMMARY:Is it open?\n", "1\n00:00:01,000 --> 00:00:02,000\nAre you there?\n",
        "-- of March\nCREATE TABLE faq (question text);\nINSERT INTO faq VALUES ('Open?');\n",
    ],
)  # fmt: skip
def test_what_is_written_for_a_program_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="program"):
        load_text(text * 5)


@pytest.mark.parametrize(
    "text",
    [
        "\t" * 60 + "What is a bevel?",
        "---" + "\n" * 60 + "What is it?",
        "<!---->\n" * 60,
    ],
)
def test_blank_space_and_comments_at_the_start_are_read_at_once(text: str) -> None:
    assert (
        load_text(text + " It is an edge that is not square." * 9).rows[0].text
    )  # a slow pattern would never end


@pytest.mark.parametrize(
    "entry", ["<item><title>a?</title>", "<item><a><b></item>" + "<c>" * 20]
)
def test_a_feed_with_elements_that_never_end_is_refused_at_once(entry: str) -> None:
    with pytest.raises(BadInput):
        load_text("<rss><channel>" + entry * 40_000)


def test_a_row_that_cannot_be_read_costs_a_question_its_answer_and_no_other() -> None:
    texts = [text for n in range(400) for text in (f"Is it {n}?", f"It is {n}.")]
    data = load_text(
        "\n".join(["text", *texts[:600], "Is it, 300?", *texts[601:]]), name="faq.csv"
    )
    assert (found(data), pairs(data)[300]) == (
        [(602, 301, "ragged_row")],
        ("", "It is 300."),
    )
    assert pairs(data)[-1] == tuple(texts[-2:])
    lines = "".join(f'{{"text": "{text}"}}\n' for text in texts)
    data = load_text(lines + '{"x": 1, "text": "Late?"}\n{"text": "No.", "x": 1}')
    assert (len(data.rows), data.problems, pairs(data)[-1]) == (
        401,
        [],
        ("Late?", "No."),
    )


def test_a_text_about_inserting_is_no_dump_of_a_database() -> None:
    assert (
        load_text("Insert into the slot A the tab B. Then fold the lid over it. " * 9)
        .rows[0]
        .text
    )


@pytest.mark.parametrize(
    "text",
    [
        "Q:\tHow do I pay{n}?\nA:\tBy card {n}.\n",
        "{n}.\tHow do I pay{n}?\n\tBy card {n}.\n",
    ],
    ids=["marks", "numbers"],
)
def test_marks_before_a_tab_are_no_answers(text: str) -> None:
    data = load_text("".join(text.format(n=n) for n in range(6)), name="faq.txt")
    assert pairs(data) == [(f"How do I pay{n}?", f"By card {n}.") for n in range(6)]


def test_paragraphs_indented_by_tabs_stay_one_text() -> None:
    story = "".join(
        f"\tOn day {n} the baker rose early, lit the oven and sang.\n" for n in range(6)
    )
    assert [row.text for row in load_text(story, name="story.txt").rows] == [story]
