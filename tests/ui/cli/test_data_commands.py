"""The commands for examples: check, fix, data, and what all of them ask."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from openpyxl import Workbook

from backend.datasets.check_dataset import check as check_rows
from backend.datasets.read.load import load
from backend.errors import BadUsage
from backend.records.rows import FileDetails, Proposal
from backend.settings import SAMPLES, Workspace
from tests.backend.datasets.builders import SOURCE
from tests.ui.cli.shell import ORDERS, Shell, chat, write_lines
from ui.cli.data_commands import warnings as warnings_of
from ui.cli.main import main, make_parser
from ui.cli.options import imported, other_ways, reading_options
from ui.services.app import App


def test_check_unpacks_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], app: Shell
) -> None:
    new = Shell(Workspace.open(tmp_path / "new"), capsys)
    report = new("check", ORDERS)
    assert report == app("check", ORDERS)
    assert (app.code, report["rows"], report["usable"], report["problems"]) == (
        0,
        240,
        240,
        [],
    )
    assert (
        list(new.workspace.models.iterdir()) == list(new.workspace.runs.iterdir()) == []
    )


def test_a_chat_says_whom_it_imitates_and_takes_another(
    app: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "chat.txt"
    file.write_text(
        "31.12.23, 21:15 - Anna: Open?\n31.12.23, 21:16 - Ben: Yes, till six.\n",
        "utf-8",
    )
    guessed = app("check", str(file))
    assert guessed["rows"] == 1
    assert [it["kind"] for it in guessed["problems"]][:1] == ["mapping_guessed"]
    assert app("check", str(file), "--imitate", "Ben")["rows"] == 1
    clean = tmp_path / "clean.jsonl"
    app("fix", str(file), "--imitate", "Ben", "-o", str(clean))
    assert "Yes, till six." in clean.read_text("utf-8")


def test_fix_then_check_is_clean(app: Shell, tmp_path: Path) -> None:
    rows = [
        chat(f"question number {i}?", f"answer to {i}, in some words")
        for i in range(20)
    ]
    file = write_lines(
        tmp_path / "d.jsonl",
        *rows,
        chat("a question left alone", None),
        "{broken",
        rows[0],
    )
    before = app("check", file)
    assert (
        app.code,
        {p["line"] for p in before["problems"] if p["severity"] == "error"},
    ) == (1, {21, 22})
    fixed = app("fix", file, "-o", str(tmp_path / "clean.jsonl"))
    assert fixed["dropped"] == 3
    log = [
        json.loads(line) for line in Path(fixed["log"]).read_text("utf-8").splitlines()
    ]
    assert {entry["line"] for entry in log} == {21, 22, 23}
    after = app("check", str(tmp_path / "clean.jsonl"))
    assert (app.code, (after["rows"], after["usable"])) == (0, (20, 20))
    assert not [p for p in after["problems"] if p["severity"] == "error"]
    bad = write_lines(
        tmp_path / "bad.jsonl", chat("a question left alone", None), "{broken"
    )
    error = app("fix", bad, "-o", str(tmp_path / "nothing.jsonl"))
    assert (app.code, error["error"]) == (1, "BadInput")
    assert "2 rows removed" in error["why"]
    error = app(
        "fix",
        file,
        "-o",
        str(tmp_path / "nothing.jsonl"),
        "--accept",
        "mojibake, conflicting_answers",
    )
    assert (app.code, error["error"], list(tmp_path.glob("nothing*"))) == (
        1,
        "BadInput",
        [],
    )


def test_check_says_what_was_understood_and_fix_drops_only_spare_cells(
    app: Shell, tmp_path: Path
) -> None:
    lines = [
        f"How much is item {n}?,It is number {n} of the row.,seen" for n in range(20)
    ]
    table = tmp_path / "t.csv"
    table.write_text(
        "\n".join(
            [
                "Our items",
                "question,answer,state",
                *lines,
                "A last one?,It is red.,ok,mia,old",
            ]
        )
    )
    report = app("check", str(table))
    line = "Each example: question, answer; not used: 'state', 1 × row above the table (line 1)."
    assert (report["understood"], [part["text"] for part in report["passed_over"]]) == (
        line,
        ["Our items"],
    )
    fixed = app("fix", str(table), "-o", str(tmp_path / "o.jsonl"))
    assert (fixed["rows"], fixed["dropped"]) == (21, 0)
    write_lines(
        tmp_path / "e.jsonl",
        *[chat(f"question {n}?", f"answer {n}") for n in range(9)],
        chat("\u200b", "a"),
    )
    app(
        "fix",
        str(tmp_path / "e.jsonl"),
        "-o",
        str(tmp_path / "o.jsonl"),
        "--accept",
        "invisible_characters",
    )
    assert len((tmp_path / "o.jsonl").read_text("utf-8").splitlines()) == 9


def test_a_validation_file_is_checked_and_rows_in_both_files_are_counted_once(
    app: Shell, tmp_path: Path
) -> None:
    rows = [
        chat(
            f"what about the thing called {i} over there?",
            f"answer to {i}, in some words",
        )
        for i in range(20)
    ]
    test = [
        chat(f"another one, {i} it was, of mine?", f"quite another answer, {i}")
        for i in range(5)
    ]
    data = write_lines(tmp_path / "d.jsonl", *rows)
    own = write_lines(
        tmp_path / "test.jsonl",
        *test,
        rows[3],
        chat("a question left alone", None),
        "{broken",
    )
    report = app("check", data, "--validation", own)
    split = report["split"]
    assert (split["train"], split["validation"], split["leaks"]) == (19, 6, 1)
    found = {p["kind"]: (p["line"], p["message"]) for p in report["problems"]}
    line, message = found["leak"]
    assert (line, "line 6" in message) == (4, True)
    assert "2 of the 8" in found["test_rows_left_out"][1]
    assert "lines 7, 8" in found["test_rows_left_out"][1]
    assert {
        p["line"] for p in report["validation"]["problems"] if p["severity"] == "error"
    } == {7, 8}


def test_a_validation_file_without_a_usable_row_is_rejected(
    app: Shell, tmp_path: Path
) -> None:
    empty = write_lines(tmp_path / "test.jsonl", "{broken", '{"messages": []}')
    assert "validation file" in app("check", ORDERS, "--validation", empty)["what"]
    assert (
        "validation file"
        in app("train", "--data", ORDERS, "--validation", empty)["what"]
    )
    assert app("runs") == {"runs": []}
    text = write_lines(
        tmp_path / "test.txt", "Once upon a time there was a lamp. " * 20
    )
    assert "documents" in app("check", ORDERS, "--validation", text)["what"]


def test_columns_are_named_as_field_and_column(app: Shell, tmp_path: Path) -> None:
    rows = [
        {"message": f"Is {n} open?", "reply text": f"Reply {n}.", "agent": "gpt-4o"}
        for n in range(5)
    ]
    file = write_lines(tmp_path / "d.jsonl", *rows)
    named = ["--column", "question=message", "--column", "answer=reply text"]
    assert app("check", file, *named)["mapping"] == {
        "question": "message",
        "answer": "reply text",
    }
    fields = app("check", file, *named, "--column", "answer=agent")["mapping"]
    assert fields["answer"] == ["reply text", "agent"]
    assert app("check", file, "--column", "message")["error"] == "BadUsage"
    assert app("datasets") == {"datasets": []}


@pytest.fixture
def form(tmp_path: Path) -> str:
    """A table whose columns can only be guessed."""
    lines = (
        f"When is tea number {n} served?,Tea number {n} is served at {n}."
        for n in range(8)
    )
    return write_lines(tmp_path / "form.csv", "Which tea,What else", *lines)


def test_nothing_is_made_of_a_guess_until_it_is_confirmed(
    app: Shell, form: str, tmp_path: Path
) -> None:
    clean = str(tmp_path / "clean.jsonl")
    columns = ["--column", "question=Which tea", "--column", "answer=What else"]
    report = app("check", form)
    assert (app.code, [one["kind"] for one in report["questions"]]) == (
        1,
        ["mapping_guessed"],
    )
    for command in (["fix", form, "-o", clean], ["train", "--data", form]):
        error = app(*command)
        assert app.code == 1
        assert "--yes" in error["next"]
        assert "--column" in error["next"]
    assert not Path(clean).exists()
    assert app("runs") == {"runs": []}
    for answer in (columns, ["--yes"]):
        assert app("fix", form, "-o", clean, *answer)["rows"] == 8
        assert app("check", form, *answer)["questions"] == []


def test_check_prints_the_first_examples_and_what_to_type(
    app: Shell, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = ["--workspace", str(app.workspace.root)]
    main(["check", form, *workspace])
    printed = capsys.readouterr().out
    assert re.findall("Tea number (.) is served", printed) == ["0", "1", "2"]
    assert "--yes" in printed
    assert "--column" in printed
    main(["check", form, "--yes", *workspace])
    assert "Tea number" not in capsys.readouterr().out


def test_other_ways_are_those_that_the_reader_proposes() -> None:
    ways = [
        ({"mapping": {"question": "a", "answer": ("b c", "d")}}, "fields"),
        ({"shape": "text", "only": {"ok": ["yes", "no"]}}, "a text"),
        ({"imitate": ["Anna B"], "pairs": True}, "Anna"),
    ]
    proposals = tuple(Proposal(title, options) for options, title in ways)
    source = replace(SOURCE, proposals=(Proposal("", {}), *proposals))
    typed = [
        ("--column question=a --column 'answer=b c' --column answer=d", "fields"),
        ("--shape text --only ok=yes --only ok=no", "a text"),
        ("--imitate 'Anna B' --pairs", "Anna"),
    ]
    assert other_ways(source)[:3] == typed
    sheets = FileDetails(sheets=("May", "June 2"), sheet="May")
    assert other_ways(replace(SOURCE, details=sheets))[0][0] == "--sheet 'June 2'"


def test_the_task_reaches_the_reader(app: Shell, form: str) -> None:
    typed = ["train", "--data", form, "--yes", "--task", "extract"]
    options = make_parser().parse_args(typed)
    services = App(app.workspace)
    data_id = imported(services, options)
    info = services.dataset_store.info.read(data_id)
    assert info.read_options == {"task": "extract"}
    assert services.datasets.checked(data_id).questions == []
    app("check", form, "--task", "boss")
    assert app.code == 2


def test_train_says_what_check_warns_of(tmp_path: Path) -> None:
    rows = [
        chat(f"what about the thing called {i}?", "Mail Tom &amp; me: a@mill.test")
        for i in range(6)
    ]
    report = check_rows(load(Path(write_lines(tmp_path / "d.jsonl", *rows))))
    said = warnings_of(report)
    assert len(said) == len(set(said)) == len({p.kind for p in report.problems})
    assert any("6 examples" in line for line in said)


def test_the_sheet_the_encoding_and_the_shape_can_be_chosen(
    app: Shell, tmp_path: Path
) -> None:
    book = Workbook()
    for sheet, rows in (
        (book.active, [["q", "a"]]),
        (book.create_sheet("More"), [["Who?", "We."], ["When?", "Now."]]),
    ):
        for row in (["question", "answer"], *rows):
            sheet.append(row)  # type: ignore[union-attr]
    book.save(tmp_path / "d.xlsx")
    assert app("check", str(tmp_path / "d.xlsx"), "--sheet", "More")["rows"] == 2
    (tmp_path / "d.csv").write_bytes("question,answer\nKdo?,Přítel.\n".encode("cp1250"))
    assert (
        app("check", str(tmp_path / "d.csv"), "--encoding", "cp1250")["encoding"]
        == "cp1250"
    )
    assert (
        app("check", str(tmp_path / "d.csv"), "--shape", "alpaca")["error"]
        == "BadInput"
    )


def test_check_fix_and_train_agree_on_an_example_that_is_too_long(
    app: Shell, tmp_path: Path
) -> None:
    rows = [
        chat(f"question number {i}?", f"answer to {i}, in some words")
        for i in range(20)
    ]
    file = write_lines(tmp_path / "d.jsonl", *rows, chat("and " * 9000, "the end"))
    clean = str(tmp_path / "clean.jsonl")
    found = app("check", file)
    errors = [
        (p["line"], p["kind"]) for p in found["problems"] if p["severity"] == "error"
    ]
    assert (errors, app("train", "--data", file)["error"]) == (
        [(21, "answer_vanishes")],
        "BadInput",
    )
    assert app("fix", file, "-o", clean)["rows"] == 20
    assert not [p for p in app("check", clean)["problems"] if p["severity"] == "error"]
    assert app("fix", file, "-o", clean, "--max-tokens", "20000")["rows"] == 21


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"\n\n\n"]
)
def test_a_file_that_is_not_a_dataset_is_rejected(
    app: Shell, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "file.jsonl").write_bytes(content)
    answer = app("train", "--data", str(tmp_path / "file.jsonl"))
    assert (app.code, answer["error"]) == (1, "BadInput")
    assert "Traceback" not in app.messages
    assert app("runs") == {"runs": []}


def test_files_and_folders_are_read_together_or_rejected(
    app: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "examples"
    folder.mkdir()
    one, other = (
        write_lines(folder / "a.jsonl", chat("q", "a")),
        write_lines(folder / "b.jsonl", chat("r", None)),
    )
    report = app("check", one, other)
    assert (report["name"], report["rows"]) == ("a.jsonl and 1 more", 2)
    assert [
        (p["file"], p["line"]) for p in report["problems"] if p["severity"] == "error"
    ] == [("b.jsonl", 1)]
    assert app("check", str(folder))["problems"] == report["problems"]
    assert app("fix", one, other, "-o", str(tmp_path / "clean.jsonl"))["rows"] == 1
    assert "(b.jsonl, line 1)" in app("train", "--data", one, "--data", other)["why"]
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "gone.jsonl", tmp_path / "empty"):
        error = app("train", "--data", str(path))
        assert (app.code, error["error"]) == (1, "BadInput")
        assert path.name in error["what"]


def test_stored_examples_are_listed_and_deleted(app: Shell) -> None:
    data_id = App(app.workspace).datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    assert [one["id"] for one in app("datasets")["datasets"]] == [data_id]
    assert app("datasets", "--delete", data_id)["deleted"] == data_id
    assert app("datasets")["datasets"] == []
    app("datasets", "--delete", "../runs")
    assert app.code == 1


def test_rows_can_be_chosen_by_an_empty_cell_and_not_without_a_column() -> None:
    parse = make_parser().parse_args
    options = parse(["check", "a.csv", "--only", "ok=", "--only", "ok=yes"])
    assert reading_options(options) == {"only": {"ok": ("", "yes")}}
    for wrong in ("ok", "=yes"):
        with pytest.raises(BadUsage):
            reading_options(parse(["check", "a.csv", "--only", wrong]))
