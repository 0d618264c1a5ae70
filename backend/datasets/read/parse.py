"""Parses documents in a child process with limits on time and memory; a crash there is
an error here.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from backend import child_process
from backend.datasets.documents.blocks import Block, Document, Rows
from backend.datasets.read.source import ByteSource
from backend.errors import BadInput
from backend.records.reading import Cancelled
from backend.records.rows import PassedOver
from backend.text.excerpt import excerpt

SECONDS = 180.0  # until a document is parsed
_PREFIX = "apprentice-document-"
_QUOTED = 200  # characters of a comment
_CANCELLED = "cancelled"


def delete_leftovers() -> None:
    """Delete the documents of processes that were killed while they were read."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not process.isdecimal() or not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


class Parser:
    """A child process that parses one document. kind: its extension, such as "pdf".
    Every method raises
    BadInput when the document is refused, takes too long or too much memory, or crashes
    the child; and Cancelled.
    """

    def __init__(self, source: ByteSource, kind: str) -> None:
        self._source = source
        self._folder = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")
        path = Path(self._folder.name) / "document"
        with path.open("wb") as file:
            for block in source.blocks():
                file.write(block)
        arguments = [
            "-m",
            "backend.datasets.documents.child",
            kind,
            str(path),
            json.dumps(asdict(source.limits)),
        ]
        self._child = child_process.start(arguments, stdout=-1, stderr=-3)
        self.asides: list[PassedOver] = []  # comments and the like, so far
        self._expanded = (
            0  # bytes of the unpacked document, and of what the child has sent
        )
        self._watch = child_process.Watch(
            self._child,
            source.limits.parser_bytes,
            SECONDS,
            poll=lambda: _CANCELLED * source.is_cancelled(),
        )

    def close(self) -> None:
        """Ends the child and deletes its copy of the file."""
        self._watch.close()
        child_process.kill(self._child)
        self._folder.cleanup()

    def document(self) -> Document:
        """The blocks of a text document."""
        blocks = [
            Block(*parts) for parts in self._all("block")
        ]  # only then are the asides complete
        return Document(blocks, [(aside.why, aside.text) for aside in self.asides])

    def outlines(self) -> list[tuple[str, Rows]]:
        """The name and the first rows of each sheet."""
        sheets: list[tuple[str, Rows]] = next(self._all("sheets"))
        return [
            (name, [(number, cells) for number, cells in rows]) for name, rows in sheets
        ]

    def rows(self, sheets: Sequence[int]) -> Iterator[tuple[int, int, list[str]]]:
        """(sheet, row in the sheet, cells) of each row of these sheets."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(list(sheets)).encode() + b"\n")
        self._child.stdin.flush()
        for sheet, rows in self._all("rows"):
            for number, cells in rows:
                yield sheet, number, cells
            self._source.advance(0.5)

    def _all(self, wanted: str) -> Iterator[Any]:
        """The values with this name, until the child ends."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            ((name, value),) = json.loads(line).items()
            if name == "error":
                raise BadInput(*value)
            self._expanded += value if name == "unpacked" else len(line)
            self._source.check_expansion(self._expanded)
            if name == "aside":
                self.asides.append(
                    PassedOver(value[0], excerpt(value[1], width=_QUOTED))
                )
            if name == "progress":
                self._source.advance(value)
            elif name == wanted:
                yield value
            elif name == "end":
                return
        if self._watch.why == _CANCELLED:
            raise Cancelled
        raise BadInput(
            "This document can't be read.",
            f"Reading it takes {self._watch.why}."
            if self._watch.why
            else "The part of the program that reads it ended unexpectedly.",
            "Save it again with the program that made it, or copy its text into a text file or a table.",
        )
