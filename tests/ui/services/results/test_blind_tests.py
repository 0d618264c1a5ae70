"""The blind tests of a run: stored in its folder, read back, and damaged files replaced."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import BadInput, RunProblem
from backend.evaluation.blind_test import OTHER, Outcome, Question
from backend.records.evaluation import EvaluationReport
from tests.ui.fake_records import report, report_json
from ui.services.results.blind_tests import FILE, BlindTestService
from ui.services.results.opponents import BASE_MODEL, Opponent
from ui.text import verdicts

OTHER_RUN = Opponent("run-b", "Orders", "another trained model, version 1", is_run=True)


def service(folder: Path, found: EvaluationReport | None = None, **others: EvaluationReport) -> BlindTestService:
    """others: by run, its latest report; of every other run it is `found`."""
    runner: Any = SimpleNamespace(folder=lambda run_id: folder)
    evaluations: Any = SimpleNamespace(latest_report=lambda run_id: others.get(run_id.replace("-", "_"), found))
    return BlindTestService(runner, evaluations)


def test_a_test_is_read_back_by_another_process(tmp_path: Path) -> None:
    first = service(tmp_path, report())
    assert (first.state("run"), first.change_token("run")) == (None, None)
    first.start("run", "tuned", "base")
    first.vote("run", 1, "left")
    second = service(tmp_path)  # the evaluation is deleted
    state = second.state("run")
    assert isinstance(state, Question)
    assert state == first.state("run")
    assert (state.at, state.can_undo) == (2, True)


def test_every_change_is_noticed(tmp_path: Path) -> None:
    tests = service(tmp_path, report(baselines=True))
    tests.start("run", "tuned", "prompt")
    tokens = [tests.change_token("run")]
    for change in (
        lambda: tests.vote("run", 1, "same"),
        lambda: tests.undo("run", 2),
        lambda: tests.end("run"),
        lambda: tests.start("run", "tuned", "few_shot"),
    ):
        change()
        tokens.append(tests.change_token("run"))
    assert len(set(tokens)) == len(tokens)


def test_nothing_is_written_by_a_late_click(tmp_path: Path) -> None:
    tests = service(tmp_path, report())
    tests.start("run", "tuned", "base")
    tests.vote("run", 1, "left")
    token = tests.change_token("run")
    tests.vote("run", 1, "right")
    tests.undo("run", 1)
    assert tests.change_token("run") == token


def test_each_start_draws_sides_anew(tmp_path: Path) -> None:
    tests, seen = service(tmp_path, report()), set()
    for _ in range(60):
        tests.start("run", "tuned", "base")
        state = tests.state("run")
        assert isinstance(state, Question)
        seen.add((state.question, state.left))
    assert len(seen) > 8


@pytest.mark.parametrize(("first", "second"), [("tuned", "tuned"), ("tuned", "prompt"), ("", ""), ("../x", "base")])
def test_only_two_systems_that_answered_can_be_compared(tmp_path: Path, first: str, second: str) -> None:
    with pytest.raises(BadInput):
        service(tmp_path, report()).start("run", first, second)


def test_another_run_can_be_compared_where_the_same_questions_judged_both(tmp_path: Path) -> None:
    theirs = report(answers=[{**answer, "tuned": "theirs"} for answer in report_json()["answers"][:3]])
    tests = service(tmp_path, report(), run_b=theirs)
    assert tests.systems("run", OTHER_RUN) == ["base", "tuned", OTHER]
    tests.start("run", OTHER, "tuned", OTHER_RUN)
    state = tests.state("run")
    assert isinstance(state, Question)
    assert state.total == 3
    assert [state.left, state.right].count("theirs") == 1
    tests.end("run")
    ended = tests.outcome("run")
    assert ended
    assert (ended.systems, ended.other) == ((OTHER, "tuned"), OTHER_RUN.label)
    assert verdicts.voted_on(ended) == ("Orders (another trained model, version 1)", "Your model")


def test_a_model_that_was_not_checked_on_the_same_questions_can_t_be_compared(tmp_path: Path) -> None:
    elsewhere = report(answers=[{**answer, "question": "Another one?"} for answer in report_json()["answers"]])
    tests = service(tmp_path, report(), run_b=elsewhere)
    for other in (OTHER_RUN, BASE_MODEL, Opponent("file-1", "a.gguf", "a GGUF file")):
        assert OTHER not in tests.systems("run", other)
        with pytest.raises(BadInput):
            tests.start("run", "tuned", OTHER, other)


def test_without_an_evaluation_there_is_nothing_to_start(tmp_path: Path) -> None:
    assert service(tmp_path).systems("run") == []
    with pytest.raises(BadInput):
        service(tmp_path).start("run", "tuned", "base")


def test_a_vote_that_the_page_does_not_offer_is_refused(tmp_path: Path) -> None:
    tests = service(tmp_path, report())
    tests.start("run", "tuned", "base")
    with pytest.raises(BadInput):
        tests.vote("run", 1, "both")
    tests.vote("other", 7, "left")
    assert isinstance(tests.state("run"), Question)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"systems": 1}', b"\xff"])
def test_a_damaged_file_counts_as_none_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    tests = service(tmp_path, report())
    assert tests.state("run") is None
    tests.vote("run", 1, "left")
    tests.start("run", "tuned", "base")
    tests.end("run")
    assert isinstance(tests.state("run"), Outcome)


def test_a_run_deleted_meanwhile_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunProblem):
        service(tmp_path / "gone", report()).start("run", "tuned", "base")
