"""`events.jsonl`: what a job tells, one JSON object a line, only ever appended to.

After a resume the work goes on from its last checkpoint, so steps that the attempt before told after
that checkpoint are told again. The line "resumed", written before the first step of such an attempt (or
before what belongs to step 0), says with `first_step` where; readers then drop what earlier lines told of
that step and later ones.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.files.atomic import BINARY, write_all
from backend.files.json_file import to_json
from jobs.records import Event, Events

RESUMED = "resumed"
_SECONDS_BETWEEN_SYNCS = 1.0


class EventLog:
    """The writer's side; one process at a time, the one that holds the job's lock. Methods raise OSError.

    An attempt goes on with the step that it tells first, and begins anew when it tells what belongs to step 0.
    """

    def __init__(self, path: Path, attempt: int) -> None:
        self._attempt = attempt
        self._resumed = attempt == 1
        self._synced = time.monotonic()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o600)
        self._torn = _last_byte(self._descriptor) not in (b"", b"\n")

    def append(self, kind: str, data: dict[str, Any]) -> None:
        """Add one event. A power cut may lose the last second of them, a killed process none."""
        if not self._resumed and (kind == "step" or data.get("step") == 0):
            self._resumed = True
            self._write(RESUMED, {"first_step": data.get("step")})
        self._write(kind, data)

    def _write(self, kind: str, data: dict[str, Any]) -> None:
        line = to_json({"time": time.time(), "attempt": self._attempt, "kind": kind, "data": data}) + b"\n"
        if self._torn:
            line = b"\n" + line
        self._torn = True
        write_all(self._descriptor, line)
        self._torn = False
        if time.monotonic() - self._synced > _SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        os.fsync(self._descriptor)
        self._synced = time.monotonic()

    def close(self) -> None:
        os.close(self._descriptor)


def _last_byte(descriptor: int) -> bytes:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size == 0:
        return b""
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)


def read_lines(path: Path, after: int = 0) -> tuple[list[Event], int]:
    """The events from byte `after` on, and the byte to go on from. A torn last line waits for its end.

    A line that is no event (a line torn by a crash and ended later) is left out.
    """
    try:
        with path.open("rb") as file:
            file.seek(after)
            text = file.read(max(0, os.fstat(file.fileno()).st_size - after))
    except FileNotFoundError:
        return [], 0
    whole = text[: text.rfind(b"\n") + 1]
    events = []
    for line in whole.split(b"\n"):
        if line:
            try:
                events.append(Event.model_validate_json(line))
            except ValidationError:
                continue
    return events, after + len(whole)


def read_story(path: Path, after: int = 0) -> Events:
    """The events that count, from byte `after` on, or all of them where older ones no longer count."""
    try:
        after = after if 0 <= after <= path.stat().st_size else 0
    except FileNotFoundError:
        return Events([], 0, True)
    events, position = read_lines(path, after)
    if after and any(event.kind == RESUMED for event in events):
        after = 0
        events, position = read_lines(path)
    return Events(_that_count(events), position, reset=after == 0)


def _that_count(events: list[Event]) -> list[Event]:
    kept: list[Event] = []
    for event in events:
        if event.kind == RESUMED:
            first = _number(event, "first_step", 0)
            kept = [old for old in kept if _number(old, "step", first - 1) < first]
        kept.append(event)
    return kept


def _number(event: Event, name: str, otherwise: float) -> float:
    value = event.data.get(name)
    return value if isinstance(value, (int, float)) else otherwise
