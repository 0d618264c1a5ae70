"""Any two models side by side: which ones can answer beside a run's model, and how their answers come."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.chat.replies import Chunk, Phase
from backend.errors import ChatFailed, RunProblem
from backend.settings import Workspace
from jobs.records import Job, State
from ui.records.runs import RunInfo
from ui.services.chat import Answer, ChatSession
from ui.services.opponents import BASE, ChatTarget, Opponents

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
    return Job(
        id=made.name, kind="export", name=to, parent="run-x", state=state, attempt=1, created=0.0, result=result
    )


@pytest.fixture
def exported(tmp_path: Path) -> list[Job]:
    unfinished = export(tmp_path, 3, "gguf:F16", State.RUNNING)
    return [export(tmp_path, 1, "gguf:Q8_0"), export(tmp_path, 2, "merged"), unfinished]


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
    runs = [RunInfo(f"run-{name}", name.upper(), "SmolLM2", "orders", 3) for name in "ab"]
    return Opponents(
        tmp_path, tmp_path / "gguf", runner, lambda: iter(runs), lambda run: ChatTarget(run, MODEL, Path(run))
    )


def test_the_base_finished_exports_and_other_runs_can_answer(opponents: Opponents, exported: list[Job]) -> None:
    assert [one.id for one in opponents.all("run-a")] == ["", exported[0].id, exported[1].id, "run-b"]
    assert opponents.get("run-a", "run-b").name == "B"
    assert opponents.get("run-a", "run-a") is BASE


def test_each_opponent_has_what_the_chat_opens(opponents: Opponents, exported: list[Job], tmp_path: Path) -> None:
    file, merged = (opponents.target(job.id) for job in exported[:2])
    assert file.gguf == tmp_path / exported[0].id / "orders-Q8_0.gguf"
    assert (merged.model, merged.adapter) == (tmp_path / exported[1].id / "orders", None)
    assert file.run_id == merged.run_id == "run-x"
    assert opponents.target("run-b") == ChatTarget("run-b", MODEL, Path("run-b"))
    for gone in (exported[2].id, "run-c"):
        with pytest.raises(ChatFailed):
            opponents.target(gone)


def test_a_gguf_file_from_elsewhere_can_answer_but_no_link_out_of_its_folder(
    opponents: Opponents, tmp_path: Path
) -> None:
    folder = tmp_path / "gguf"
    folder.mkdir()
    for number in range(12):
        (folder / f"a{number}.gguf").write_bytes(b"GGUF")
    file, elsewhere = folder / "Mistral 7B-00001-of-00002.GGUF", tmp_path / "elsewhere.gguf"
    for path in (file, folder / "Mistral 7B-00002-of-00002.GGUF", folder / "notes.txt", elsewhere):
        path.write_bytes(b"GGUF")
    os.utime(file, (1, 1))  # older than more files than are listed
    (folder / "link.gguf").symlink_to(elsewhere)
    with suppress(OSError):  # not every file system takes such names
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.gguf")).write_bytes(b"GGUF")
    listed = [one.name for one in opponents.all("run-a") if one.what == "a GGUF file"]
    assert len(listed) == 10
    assert set(listed) <= {f"a{number}.gguf" for number in range(12)}
    for number in range(12):
        (folder / f"a{number}.gguf").unlink()
    (opponent,) = (one for one in opponents.all("run-a") if one.what == "a GGUF file")
    assert opponent.name == file.name
    assert opponents.get("run-a", opponent.id) == opponent
    assert opponents.target(opponent.id) == ChatTarget("", gguf=file)
    file.unlink()
    assert opponents.get("run-a", opponent.id) is BASE
    with pytest.raises(ChatFailed):
        opponents.target(opponent.id)


class FakeChat:
    """A chat process that answers with its own name, letter by letter."""

    def __init__(self, name: str, *panes: str) -> None:
        self.name, self.panes = name, panes
        self.opened: list[Any] = []
        self.asked: list[tuple[str, ...]] = []
        self.closed = 0

    def opening(self, *paths: Any, gguf: Path | None = None) -> Iterator[Phase]:
        self.opened.append((*paths, gguf))
        yield Phase(f"Loading {self.name}")

    def ask_each(self, histories: dict[str, Any], **sampling: Any) -> Iterator[Chunk]:
        self.asked.append(tuple(histories))
        for pane in histories:
            for at, letter in enumerate(self.name):
                yield Chunk(pane, letter, at + 1, 1.0, "end" if at == len(self.name) - 1 else "")

    def close(self) -> None:
        self.closed += 1

    stop = close


def test_an_opponent_answers_in_the_place_of_the_base_model(tmp_path: Path) -> None:
    session = ChatSession(Workspace.open(tmp_path), lambda: False)
    own, other = FakeChat("own", "base", "tuned"), FakeChat("file", "tuned")
    session._chat, session._other = own, other  # type: ignore[assignment]
    target, questions = ChatTarget("run-a", MODEL, Path("a")), {"base": [], "tuned": []}
    parts = list(session.answers(target, questions, ChatTarget("x", gguf=Path("f.gguf"))))
    ends = {part.pane: part.text for part in parts if isinstance(part, Answer) and part.finish}
    assert ends == {"base": "file", "tuned": "own"}
    assert (own.asked, other.asked) == ([("tuned",)], [("tuned",)])
    assert other.opened == [(None, None, Path("f.gguf"))]
    session.close_run("y")
    assert other.closed == 0
    session.close_run("x")  # the run of the exported file is deleted
    assert other.closed == 1
    list(session.answers(target, questions))
    assert (own.asked[-1], other.closed) == (("base", "tuned"), 2)  # its memory is free again


def test_a_training_gets_the_memory_of_an_open_chat(tmp_path: Path) -> None:
    session = ChatSession(Workspace.open(tmp_path), lambda: False)
    own, other = FakeChat("own", "base", "tuned"), FakeChat("file", "tuned")
    session._chat, session._other = own, other  # type: ignore[assignment]
    session.release()
    assert not session.released, "none was open"
    answers = session.answers(ChatTarget("run-a", MODEL, Path("a")), {"base": [], "tuned": []})
    next(answers)
    session.release()
    assert not own.closed, "an answer is finished first"
    list(answers)
    assert own.closed
    assert session.released
    list(session.answers(ChatTarget("run-a", MODEL, Path("a")), {"base": [], "tuned": []}))
    assert not session.released, "opened again"
