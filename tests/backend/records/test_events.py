"""Event records: each kind reads back as written, and other versions' lines do no harm."""

import json
import math

import pytest

from backend.records import events
from backend.records.events import (
    AwakeEvent,
    CheckpointEvent,
    DownloadedEvent,
    DryRunEvent,
    EvalEvent,
    Event,
    NoteEvent,
    ResumedEvent,
    SampleEvent,
    StepEvent,
    VerificationEvent,
    parse,
)

EVERY_KIND = [
    StepEvent(3, 1.5, epoch=0.5, learning_rate=1e-4, grad_norm=2.0, seconds=1.0, waited=0.1, tokens_per_second=9.0),
    EvalEvent(3, 1.5, reward_accuracy=0.5, reward_margin=-0.1),
    SampleEvent(0, [{"role": "user", "content": "Hello?"}], "Hello.", "Hi."), CheckpointEvent(3),
    NoteEvent("Memory ran out", "It was too much.", "Close programs."), AwakeEvent(True),
    DryRunEvent(512, 1000.0, 99.5, startup=2.0, verification_seconds=1.0),
    VerificationEvent(4, 4, 20, 0, "every base tensor, whole", 1.5, 1.5, 8), DownloadedEvent(10, 100),
    ResumedEvent(3),
]  # fmt: skip


def line(kind: str, data: object) -> bytes:
    return json.dumps({"time": 1.0, "attempt": 1, "kind": kind, "data": data}).encode()


def parsed(kind: str, data: object) -> Event | None:
    logged = parse(line(kind, data))
    return logged.event if logged else None


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: event.kind)
def test_every_kind_reads_back_as_written(event: Event) -> None:
    assert parsed(event.kind, event.data()) == event


def test_every_kind_is_written_and_unknown_keys_are_accepted() -> None:
    assert {event.kind for event in EVERY_KIND} == set(events._KINDS)
    assert CheckpointEvent(3).data() == {"step": 3}
    assert "reward_accuracy" not in StepEvent(1, 2.0).data()
    assert parsed(
        "step", {"step": 1, "loss": 2.0, "from_a_newer_version": [1]}
    ) == StepEvent(1, 2.0)


@pytest.mark.parametrize(
    "damaged",
    [
        line("from_a_newer_version", {}), line("step", {"step": 1}), line("step", {"step": "one", "loss": 2.0}),
        line("step", []), line("dry_run", {"max_length": None, "memory_mib": 1, "tokens_per_second": 1}),
        line("step", {"step": 1, "loss": 2.0})[:-3], line("step", {"step": -1, "loss": 2.0}),
        line("step", {"step": "-1", "loss": 2.0}), line("step", {"step": 10**18, "loss": 2.0}),
        line("step", {"step": 1, "loss": math.inf}), line("eval", {"step": 1, "loss": "inf"}),
        line("step", {"step": 1, "loss": 2.0, "seconds": -1}),
        line("dry_run", {"max_length": 8, "memory_mib": 1e300, "tokens_per_second": 1}),
        line("resumed", {"first_step": -1}), line("note", {"title": "\ud800"}),
        line("sample", {"step": 1, "prompt": [{"role": "user", "content": "\udfff"}], "answer": ""}),
        line("step", {"step": 1, "loss": 2.0}).replace(b'"time": ', b'"time": 1e99'), b"null", b"[]", bytes(10), b"",
    ],
)  # fmt: skip
def test_an_invalid_line_parses_to_none(damaged: bytes) -> None:
    assert parse(damaged) is None
