"""Models to compare with, and blind tests between two of them."""

import json
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import BadInput, ChatFailed, RunProblem
from backend.evaluation.blind_test import Outcome, Question
from backend.records.evaluation import EvaluationReport
from backend.records.specs import Descent
from jobs.records import Job, State
from tests.ui.fake_records import report
from ui.records.runs import RunInfo
from ui.services.results.blind_tests import FILE, BlindTestService
from ui.services.results.opponents import BASE_MODEL, OWN, ChatTarget, Opponents, Pair

MODEL = Path("model")


def export(folder: Path, number: int, to: str, state: State = State.COMPLETED) -> Job:
    """A finished export, with its files on disk."""
    made = folder / f"20261126-0000{number:02}-aaaaaaaa"
    (made / "orders").mkdir(parents=True)
    if to == "merged":
        (made / "orders" / "config.json").write_text(json.dumps({}))
    else:
        (made / f"orders-{to[5:]}.gguf").write_bytes(b"GGUF")
    result = {"folder": "orders"} if to == "merged" else {}
    return Job(id=made.name, kind="export", name=to, parent="run-x", state=state, attempt=1, created=0.0, result=result)


@pytest.fixture
def exported(tmp_path: Path) -> list[Job]:
    unfinished = export(tmp_path, 3, "gguf:F16", State.RUNNING)
    return [export(tmp_path, 1, "gguf:Q8_0"), export(tmp_path, 2, "merged"), unfinished]


def with_runs(folder: Path, runner: Any, runs: list[RunInfo]) -> Opponents:
    by_id = {run.id: run for run in runs}
    return Opponents(folder, runner, lambda: iter(runs), by_id.get, lambda run: ChatTarget(run, MODEL, Path(run)))


@pytest.fixture
def opponents(tmp_path: Path, exported: list[Job]) -> Opponents:
    def job(job_id: str) -> Job:
        found = {one.id: one for one in exported}
        if job_id in found:
            return found[job_id]
        if job_id in ("run-a", "run-b"):
            return Job(id=job_id, kind="train", name=job_id, state=State.COMPLETED, attempt=1, created=0.0)
        raise RunProblem("There is no such run.")

    runner: Any = SimpleNamespace(job=job, jobs=lambda kind: exported)
    return with_runs(tmp_path, runner, [RunInfo(f"run-{name}", name.upper(), "SmolLM2", "orders", 3) for name in "ab"])


def test_finished_exports_and_other_runs_can_answer(opponents: Opponents, exported: list[Job]) -> None:
    assert [one.id for one in opponents.all("run-a").models] == [exported[0].id, exported[1].id, "run-b"]


def test_an_export_no_longer_listed_answers(opponents: Opponents, exported: list[Job], tmp_path: Path) -> None:
    first = exported[0]
    exported[:0] = [export(tmp_path, number, "gguf:F16") for number in range(10, 20)]
    assert first.id not in [one.id for one in opponents.all("run-a").models]
    assert opponents.pair("run-a", first.id, "").opponents == {"base": first.id}


def test_any_two_models_can_answer(opponents: Opponents, exported: list[Job]) -> None:
    file, merged, other = opponents.all("run-a").models
    pairs = {("", ""): (BASE_MODEL, OWN), (other.id, ""): (other, OWN), ("", file.id): (BASE_MODEL, file)}
    pairs[file.id, merged.id] = (file, merged)
    assert {ids: opponents.pair("run-a", *ids) for ids in pairs} == pairs
    assert opponents.pair("run-a", file.id, "").opponents == {"base": file.id}
    assert opponents.pair("run-a", file.id, file.id) == (BASE_MODEL, file), "one model does not answer twice"
    assert opponents.pair("run-a", "run-a", "run-c") == Pair(), "its own run, and one that is gone"


def info(run_id: str, name: str, version: int = 1, first: str = "", ended: float = 0.0) -> RunInfo:
    descent = Descent(first=first, parent=first, version=version) if first else None
    return RunInfo(run_id, name, "SmolLM2", "orders", 3, descent, ended)


def found_runs(folder: Path, *runs: RunInfo) -> Opponents:
    """runs: as their models are found, last ended first."""
    job = Job(id="x", kind="train", name="x", state=State.COMPLETED, attempt=1, created=0.0)
    return with_runs(folder, SimpleNamespace(jobs=lambda kind: [], job=lambda run_id: job), list(runs))


def test_versions_of_a_model_are_told_apart(tmp_path: Path) -> None:
    runs = info("v3", "Voice", 3, "gone"), info("v2", "Renamed", 2, "v1"), info("v1", "Orders"), info("x", "Support")
    found = found_runs(tmp_path, *runs).all("v2").models
    assert [one.label for one in found] == [
        "Voice (another trained model, version 3)", "Orders (another trained model, version 1)",
        "Support (another trained model)",
    ]  # fmt: skip


def test_two_trainings_of_the_same_examples_are_told_apart(tmp_path: Path) -> None:
    noon, morning = (datetime(2026, 11, 24, hour).timestamp() for hour in (12, 9))
    runs = info("c", "Voice"), info("b", "Orders", ended=noon), info("a", "Orders", ended=morning)
    found = found_runs(tmp_path, *runs)
    of_a = "Orders (another trained model, finished 24 Nov 2026 09:00)"
    assert [one.label for one in found.all("c").models] == [of_a.replace("09:00", "12:00"), of_a]
    assert found.pair("b", "a", "").base.label == of_a, "unlike the open run too"
    assert [one.label for one in found_runs(tmp_path, runs[1], runs[0]).all("c").models] == [
        "Orders (another trained model)"
    ]


def test_a_run_that_is_no_longer_listed_still_answers(tmp_path: Path) -> None:
    runs = [info(f"run-{number}", f"Run {number}") for number in range(13)]
    found = found_runs(tmp_path, *runs)
    assert [one.id for one in found.all("run-3").models] == [f"run-{number}" for number in range(11) if number != 3]
    assert found.all("run-3").is_cut
    assert not found_runs(tmp_path, *runs[:11]).all("run-3").is_cut
    assert found.pair("run-3", "run-12", "run-11").opponents == {"base": "run-12", "tuned": "run-11"}
    assert found.pair("run-3", "run-13", "run-3") == Pair()


def test_each_opponent_has_what_the_chat_opens(opponents: Opponents, exported: list[Job], tmp_path: Path) -> None:
    file, merged = (opponents.target(job.id) for job in exported[:2])
    assert file.gguf == tmp_path / exported[0].id / "orders-Q8_0.gguf"
    assert (merged.model, merged.adapter) == (tmp_path / exported[1].id / "orders", None)
    assert file.run_id == merged.run_id == "run-x"
    assert opponents.target("run-b") == ChatTarget("run-b", MODEL, Path("run-b"))
    for gone in (exported[2].id, "run-c"):
        with pytest.raises(ChatFailed):
            opponents.target(gone)


def service(folder: Path, found: EvaluationReport | None = None) -> BlindTestService:
    runner: Any = SimpleNamespace(folder=lambda run_id: folder)
    evaluations: Any = SimpleNamespace(latest_report=lambda run_id: found)
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
