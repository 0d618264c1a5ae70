"""Parses documents in a child process with limits on time and memory; a crash there is an error here."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
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
from backend.records.units import MIB, format_size

SECONDS = 180.0  # until a document is parsed
_CHECK = 0.05  # seconds between checks of the child


class Parser:
    """A child process that parses one document. kind: "xlsx", "ods", "docx", "odt" or "pdf". Every method raises
    BadInput when the document is refused, takes too long or too much memory, or crashes the child; and Cancelled."""

    def __init__(self, source: ByteSource, kind: str) -> None:
        self._source = source
        self._folder = tempfile.TemporaryDirectory(prefix="apprentice-")
        path = Path(self._folder.name) / f"document.{kind}"  # openpyxl checks the extension
        with path.open("wb") as file:
            for block in source.blocks():
                file.write(block)
        arguments = ["-m", "backend.datasets.documents.child", kind, str(path), json.dumps(asdict(source.limits))]
        self._child = child_process.start(arguments, stdout=-1, stderr=-3)
        self._stopped = ""  # why the child was killed
        self._expanded = 0  # bytes of the unpacked document, and of what the child has sent
        self._was_cancelled = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(time.monotonic() + SECONDS,), daemon=True).start()

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child and deletes its copy of the file."""
        self._ended.set()
        if self._child.stdout is not None:
            child_process.kill(self._child)
            self._child.stdout.close()
            self._child.stdout = None
        self._folder.cleanup()

    def document(self) -> Document:
        """The blocks of a text document."""
        return Document([Block(*parts) for parts in self._all("block")])

    def outlines(self) -> list[tuple[str, Rows]]:
        """The name and the first rows of each sheet."""
        sheets: list[tuple[str, Rows]] = next(self._all("sheets"))
        return [(name, [(number, cells) for number, cells in rows]) for name, rows in sheets]

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
            if name == "progress":
                self._source.advance(value)
            elif name == wanted:
                yield value
            elif name == "end":
                return
        self._ended.wait(2 * _CHECK)  # the watcher may be about to say why
        if self._was_cancelled:
            raise Cancelled
        raise BadInput(
            "This document can't be read.",
            self._stopped or "The part of the program that reads it ended unexpectedly.",
            "Save it again with the program that made it, or copy its text into a text file or a table.",
        )

    def _watch(self, deadline: float) -> None:
        most = self._source.limits.parser_bytes
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._child.pid)
            while not self._ended.wait(_CHECK):
                if child_process.memory_used(process) > most:
                    self._stopped = f"Reading it takes more than {format_size(most / MIB)} of memory."
                elif time.monotonic() > deadline:
                    self._stopped = f"Reading it takes more than {SECONDS:.0f} seconds."
                elif self._source.is_cancelled():
                    self._was_cancelled = True
                else:
                    continue
                self._child.kill()
                return
