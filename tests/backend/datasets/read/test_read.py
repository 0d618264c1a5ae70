"""Any common file is read, whatever its name, and a zip of a service's export; what is
not a dataset is rejected.
"""

import codecs
import gzip
import io
import json
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.documents import archive
from backend.datasets.read import readers
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.load import Cancelled, Limits, ReadOptions, load
from backend.errors import BadInput, NotInDemo
from backend.records.rows import Dataset
from tests.backend.datasets.builders import load_text

CHAT = {
    "messages": [
        {"role": "user", "content": "Grüße?"},
        {"role": "assistant", "content": "Schöne Grüße!"},
    ]
}
CHAT_LINE = json.dumps(CHAT, ensure_ascii=False)


def read(
    tmp_path: Path, content: bytes | str, name: str = "data.bin", **options: Any
) -> Dataset:
    """The result of `load` for a file with this content."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(path, options=ReadOptions(**options))


def refusal(
    tmp_path: Path, content: bytes | str, name: str = "data.jsonl", **options: Any
) -> str:
    """The error for this file."""
    with pytest.raises(BadInput) as caught:
        read(tmp_path, content, name, **options)
    return str(caught.value)


def kinds(data: Dataset) -> list[tuple[int, str]]:
    """(line, kind) of each problem."""
    return [(p.line, p.kind) for p in data.problems]


@pytest.mark.parametrize(
    ("content", "format_"),
    [
        (f"{CHAT_LINE}\n{CHAT_LINE}\n", "jsonl"), (CHAT_LINE, "jsonl"),
        (f"\n\n{CHAT_LINE}\r\n{CHAT_LINE}\r\n", "jsonl"), (f"[{CHAT_LINE}, {CHAT_LINE}]", "json"),
        (json.dumps([CHAT] * 3, indent=2), "json"),
        (json.dumps({"version": 2, "data": [CHAT, CHAT], "note": "x"}), "json"),
        (json.dumps({"version": {"a": [1]}, "rows": [CHAT]}, indent=1), "json"),
        (json.dumps(CHAT, indent=2) + "\n" + json.dumps(CHAT, indent=2), "json"),
        (json.dumps(CHAT, indent=2), "json"), ("question,answer\nGrüße?,Schöne Grüße!\n", "csv"),
        ("Question;Answer\r\nGrüße?;Schöne Grüße!\r\n", "csv"),
        ("sep=;\nquestion;answer\nGrüße?;Schöne Grüße!\n", "csv"), ("question\tanswer\nGrüße?\tSchöne Grüße!", "tsv"),
        ("question|answer\rGrüße?|Schöne Grüße!\r", "csv"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.txt", "x"])
def test_the_content_decides_not_the_extension(
    tmp_path: Path, content: str, format_: str, name: str
) -> None:
    data = read(tmp_path, content, name)
    assert (data.source.format, data.problems) == (format_, [])
    assert len(data.rows) == data.total_rows >= 1
    assert all(row.messages == CHAT["messages"] for row in data.rows)


@pytest.mark.parametrize("name", ["story.md", "story.txt", "story"])
def test_prose_is_one_document(tmp_path: Path, name: str) -> None:
    prose = (
        "# A title\n\n"
        + "The fox, who was quick, jumped.\nThe dog, being lazy, did not; it slept.\n\n- one, two\n"
        * 3
    )
    data = read(tmp_path, prose, name)
    assert [row.text for row in data.rows] == [prose]
    assert (data.source.shape, data.source.format) == (
        "text",
        "markdown" if name.endswith("md") else "text",
    )


@pytest.mark.parametrize("pasted", ["hello", " \n What do I do here?\n", "x" * 199])
def test_a_text_too_short_to_be_a_document_is_rejected(pasted: str) -> None:
    with pytest.raises(BadInput, match=f"{len(pasted.strip())} characters"):
        load_text(pasted)
    assert load_text("x" * 200).rows[0].text == "x" * 200


ACCOUNT = (
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nroot:x:0:0:root:/root:/bin/bash\n"
)
SECTIONS = "[paths]\n# where things are\ndata = /srv/data\nlogs=/var/log\n\n[limits]\nlevel: high\nrate = 12.5\n"
LOGGED = "2026-11-24 18:03:11 INFO started the server\nNov  4 18:03:12 host app[7]: ready\n[ERROR] it broke down\n"
OPTIONS = "[--debug]\n[--endpoint-url <value>]\n[-v <number of times to say it>]\n[notes from the makers]\n"
DIALOGUE = "ANNA: And where were you all night, may I ask?\nPAUL: I walked along the river until it was light.\n"


@pytest.mark.parametrize(
    ("text", "like"),
    [
        (ACCOUNT, "a configuration file"), (SECTIONS, "a configuration file"), (OPTIONS, "a configuration file"),
        (LOGGED, "a log"), (DIALOGUE, ""), (f"note: {'x' * 100_000} and four more words\n", ""),
    ],
)  # fmt: skip
def test_logs_and_configuration_files_get_a_warning(text: str, like: str) -> None:
    problems = load_text(text * 4, options=ReadOptions(shape="text")).problems
    assert [(p.kind, p.severity) for p in problems] == (
        [("not_prose", "warning")] if like else []
    )
    assert all(like in p.message for p in problems)


@pytest.mark.parametrize(
    "content", [CHAT_LINE + "\n" + CHAT_LINE, "frage;antwort\nGrüße?;Schöne Grüße!\n"]
)
@pytest.mark.parametrize(
    ("encoded", "encoding", "sure"),
    [
        (lambda t: t.encode(), "utf-8", True), (lambda t: codecs.BOM_UTF8 + t.encode(), "utf-8-sig", True),
        (lambda t: t.encode("utf-16"), "utf-16-le", True),
        (lambda t: codecs.BOM_UTF16_BE + t.encode("utf-16-be"), "utf-16-be", True),
        (lambda t: t.encode("utf-16-le"), "utf-16-le", False), (lambda t: t.encode("cp1252"), "cp1252", False),
    ],
)  # fmt: skip
def test_encodings_are_read_or_guessed(
    tmp_path: Path, content: str, encoded: Any, encoding: str, sure: bool
) -> None:
    data = read(tmp_path, encoded(content))
    assert (data.rows[0].messages, data.source.encoding) == (CHAT["messages"], encoding)
    assert kinds(data) == ([] if sure else [(0, "encoding")])
    assert all(p.severity == "warning" for p in data.problems)


def test_the_encoding_can_be_chosen(tmp_path: Path) -> None:
    russian = '{"question": "Где заказ?", "answer": "В пути."}'
    data = read(tmp_path, russian.encode("cp866"), encoding="cp866")
    assert (data.rows[0].messages[0]["content"], data.problems) == ("Где заказ?", [])
    assert "'klingon'" in refusal(tmp_path, russian, encoding="klingon")


def test_a_few_invalid_bytes_do_not_change_the_encoding(tmp_path: Path) -> None:
    lines = [CHAT_LINE.encode()] * 5
    lines[2] = lines[2].replace("ö".encode(), b"\xc3")
    data = read(tmp_path, b"\n".join(lines))
    assert (data.source.encoding, kinds(data)) == ("utf-8", [(3, "bad_encoding")])
    assert [row.line for row in data.rows] == [1, 2, 4, 5]


def packed(path: Any, **files: Any) -> Any:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(
                name,
                content if isinstance(content, (str, bytes)) else json.dumps(content),
            )
    return path


def _zip(**parts: bytes) -> bytes:
    packed(
        file := io.BytesIO(),
        **{
            name.replace("__", "/").replace("_", "."): part
            for name, part in parts.items()
        },
    )
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"), (b" \n\t\n", "empty"), (gzip.compress(b"", mtime=0), "empty"), (b"[]", "empty"),
        (b"question,answer\n", "header"), (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "image"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"), (_zip(ppt__presentation_xml=b"<p/>"), "presentation"),
        (_zip(content_xml=b"<w/>"), "OpenDocument"), (_zip(archive__data_pkl=b"x"), "PyTorch"),
        (_zip(readme_txt=b"x"), "archive"), (pickle.dumps({"a": [1, 2]}), "pickle"),
        ((64).to_bytes(8, "little") + b'{"weight":{}}', "safetensors"), (b"GGUF\x03\x00\x00\x00", "model"),
        (b"SQLite format 3\x00" + b"\0" * 90, "database"),
        (bytes((i * 37 + 11) % 251 for i in range(5000)), "not text"),
        (b"<!DOCTYPE html><html><body>x</body></html>", "web page"),
        (b'{"name": "app", "version": "1.0", "private": true}', "No examples were found"),
        (b'{"a": [{"question": "x", "answer": "y"}], "b": [{"question": "x", "answer": "y"}]}', "'a' and 'b'"),
        (b"[1, 2, 3]", "No examples were found"), (gzip.compress(b"x" * 5000, mtime=0)[:-20], "gzip"),
        (_zip(xl__workbook_xml=b"<broken"), "damaged"), (b"PAR1 and then nothing", "damaged"),
        (_zip(é_xml=b"x").replace("é".encode(), b"\xf4\x28"), "damaged"),  # says that its names are UTF-8
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_dataset_is_rejected(
    tmp_path: Path, content: bytes, word: str
) -> None:
    assert word in refusal(tmp_path, content)


def test_bombs_are_refused_before_they_take_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("_MOST_MEMBERS", "_LONGEST_LIST"):
        with monkeypatch.context() as patch:
            patch.setattr(archive, limit, 10)
            assert "too many files" in refusal(
                tmp_path, _zip(**{f"{n}": b"" for n in range(11)}), "bomb.zip"
            )
    monkeypatch.setattr("backend.datasets.read.formats.yaml._MOST_VALUES", 99)
    for content, word in {
        b"- &a [x]\n- [*a, *a]": "aliases",
        b"[" * 80: "deep",
        b"- []\n" * 99: "99 values",
    }.items():
        assert word in refusal(tmp_path, content, "bomb.yaml")
    for bomb in (b"[],", b'"",'):
        line = b'{"a": [' + bomb * 1_000_001 + b"0]}\n"
        assert kinds(read(tmp_path, line + CHAT_LINE.encode())) == [
            (1, "row_too_large")
        ]


def test_pickles_missing_files_and_folders_are_rejected(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(canary),)

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        refusal(tmp_path, pickle.dumps(Trap(), protocol), "model.bin")
    assert not canary.exists()
    with pytest.raises(BadInput, match=r"gone\.jsonl"):
        load(tmp_path / "gone.jsonl")
    with pytest.raises(BadInput, match="folder"):
        load(tmp_path)


def test_a_file_without_read_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.jsonl").touch()
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(BadInput, match="Permission denied"):
        load(tmp_path / "x.jsonl")


def test_large_files_are_refused(tmp_path: Path) -> None:
    assert "too large" in refusal(tmp_path, CHAT_LINE, limits=Limits(file_bytes=10))


def test_a_giant_line_is_one_problem_and_never_held(tmp_path: Path) -> None:
    path = tmp_path / "giant.jsonl"
    with path.open("wb") as file:
        file.write(CHAT_LINE.encode() + b'\n{"messages": "')
        for _ in range(60):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + CHAT_LINE.encode())
    load_text(CHAT_LINE)  # whatever is imported on the way
    tracemalloc.start()
    data = load(path, options=ReadOptions(limits=Limits(line_bytes=2_000_000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (kinds(data), [row.line for row in data.rows]) == (
        [(2, "row_too_large")],
        [1, 3],
    )
    assert (
        peak < 20_000_000 + 8_000_000
    )  # two buffers of the line limit, and the block that is hashed


def test_a_demo_reads_one_row_more_than_it_allows(tmp_path: Path) -> None:
    (path := tmp_path / "many.jsonl").write_text(f"{CHAT_LINE}\n" * 60_000, "utf-8")
    share: list[float] = []
    with pytest.raises(NotInDemo):
        load(
            path,
            options=ReadOptions(limits=Limits(rows_allowed=20)),
            progress=share.append,
        )
    assert max(share, default=0.0) < 0.5


def test_what_is_over_the_limits_is_counted_and_reported(tmp_path: Path) -> None:
    for content in (
        f"{CHAT_LINE}\n" * 50,
        json.dumps([CHAT] * 50),
        "question,answer\n" + "a,b\n" * 50,
    ):
        data = read(tmp_path, content, limits=Limits(rows=10))
        assert ((len(data.rows), data.total_rows), kinds(data)) == (
            (10, 50),
            [(0, "rows_left_out")],
        )
        assert "40" in data.problems[0].message
    line = json.dumps(
        {
            "messages": [
                {"role": "user", "content": "x" * 1000},
                {"role": "assistant", "content": "y"},
            ]
        }
    )
    data = read(tmp_path, f"{line}\n" * 3000, limits=Limits(stored_bytes=1_000_000))
    assert 900 < len(data.rows) < 1500
    assert (data.total_rows, kinds(data)) == (3000, [(0, "rows_left_out")])
    data = read(
        tmp_path, f"{CHAT_LINE}\n" + "{broken\n" * 500, limits=Limits(problems=100)
    )
    assert (len(data.problems), data.total_rows) == (101, 501)


@pytest.mark.parametrize(
    "content",
    [
        f"{CHAT_LINE}\n" * 9000,
        json.dumps([CHAT] * 9000),
        "question,answer\n" + "a,b\n" * 150_000,
    ],
)
def test_progress_rises_to_one_and_reading_can_be_cancelled(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "x"
    path.write_text(content, "utf-8")
    seen: list[float] = []
    load(path, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert any(0 < fraction < 1 for fraction in seen)
    with pytest.raises(Cancelled):
        load(
            path,
            progress=seen.append,
            cancelled=lambda: seen[-1] < 1 and bool(seen.append(0.5)) is False,
        )


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    import hashlib

    content = gzip.compress(CHAT_LINE.encode())
    assert read(tmp_path, content).source.sha256 == hashlib.sha256(content).hexdigest()
    assert (
        load_text(CHAT_LINE).source.sha256
        == hashlib.sha256(CHAT_LINE.encode()).hexdigest()
    )


def test_the_first_rows_are_stored_as_they_were(tmp_path: Path) -> None:
    data = read(tmp_path, "frage;antwort\n" + "a;b\n" * 50)
    assert (data.originals[1], len(data.originals)) == (
        {"frage": "a", "antwort": "b"},
        20,
    )


WHATSAPP = "31.12.23, 21:15 - Anna: Open?\n31.12.23, 21:16 - {}: Yes\n"


def texts(path: Path, *imitate: str) -> list[list[str]]:
    data = load(path, options=ReadOptions(imitate=imitate))
    return [[message["content"] for message in row.messages] for row in data.rows]


def test_two_chats_in_one_file_stay_apart(tmp_path: Path) -> None:
    files = {
        "WhatsApp Chat with Ben.txt": WHATSAPP.format("Ben"),
        "WhatsApp Chat with Eva.txt": WHATSAPP.format("Eva"),
    }
    assert (
        texts(packed(tmp_path / "chats.zip", **files), "Ben", "Eva")
        == [["Open?", "Yes"]] * 2
    )


def test_an_export_in_several_files_is_read_whole(tmp_path: Path) -> None:
    def conversation(number: int) -> dict[str, Any]:
        said = [("human", f"Open {number}?"), ("assistant", "Yes")]
        return {
            "uuid": str(number),
            "chat_messages": [{"sender": who, "text": text} for who, text in said],
        }

    files = {
        f"conversations-{n:03}.json": [conversation(2 * n), conversation(2 * n + 1)]
        for n in range(3)
    }
    files["__MACOSX/conversations.json"] = b"\x00\x05\x16\x07"  # type: ignore[assignment]
    assert texts(packed(tmp_path / "export.zip", **files, **{"user.json": {}})) == [
        [f"Open {n}?", "Yes"] for n in range(6)
    ]


@pytest.mark.parametrize(
    "files", [{"a.txt": "hello", "b.txt": "hello"}, {"users.json": []}]
)
def test_any_other_archive_is_refused(tmp_path: Path, files: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"zip|archive|damaged"):
        texts(packed(tmp_path / "other.zip", **files))


def test_damaged_exports_and_bombs_are_refused(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "export.zip", **{"_chat.txt": WHATSAPP.format("Ben") * 200}
    )
    path.write_bytes(
        path.read_bytes().replace(b"_chat.txt", b"_chat.txt", 1)[:60]
        + b"\0" * 20
        + path.read_bytes()[80:]
    )
    with pytest.raises(BadInput, match="damaged"):
        texts(path, "Ben")
    path = packed(
        tmp_path / "export.zip",
        **{"_chat.txt": WHATSAPP.format("Ben") + "a" * 3_000_000},
    )
    limits = Limits(ratio_from_bytes=1_000_000)
    with pytest.raises(BadInput, match="unpacks to far more"):
        load(path, options=ReadOptions(imitate=("Ben",), limits=limits))


def test_the_list_of_people_counts_to_what_an_export_unpacks_to(tmp_path: Path) -> None:
    said = [
        {"type": "message", "user": "U1", "text": "Open?", "ts": "1704100000.000100"}
    ]
    people = [{"id": "U1", "name": "anna", "title": "a" * 3_000_000}]
    path = packed(
        tmp_path / "export.zip",
        **{"users.json": people, "general/2024-01-01.json": said},
    )
    with pytest.raises(BadInput, match="unpacks to far more"):
        load(
            path,
            options=ReadOptions(
                imitate=("anna",), limits=Limits(ratio_from_bytes=1_000_000)
            ),
        )


def _open(file: File) -> OpenSource:
    question, answer = file.whole_text().split("->")
    return OpenSource(iter([[(1, {"question": question, "answer": answer})]]))


def test_a_reader_in_the_table_is_all_that_a_format_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrows = Reader("arrows", "a file of arrows", lambda file: "->" in file.text, _open)
    monkeypatch.setattr(readers, "READERS", (arrows, *readers.READERS))
    text = "Are you open?->Yes, until six."
    data = load_text(text)
    assert (data.source.format, [m["content"] for m in data.rows[0].messages]) == (
        "arrows",
        text.split("->"),
    )
    assert data.source.details.title == "a file of arrows"
