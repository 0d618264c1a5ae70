"""Every kind of bad input is found at its line, or its file is rejected.

Two tables, one line a case: the input, and the problems or the word that names it. Other tests go deeper.
"""

import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.check_dataset import check
from backend.datasets.read.load import load
from backend.errors import BadInput
from backend.records.lengths import LengthLimits
from backend.records.reading import Limits, ReadOptions
from backend.tokens.token_counts import TokenCounter
from tests.backend.datasets.builders import WordTokenizer, clean_row

Found = set[tuple[int, str]]  # line, kind; line 0: the file as a whole
ROWS = [clean_row(i).messages for i in range(1, 13)]
Q, A = ROWS[0][1], ROWS[0][2]


def lines(*rows: Any) -> bytes:
    """Two good lines, then `rows` (bytes as they are, texts as they are, else as JSON), then good lines again."""
    good = [json.dumps({"messages": messages}, ensure_ascii=False).encode() for messages in ROWS]
    texts = (row if isinstance(row, (bytes, str)) else json.dumps(row) for row in rows)
    made = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return b"\n".join([*good[:2], *made, *good[2:]])


def chat(*turns: tuple[str, Any], system: str | None = ROWS[0][0]["content"], **more: Any) -> dict[str, Any]:
    first = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": first + [{"role": role, "content": content} for role, content in turns], **more}


def answered(text: Any, asked: Any = "What would you say to that, my friend?") -> dict[str, Any]:
    return chat(("user", asked), ("assistant", text))


def table(*rows: str, mark: str = ",") -> bytes:
    """A table of questions and answers, the first good row on line 2, then `rows`, then more good ones."""
    good = [f"where is the {m[2]['content'][26:60]}{mark}over there {i}" for i, m in enumerate(ROWS)]
    return "\n".join([f"question{mark}answer", good[0], *rows, *good[1:]]).encode()


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name.replace("_", "/") + ".xml", content)
    return buffer.getvalue()


TWO = chat(("user", "One question"), ("user", "and one more"), ("assistant", "One answer to both of them."))
CALL = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}},
]}  # fmt: skip
RESULT = {"role": "tool", "content": "nine", "tool_call_id": "a"}
END = {"role": "assistant", "content": "Nine of them are there, as far as I can see."}
ALPACA = {"instruction": "Say something nice.", "output": "You look well today."}
CP1252 = table("Où est le café de la gare centrale?,Tout près de l'église à côté.").decode().encode("cp1252")

TABLE: list[tuple[str, bytes, Found]] = [
    ("byte order mark", codecs.BOM_UTF8 + lines(), set()),
    ("UTF-16", lines(answered("Schöne Grüße.")).decode().encode("utf-16"), set()),
    ("CP1252", CP1252, {(0, "encoding"), (3, "other_language")}),
    ("mojibake", lines(answered("We met at the cafÃ© near the bridge.")), {(3, "mojibake")}),
    ("semicolons", table(mark=";"), set()),
    ("tabs", table(mark="\t"), set()),
    ("quoted line ends", table('"what\nis it","a thing\nof mine"'), set()),
    ("ragged rows", table("a,b,c", "alone"), {(3, "ragged_row"), (4, "ragged_row")}),
    ("None, NA and 007 in a table", table("None,007", "NA,null"), set()),
    ("NaN", lines('{"messages": [], "score": NaN}'), {(3, "not_a_number")}),
    ("Infinity", lines('{"messages": [], "score": -Infinity}'), {(3, "not_a_number")}),
    ("duplicate keys", lines('{"messages": [], "messages": []}'), {(3, "duplicate_key")}),
    ("deep nesting", lines("[" * 5000 + "]" * 5000), {(3, "too_deep")}),
    ("integers of 5,000 digits", lines('{"a": [], "n": ' + "9" * 5000 + "}"), {(3, "number_too_long")}),
    ("lone surrogate", lines('{"messages": "\\ud800"}'), {(3, "lone_surrogate")}),
    ("U+2028 and NEL inside a text", lines(answered("One line\u2028or two\u0085or three, who knows.")),
        {(3, "control_characters")}),
    ("NUL", lines(answered("Before\0after, all of it.")), {(3, "nul_character")}),
    ("control characters", lines(answered("A bell\x07 rings at noon.")), {(3, "control_characters")}),
    ("bidirectional marks", lines(answered("Read \u202ethis\u202c backwards.")), {(3, "invisible_characters")}),
    ("zero width", lines(answered("Zero\u200bwidth words stand here.")), {(3, "invisible_characters")}),
    ("null content", lines(answered(None)), {(3, "content_null")}),
    ("content that is a number", lines(answered(7)), {(3, "content_not_text")}),
    ("null beside tool calls", lines({"messages": [*answered(None)["messages"][:2], CALL, RESULT, END]}), set()),
    ("empty answer", lines(answered("  ")), {(3, "empty_answer")}),
    ("no answer", lines(chat(("user", "Is anybody there?"))), {(3, "no_assistant")}),
    ("the last turn is the user's", lines({"messages": [ROWS[0][0], Q, A, {"role": "user", "content": "And then?"}]}),
        {(3, "ends_with_user")}),
    ("the same role twice", lines(TWO), {(3, "same_role_twice")}),
    ("system in mid-chat", lines({"messages": [Q, ROWS[0][0], A]}),
        {(3, "system_not_first"), (3, "template_refuses")}),
    ("empty messages", lines({"messages": []}), {(3, "empty_messages")}),
    ("mixed formats", lines(ALPACA), {(3, "mixed_shapes")}),
    ("broken JSON", lines('{"messages": [', "plain words"), {(3, "bad_json"), (4, "bad_json")}),
    ("template markers", lines(answered("It says [MARK] on the box.")), {(3, "control_marker")}),
    ("too long", lines(answered("word " * 90)), {(3, "too_long")}),
    ("the answer vanishes", lines(answered("gone, all of it", "word " * 90)), {(3, "answer_vanishes")}),
    ("a copy", lines({"messages": ROWS[0]}), {(3, "duplicate")}),
    ("a near copy", lines({"messages": [*ROWS[0][:2], {**A, "content": A["content"] + " Thanks"}]}),
        {(3, "near_duplicate"), (3, "conflicting_answers")}),
    ("under ten rows", b"\n".join(lines().split(b"\n")[:5]), {(0, "too_few")}),
    ("a giant line", lines(b'{"messages": "' + b"x" * 300_000 + b'"}'), {(3, "row_too_large")}),
    ("a giant field", lines(answered("long, " * 25_000)), {(3, "field_too_large")}),
]  # fmt: skip
FILE_KINDS = {"encoding"}  # other problems of the whole file are about its size

