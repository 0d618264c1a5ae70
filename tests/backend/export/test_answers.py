"""The job that answers a spreadsheet: in order, continued after a stop, each row once."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Stopped
from backend.evaluation.models import Answer
from backend.export import answers
from backend.models import local
from backend.records.specs import RunSpec
from backend.settings import Workspace
from tests.backend.tiny_run import FakeWork, make_run

QUESTIONS = [f"Question {n}?" for n in range(40)]


class Stub:
    """Models that answer "re: " and the question; `asked` counts."""

    context_length = 1000

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.decides: dict[str, str] = {}

    def prompt_ids(
        self, conversation: Sequence[dict[str, Any]], tools: Sequence[Any]
    ) -> list[int]:
        return [ord(letter) for letter in conversation[-1]["content"]]

    def answer(
        self,
        pane: str,
        prompts: Sequence[list[int]],
        limit: int,
        each: Callable[[int], None],
        *_: Any,
    ) -> list[Answer]:
        texts = ["".join(map(chr, prompt)) for prompt in prompts]
        each(len(texts))
        self.asked += texts
        return [Answer(f"re: {text}", len(text) < 20) for text in texts]


class Work(FakeWork):
    ends_after = 10**9

    def progress(self, phase: str, done: int = 0, *args: Any, **more: Any) -> None:
        super().progress(phase, done, *args, **more)
        if done >= self.ends_after:
            self.stop_at = 0


@pytest.fixture
def work(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    workspace = Workspace(tmp_path / "ws")
    run = make_run(workspace.run_folder("run-1"), tiny_model)
    spec = RunSpec.model_validate(run.spec)
    (workspace.run_folder("run-1") / "spec.json").write_text(spec.model_dump_json())
    job = workspace.run_folder("answer-1")
    answers.table_file(job).parent.mkdir(parents=True)
    lines = [
        "id,question", *(f"{n},{question}" for n, question in enumerate(QUESTIONS)), "40,", f"41,{'long ' * 300}?",
        f"42,{QUESTIONS[1]}",
    ]  # fmt: skip
    answers.table_file(job).write_text("\n".join(lines), "utf-8")
    made = Work(
        job,
        answers.AnswersSpec(
            run="run-1", column="question", name="Anfragen Mai.csv"
        ).model_dump(),
    )
    made.workspace = workspace
    monkeypatch.setattr(answers, "choose_engine", lambda *_: "stub")
    monkeypatch.setattr(local, "learned", lambda *_: tmp_path)
    return made


def test_every_row_is_answered_once_also_after_a_stop(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = Stub()
    monkeypatch.setattr(answers, "load", lambda *_: stub)
    work.ends_after = 17
    with pytest.raises(Stopped):
        answers.run(work)
    assert 16 <= len(stub.asked) < len(QUESTIONS)
    assert not (work.workspace.exports / "answer-1").exists()
    work.ends_after, work.stop_at = 10**9, None
    result = answers.run(work)
    assert stub.asked == QUESTIONS, "each once, in order"
    assert (result["rows"], result["unanswered"], result["file"]) == (
        43,
        2,
        "anfragen-mai-answers.csv",
    )
    with (work.workspace.exports / "answer-1" / result["file"]).open(
        newline="", encoding="utf-8-sig"
    ) as file:
        rows = list(csv.DictReader(file))
    told = [f"re: {question}" for question in QUESTIONS]
    assert [row["answer"] for row in rows] == [*told, "", "", told[1]]
    assert [row["id"] for row in rows] == [str(n) for n in range(43)]


def test_another_models_answers_are_not_continued(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that was stopped can go on while its table is stopped."""
    stub = Stub()
    monkeypatch.setattr(answers, "load", lambda *_: stub)
    work.ends_after = 17
    with pytest.raises(Stopped):
        answers.run(work)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"trained on")
    stub.asked, work.ends_after, work.stop_at = [], 10**9, None
    answers.run(work)
    assert stub.asked == QUESTIONS
