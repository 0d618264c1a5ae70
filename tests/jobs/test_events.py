"""events.jsonl: what readers see while it is written, after crashes and after resumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.events import EventLog, read_lines, read_story


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def tell(path: Path, attempt: int, *steps: int, kind: str = "step") -> None:
    log = EventLog(path, attempt)
    for step in steps:
        log.append(kind, {"step": step})
    log.close()


def told(path: Path, after: int = 0, kind: str = "step") -> list[tuple[int, int]]:
    return [(e.attempt, e.data["step"]) for e in read_story(path, after).events if e.kind == kind]


def test_no_file_is_no_events(path: Path) -> None:
    assert read_story(path) == ([], 0, True)
    assert read_story(path, 500) == ([], 0, True)


def test_reading_goes_on_from_the_position(path: Path) -> None:
    tell(path, 1, 1, 2)
    first = read_story(path)
    assert first.reset
    tell(path, 1, 3)
    second = read_story(path, first.position)
    assert [e.data["step"] for e in second.events] == [3]
    assert not second.reset
    assert read_story(path, second.position) == ([], second.position, False)


def test_a_torn_last_line_waits_until_it_is_whole(path: Path) -> None:
    tell(path, 1, 1)
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole + whole[:length])
        story = read_story(path)
        assert len(story.events) == 1
        assert story.position == len(whole)
    path.write_bytes(whole + whole)
    assert len(read_story(path, len(whole)).events) == 1


def test_a_writer_ends_a_torn_line_before_it_writes(path: Path) -> None:
    tell(path, 1, 1, 2)
    path.write_bytes(path.read_bytes()[:-5])
    tell(path, 1, 3)
    assert told(path) == [(1, 1), (1, 3)]


def test_a_line_of_zeros_from_a_power_cut_is_left_out(path: Path) -> None:
    tell(path, 1, 1)
    with path.open("ab") as file:
        file.write(bytes(100) + b"\n")
    tell(path, 1, 2)
    assert told(path) == [(1, 1), (1, 2)]


def test_a_resumed_attempt_supersedes_from_its_first_step_on(path: Path) -> None:
    tell(path, 1, 1, 2, 3, 4)
    tell(path, 1, 2, 4, kind="eval")
    tell(path, 2, 3, 4, 5)
    assert told(path) == [(1, 1), (1, 2), (2, 3), (2, 4), (2, 5)]
    assert told(path, kind="eval") == [(1, 2)]
    tell(path, 3, 5, 6)
    assert told(path) == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 6)]


def test_an_attempt_that_told_no_step_supersedes_nothing(path: Path) -> None:
    tell(path, 1, 1, 2)
    tell(path, 2, 1, kind="sample")
    assert told(path) == [(1, 1), (1, 2)]


def test_a_reader_in_the_middle_notices_that_what_it_had_is_superseded(path: Path) -> None:
    tell(path, 1, 1, 2, 3)
    position = read_story(path).position
    log = EventLog(path, 2)
    log.append("step", {"step": 2})
    story = read_story(path, position)
    assert story.reset
    assert [(e.attempt, e.data["step"]) for e in story.events if e.kind == "step"] == [(1, 1), (2, 2)]
    log.append("step", {"step": 3})
    log.close()
    assert not read_story(path, story.position).reset


def test_a_position_past_the_end_starts_anew(path: Path) -> None:
    tell(path, 1, 1)
    assert read_story(path, 10_000).reset
    assert read_story(path, -1).reset


def test_ten_thousand_events_are_read_once_and_then_only_what_is_new(path: Path) -> None:
    tell(path, 1, *range(10_000))
    story = read_story(path)
    assert len(story.events) == 10_000
    size = path.stat().st_size
    tell(path, 1, 10_000)
    with path.open("r+b") as file:  # what lies before the position is not read again
        file.write(b"\0" * size)
    assert [e.data["step"] for e in read_story(path, story.position).events] == [10_000]


def test_numbers_that_json_lacks_become_null(path: Path) -> None:
    log = EventLog(path, 1)
    log.append("step", {"step": 1, "loss": float("nan"), "others": [float("inf"), {"x": -float("inf")}, 0.5]})
    log.close()
    assert b"NaN" not in path.read_bytes()
    assert read_lines(path)[0][0].data == {"step": 1, "loss": None, "others": [None, {"x": None}, 0.5]}


def test_text_of_any_kind_comes_back_as_it_was_on_one_line(path: Path) -> None:
    text = "a\nb\r\N{LINE SEPARATOR}\N{NEXT LINE} ü 日 \N{GRINNING FACE} \0"
    log = EventLog(path, 1)
    log.append("sample", {"answer": text, "lone surrogate": "\ud800"})
    log.append("sample", {"answer": text})
    log.close()
    assert path.read_bytes().count(b"\n") == 2
    assert read_lines(path)[0][-1].data["answer"] == text


def test_an_attempt_that_begins_anew_tells_the_test_before_the_first_step_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for attempt in (1, 2):
        log = EventLog(path, attempt)
        for kind, step in (("eval", 0), ("step", 1), ("step", 2)):
            log.append(kind, {"step": step, "attempt": attempt})
        log.close()
    told = [event for event in read_story(path).events if event.kind != "resumed"]
    assert [(event.kind, event.data["step"], event.data["attempt"]) for event in told] == [
        ("eval", 0, 2), ("step", 1, 2), ("step", 2, 2)
    ]  # fmt: skip