REFUSED: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "empty"), ("line ends only", b"\n\r\n \n", "empty"),
    ("a header only", b"question,answer\n", "header"), ("an image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image"),
    ("a pickle", b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.", "pickle"),
    ("bytes of any kind", bytes(range(256)) * 40, "not text"),
    ("a web page", b"<!DOCTYPE html><html><body>hello</body></html>", "web page"),
    ("a zip that is not a workbook", archive(a=b"x"), "archive"),
    ("a zip bomb", archive(xl_workbook=b"<workbook/>", xl_blank=b"\0" * 9_000_000), "unpacks"),
    ("a gzip bomb", gzip.compress(b"a" * 9_000_000), "unpacks"),
    ("a broken Parquet file", b"PAR1" + b"\0" * 50 + b"PAR1", "damaged"),
    ("other columns", b"height,width\n1,2\n3,4\n", "No examples"), ("a word", b"hello", "too short"),
]  # fmt: skip
LIMITS = Limits(line_bytes=250_000, field_chars=131_072, expanded_bytes=4_000_000, ratio_from_bytes=100_000)


def checked(tmp_path: Path, content: bytes, name: str) -> Any:
    path = tmp_path / name
    path.write_bytes(content)
    return load(path, options=ReadOptions(limits=LIMITS))


@pytest.mark.parametrize(("content", "expected"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE])
def test_a_fault_is_found_at_its_line_and_nothing_is_dropped(tmp_path: Path, content: bytes, expected: Found) -> None:
    data = checked(tmp_path, content, "data.parquet")  # the ending is wrong: the content decides
    report = check(data, counter=TokenCounter(WordTokenizer()), lengths=LengthLimits(80))
    kinds = {kind for _, kind in expected} | FILE_KINDS
    assert {(p.line, p.kind) for p in report.problems if p.row or p.kind in kinds} == expected
    assert all(p.message for p in report.problems)
    left_out = {p.row for p in data.problems if p.row and p.severity == "error"}
    assert data.total_rows == len(data.rows) + len(left_out)
    assert report.rows == report.usable + len(report.error_rows())


@pytest.mark.parametrize(("content", "word"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_an_unusable_file_is_rejected(tmp_path: Path, content: bytes, word: str) -> None:
    with pytest.raises(BadInput, match=word) as caught:
        checked(tmp_path, content, "data")
    assert caught.value.what.endswith(".")


def table_with(columns: Sequence[str]) -> bytes:
    rows = [dict.fromkeys(columns, "x") | {"question": m[1]["content"], "answer": m[2]["content"]} for m in ROWS]
    return "\n".join(map(json.dumps, rows)).encode()


def test_unknown_columns_are_listed_as_ignored(tmp_path: Path) -> None:
    source = checked(tmp_path, table_with(["question", "answer", "mood", "weather"]), "x.jsonl").source
    assert source.ignored == ("mood", "weather")
