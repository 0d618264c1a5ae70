"""`events.jsonl`: a job's events, one JSON object a line, append-only. A resumed
attempt continues from the last checkpoint and repeats the steps after it. Before its
first step (or its first event of step 0) it writes a "resumed" event with `first_step`:
events of that step and later ones in earlier lines are then no longer valid.
"""

import os
import time
from pathlib import Path

from backend.files.atomic import BINARY, write_all
from backend.files.json_file import to_json
from backend.records.events import (
    AtStep,
    Event,
    LoggedEvent,
    ResumedEvent,
    StepEvent,
    parse,
    valid,
)
from jobs.records import EventBatch

_SECONDS_BETWEEN_SYNCS = 1.0


class EventLog:
    """Writes events.jsonl, in the process that holds the job's lock. Methods raise
    OSError.
    """

    def __init__(self, path: Path, attempt: int) -> None:
        self._attempt = attempt
        self._resumed = attempt == 1
        self._synced = time.monotonic()
        self._descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o600
        )
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        os.lseek(self._descriptor, max(0, size - 1), os.SEEK_SET)
        self._torn = os.read(self._descriptor, 1) not in (b"", b"\n")

    def append(self, event: Event) -> None:
        """Append an event. A power cut may lose those of the last second; a killed
        process loses none.
        """
        if (
            not self._resumed
            and isinstance(event, AtStep)
            and (isinstance(event, StepEvent) or event.step == 0)
        ):
            self._resumed = True
            self._write(ResumedEvent(event.step))
        self._write(event)

    def _write(self, event: Event) -> None:
        line = {
            "time": time.time(),
            "attempt": self._attempt,
            "kind": event.kind,
            "data": event.data(),
        }
        data = b"\n" * self._torn + to_json(line) + b"\n"
        self._torn = True
        write_all(self._descriptor, data)
        self._torn = False
        if time.monotonic() - self._synced > _SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        os.fsync(self._descriptor)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Flush the events to the disk."""
        try:
            self.sync()
        finally:
            os.close(self._descriptor)


def read_events(path: Path, after: int = 0) -> tuple[list[LoggedEvent], int]:
    """The events from byte `after` on, and the byte to continue from. An unfinished
    last line is left for later. Damaged lines are skipped, and events that this version
    does not know.
    """
    try:
        with path.open("rb") as file:
            file.seek(after)
            text = file.read(max(0, os.fstat(file.fileno()).st_size - after))
    except FileNotFoundError:
        return [], 0
    whole = text[: text.rfind(b"\n") + 1]
    return [
        logged for line in whole.split(b"\n") if line and (logged := parse(line))
    ], after + len(whole)


def read_valid_events(path: Path, after: int = 0) -> EventBatch:
    """The valid events from byte `after` on, or all of them if earlier ones are no
    longer valid.
    """
    try:
        after = after if 0 <= after <= path.stat().st_size else 0
    except FileNotFoundError:
        return EventBatch([], 0, True)
    events, position = read_events(path, after)
    if after and any(isinstance(logged.event, ResumedEvent) for logged in events):
        after = 0
        events, position = read_events(path)
    return EventBatch(valid(events), position, reset=after == 0)
