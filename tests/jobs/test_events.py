"""events.jsonl as its readers see it: while it is written, after crashes, after
resumes.
"""

import json
import math
from pathlib import Path

import pytest

from backend.records.events import AtStep, EvalEvent, Event, SampleEvent, StepEvent
from jobs.events import EventLog, read_events, read_valid_events
from jobs.records import EventBatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write(path: Path, attempt: int, *events: Event) -> None:
    log = EventLog(path, attempt)
    for event in events:
        log.append(event)
    log.close()


def write_steps(path: Path, attempt: int, *steps: int) -> None:
    write(path, attempt, *[StepEvent(step, 1.0) for step in steps])


def attempts_and_steps(
    path: Path, kind: type[AtStep] = StepEvent
) -> list[tuple[int, int]]:
    return [
        (e.attempt, e.event.step)
        for e in read_valid_events(path).events
        if isinstance(e.event, kind)
    ]


def steps_of(story: EventBatch) -> list[int]:
    return [e.event.step for e in story.events if isinstance(e.event, StepEvent)]


def test_without_a_file_there_are_no_events(path: Path) -> None:
    assert (read_valid_events(path), read_valid_events(path, 500)) == (
        ([], 0, True),
        ([], 0, True),
    )


def test_reading_continues_from_the_position(path: Path) -> None:
    write_steps(path, 1, 1, 2)
    first = read_valid_events(path)
    assert first.reset
    write_steps(path, 1, 3)
    with path.open("r+b") as file:  # what comes before the position is not read again
        file.write(b"\0" * first.position)
    second = read_valid_events(path, first.position)
    assert steps_of(second) == [3]
    assert not second.reset
    assert read_valid_events(path, second.position) == ([], second.position, False)


def test_an_unfinished_last_line_is_left_for_later(path: Path) -> None:
    write_steps(path, 1, 1)
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole + whole[:length])
        story = read_valid_events(path)
        assert (len(story.events), story.position) == (1, len(whole))
    path.write_bytes(whole + whole)
    assert len(read_valid_events(path, len(whole)).events) == 1


def test_a_new_writer_ends_an_unfinished_line_first(path: Path) -> None:
    write_steps(path, 1, 1, 2)
    path.write_bytes(path.read_bytes()[:-5])
    write_steps(path, 1, 3)
    assert attempts_and_steps(path) == [(1, 1), (1, 3)]


def test_a_line_of_zeros_from_a_power_cut_is_skipped(path: Path) -> None:
    write_steps(path, 1, 1)
    with path.open("ab") as file:
        file.write(bytes(100) + b"\n")
    write_steps(path, 1, 2)
    assert attempts_and_steps(path) == [(1, 1), (1, 2)]


def test_a_resumed_attempt_replaces_events_from_its_first_step_on(path: Path) -> None:
    write_steps(path, 1, 1, 2, 3, 4)
    write(path, 1, EvalEvent(2, 1.0), EvalEvent(4, 1.0))
    write_steps(path, 2, 3, 4, 5)
    assert attempts_and_steps(path) == [(1, 1), (1, 2), (2, 3), (2, 4), (2, 5)]
    assert attempts_and_steps(path, EvalEvent) == [(1, 2)]
    write_steps(path, 3, 5, 6)
    assert attempts_and_steps(path) == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 6)]


def test_an_attempt_without_a_step_replaces_nothing(path: Path) -> None:
    write_steps(path, 1, 1, 2)
    write(path, 2, SampleEvent(1, [], ""))
    assert attempts_and_steps(path) == [(1, 1), (1, 2)]


def test_a_reader_that_has_replaced_events_gets_a_reset(path: Path) -> None:
    write_steps(path, 1, 1, 2, 3)
    position = read_valid_events(path).position
    log = EventLog(path, 2)
    log.append(StepEvent(2, 1.0))
    story = read_valid_events(path, position)
    assert story.reset
    assert attempts_and_steps(path) == [(1, 1), (2, 2)]
    log.append(StepEvent(3, 1.0))
    log.close()
    assert not read_valid_events(path, story.position).reset


def test_a_position_outside_the_file_is_a_reset(path: Path) -> None:
    write_steps(path, 1, 1)
    assert read_valid_events(path, 10_000).reset
    assert read_valid_events(path, -1).reset


def test_nan_and_infinity_become_null(path: Path) -> None:
    write(path, 1, StepEvent(1, math.nan, grad_norm=math.inf, learning_rate=0.5))
    data = json.loads(path.read_bytes(), parse_constant=pytest.fail)["data"]
    assert (data["loss"], data["grad_norm"], data["learning_rate"]) == (None, None, 0.5)
    (read,) = read_events(path)[0]
    assert isinstance(read.event, StepEvent)
    assert math.isnan(read.event.loss)
    assert (read.event.grad_norm, read.event.learning_rate) == (None, 0.5)


def test_any_text_fits_on_one_line_and_reads_back_unchanged(path: Path) -> None:
    text = "a\nb\r\N{LINE SEPARATOR}\N{NEXT LINE} ü 日 \N{GRINNING FACE} \0"
    write(
        path,
        1,
        SampleEvent(1, [], text, expected="a lone surrogate: \ud800"),
        SampleEvent(1, [], text),
    )
    assert (path.read_bytes().count(b"\n"), read_events(path)[0][-1].event) == (
        2,
        SampleEvent(1, [], text),
    )


def test_an_attempt_that_starts_over_replaces_the_evaluation_before_training(
    path: Path,
) -> None:
    for attempt in (1, 2):
        write(path, attempt, EvalEvent(0, 1.0), StepEvent(1, 1.0), StepEvent(2, 1.0))
    assert attempts_and_steps(path, AtStep) == [(2, 0), (2, 1), (2, 2)]
