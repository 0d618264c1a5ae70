"""One text file read as a whole."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from backend.datasets.read.document import LARGEST, read_document
from backend.errors import BadInput


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"One.\r\nTwo.\rThree.\n", "One.\nTwo.\nThree.\n"),
        ("Grüße".encode(), "Grüße"),
        (b"\xef\xbb\xbfMarked", "Marked"),
        ("Zwölf Brötchen".encode("utf-16"), "Zwölf Brötchen"),
        ("Zwölf Brötchen für müde Gäste".encode("cp1252"), "Zwölf Brötchen für müde Gäste"),
        (b"bread;4.20\nrolls;0.50\n", "bread;4.20\nrolls;0.50\n"),
    ],
)
def test_text_in_its_usual_encodings(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "facts.txt").write_bytes(data)
    assert read_document(tmp_path / "facts.txt") == text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b""),
        ("a.txt", b" \n"),
        ("a.txt", b"%PDF-1.4 ..."),
        ("a.txt", b"PK\x03\x04 ..."),
        ("a.txt", gzip.compress(b"text", mtime=0)),
        ("a.txt", bytes(range(32)) * 40),
        ("a.txt", b"<!doctype html><p>Hi"),
        ("a.md", b"x" * (LARGEST + 1)),
        ("a.docx", b"text"),
        ("a", b"text"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_document(tmp_path / name)
    assert name in caught.value.what


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_document(tmp_path / "gone.txt")
    assert "gone.txt" in caught.value.what


def test_a_file_that_is_too_large_is_not_called_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"x" * (2 * LARGEST))
    with pytest.raises(BadInput) as refused:
        read_document(tmp_path / "a.md")
    assert "too large" in refused.value.what
    assert re.findall(r"[\d.]+ MB", refused.value.why) == ["4.0 MB", "2.0 MB"]
