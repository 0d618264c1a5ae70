"""Packed files and documents are read as their content; one that takes too much or
crashes its parser is refused.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow
import pytest

from backend import child_process
from backend.datasets.read import parse
from backend.datasets.read.as_text import LARGEST, read_document
from backend.datasets.read.load import Cancelled, load
from backend.errors import BadInput
from backend.records.reading import Limits, ReadOptions
from tests.backend.datasets.sources import FOLDER

STORY = FOLDER / "documents" / "story.pdf"


def children() -> list[psutil.Process]:
    """The parsers that run."""
    running = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            running += [child] if "documents.child" in " ".join(child.cmdline()) else []
    return running


@pytest.mark.parametrize(
    ("memory", "seconds", "word"), [(0, 60, "memory"), (1 << 30, 0, "seconds")]
)
def test_documents_over_a_limit_fail(
    monkeypatch: pytest.MonkeyPatch, memory: int, seconds: float, word: str
) -> None:
    monkeypatch.setattr(parse, "SECONDS", seconds)
    monkeypatch.setattr(child_process, "_LOOK", 0.001)  # before a short story ends
    with pytest.raises(BadInput, match=word):
        load(STORY, options=ReadOptions(limits=Limits(parser_bytes=memory)))
    assert children() == []


def test_a_crash_of_the_parser_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    started = parse.child_process.start

    def start_and_kill(*arguments: object, **options: object) -> object:
        child = started(*arguments, **options)  # type: ignore[arg-type]
        os.kill(child.pid, signal.SIGTERM)
        return child

    monkeypatch.setattr(parse.child_process, "start", start_and_kill)
    with pytest.raises(BadInput, match="ended unexpectedly"):
        load(STORY)


def test_reading_a_document_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "_LOOK", 0.001)  # before a short story ends
    asked = threading.Event()
    with pytest.raises(Cancelled):
        load(STORY, cancelled=lambda: bool(children()) or asked.is_set())
    assert children() == []


def test_deep_xml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.docx"
    with (
        zipfile.ZipFile(FOLDER / "documents" / "headings.docx") as source,
        zipfile.ZipFile(path, "w") as target,
    ):
        for name in source.namelist():
            deep = b"<w:p>" * 200_000 + b"</w:p>" * 200_000
            data = source.read(name)
            target.writestr(
                name,
                data.replace(b"<w:body>", b"<w:body>" + deep)
                if name.endswith("document.xml")
                else data,
            )
    with pytest.raises(BadInput):
        load(path)


def test_a_document_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    path.write_bytes((FOLDER / "documents" / "headings.docx").read_bytes())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/more.xml", b" " * 200_000_000)
    with pytest.raises(BadInput, match="unpacks"):
        load(path)


TEXT = b"question,answer\n" + b"".join(
    b"How much is %d?,It is %d.\n" % (n, n) for n in range(20_000)
)
ALL = [
    ("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress),
    ("zst", lambda data: pyarrow.compress(data, "zstd", asbytes=True)),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "pack"), ALL)
def test_a_packed_file_is_read_as_its_content(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"faq.csv.{ending}"
    path.write_bytes(pack(TEXT))
    data = load(path)
    assert (len(data.rows), data.rows[-1].messages[1]["content"]) == (
        20_000,
        "It is 19999.",
    )
    assert data.source.details.packed.lower().startswith(ending[0])


@pytest.mark.parametrize(("ending", "pack"), ALL)
def test_a_truncated_packed_file_is_refused(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"faq.csv.{ending}"
    packed = pack(TEXT)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadInput, match="damaged"):
        load(path)


@pytest.mark.parametrize(("ending", "pack"), ALL)
def test_a_packed_file_of_too_much_is_refused(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"zeros.{ending}"
    path.write_bytes(pack(b"0" * 5_000_000))
    for limits in (
        Limits(ratio_from_bytes=1_000_000),
        Limits(expanded_bytes=1_000_000),
    ):
        with pytest.raises(BadInput, match="unpacks"):
            load(path, options=ReadOptions(limits=limits))


def test_an_xz_file_of_several_streams_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv.xz"
    path.write_bytes(lzma.compress(TEXT[:100_000]) + lzma.compress(TEXT[100_000:]))
    assert len(load(path).rows) == 20_000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"One.\r\nTwo.\rThree.\n", "One.\nTwo.\nThree.\n"), ("Grüße".encode(), "Grüße"),
        (b"\xef\xbb\xbfMarked", "Marked"), ("Zwölf Brötchen".encode("utf-16"), "Zwölf Brötchen"),
        ("Zwölf Brötchen für müde Gäste".encode("cp1252"), "Zwölf Brötchen für müde Gäste"),
        (b"bread;4.20\nrolls;0.50\n", "bread;4.20\nrolls;0.50\n"),
    ],
)  # fmt: skip
def test_text_in_its_usual_encodings(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "facts.txt").write_bytes(data)
    assert read_document(tmp_path / "facts.txt") == text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b""), ("a.txt", b" \n"), ("a.txt", b"%PDF-1.4 ..."), ("a.txt", b"PK\x03\x04 ..."),
        ("a.txt", gzip.compress(b"text", mtime=0)), ("a.txt", bytes(range(32)) * 40),
        ("a.txt", b"<!doctype html><p>Hi"), ("a.md", b"x" * (LARGEST + 1)), ("a.docx", b"text"), ("a", b"text"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_document(tmp_path / name)
    assert name in caught.value.what


def test_files_missing_or_too_large_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_document(tmp_path / "gone.txt")
    assert "gone.txt" in caught.value.what
    (tmp_path / "a.md").write_bytes(b"x" * (2 * LARGEST))
    with pytest.raises(BadInput) as refused:
        read_document(tmp_path / "a.md")
    assert "too large" in refused.value.what
    assert re.findall(r"[\d.]+ MB", refused.value.why) == ["4.0 MB", "2.0 MB"]


@pytest.mark.parametrize("merged", ["A1:B1", "A1:XFD1048576"])
def test_a_small_spreadsheet_with_cells_far_apart_is_refused_at_once(
    tmp_path: Path, merged: str
) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active["A1"] = "question"
    book.active["XFD1048576"] = "far"
    book.active.merged_cells.add(merged)
    book.save(tmp_path / "far.xlsx")
    assert (tmp_path / "far.xlsx").stat().st_size < 10_000
    with pytest.raises(BadInput, match="can't be read"):
        load(tmp_path / "far.xlsx")


def test_a_document_of_a_killed_process_is_deleted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, used = (
        tmp_path / f"{parse._PREFIX}{pid}-x" for pid in (gone.pid, os.getpid())
    )
    for folder in (left, used):
        folder.mkdir()
    parse.delete_leftovers()
    assert (left.exists(), used.exists()) == (False, True)
