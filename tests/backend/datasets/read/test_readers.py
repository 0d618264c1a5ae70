"""A format is one entry in the table of readers; the page describes it from there."""

from __future__ import annotations

import pytest

from backend.datasets.read import readers
from backend.datasets.read.file import File, OpenSource, Reader
from tests.backend.datasets.builders import load_text
from ui.web.data.read_options import described


def _open(file: File) -> OpenSource:
    question, answer = file.whole_text().split("->")
    return OpenSource(iter([[(1, {"question": question, "answer": answer})]]))


def test_a_reader_in_the_table_is_all_that_a_format_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    arrows = Reader("arrows", "a file of arrows", lambda file: "->" in file.text, _open)
    monkeypatch.setattr(readers, "READERS", (arrows, *readers.READERS))
    text = "Are you open?->Yes, until six."
    data = load_text(text)
    assert (data.source.format, [m["content"] for m in data.rows[0].messages]) == ("arrows", text.split("->"))
    assert "is a file of arrows, in UTF-8" in described(data)
