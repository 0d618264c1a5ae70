"""A document that takes too much time or memory, or crashes its parser, is refused with a sentence."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import zipfile
from pathlib import Path

import psutil
import pytest

from backend.datasets.read import parse
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


@pytest.mark.parametrize(("memory", "seconds", "word"), [(0, 60, "memory"), (1 << 30, 0, "seconds")])
def test_a_document_over_a_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch, memory: int, seconds: float, word: str
) -> None:
    monkeypatch.setattr(parse, "SECONDS", seconds)
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


def test_reading_a_document_can_be_cancelled() -> None:
    asked = threading.Event()
    with pytest.raises(Cancelled):
        load(STORY, cancelled=lambda: bool(children()) or asked.is_set())
    assert children() == []


def test_deep_xml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.docx"
    with zipfile.ZipFile(FOLDER / "documents" / "headings.docx") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            deep = b"<w:p>" * 200_000 + b"</w:p>" * 200_000
            data = source.read(name)
            target.writestr(
                name, data.replace(b"<w:body>", b"<w:body>" + deep) if name.endswith("document.xml") else data
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
