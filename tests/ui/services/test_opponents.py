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

from backend.chat.replies import Chunk, PaneCheck, Phase
from backend.errors import ChatFailed, RunProblem
from backend.settings import Workspace
from jobs.records import Job, State
from ui.records.runs import RunInfo
from ui.services.chat import Answer, ChatSession
from ui.services.opponents import BASE_MODEL, OWN, ChatTarget, Opponents, Pair

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


def test_finished_exports_and_other_runs_can_answer(opponents: Opponents, exported: list[Job]) -> None:
    assert [one.id for one in opponents.all("run-a")] == [exported[0].id, exported[1].id, "run-b"]


def test_any_two_models_can_answer(opponents: Opponents, exported: list[Job]) -> None:
    file, merged, other = opponents.all("run-a")
    pairs = {("", ""): (BASE_MODEL, OWN), (other.id, ""): (other, OWN), ("", file.id): (BASE_MODEL, file)}
    pairs[file.id, merged.id] = (file, merged)
    assert {ids: opponents.pair("run-a", *ids) for ids in pairs} == pairs
    assert opponents.pair("run-a", file.id, "").others == {"base": file.id}
    assert opponents.pair("run-a", file.id, file.id) == (BASE_MODEL, file), "one model does not answer twice"
    assert opponents.pair("run-a", "run-a", "run-c") == Pair(), "its own run, and one that is gone"


def test_versions_of_a_model_are_told_apart(tmp_path: Path) -> None:
    def info(run_id: str, name: str, version: int) -> RunInfo:
        return RunInfo(run_id, name, "SmolLM2", "orders", 3, version)

    runs = [info("v3", "Voice", 3), info("v2", "Orders", 2), info("v1", "Orders", 1), info("x", "Support", 1)]
    runner: Any = SimpleNamespace(jobs=lambda kind: [])
    found = Opponents(tmp_path, tmp_path / "gguf", runner, lambda: iter(runs), lambda run: ChatTarget(run))
    assert [one.words for one in found.all("v2")] == [
        "Voice (another trained model, version 3)",
        "Orders (another trained model, version 1)",
        "Support (another trained model)",
    ]
    assert all(one.is_run for one in found.all("v2"))


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
    assert opponents.pair("run-a", "", opponent.id).tuned == opponent
    assert opponents.target(opponent.id) == ChatTarget("", gguf=file)
    file.unlink()
    assert opponents.pair("run-a", opponent.id, "") == Pair()
    with pytest.raises(ChatFailed):
        opponents.target(opponent.id)


CHECK = PaneCheck(True, True, "Checked.")


class FakeChat:
    """A chat process that answers with its own name, letter by letter."""

    def __init__(self, name: str, *panes: str) -> None:
        self.name, self.panes = name, panes or ("only",)
        self.engine, self.pane_check = f"engine of {name}", CHECK
        self.opened: list[Any] = []
        self.asked: list[tuple[str, ...]] = []
        self.closed = self.stopped = 0

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

    def stop(self) -> None:
        self.stopped += 1


TARGET, QUESTIONS = ChatTarget("run-a", MODEL, Path("a")), {"base": [], "tuned": []}


class Session(ChatSession):
    """With stand-ins for the chat processes: of the run's own model and base, and of a file on the left or right."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Workspace.open(folder), lambda: False)
        self.own, self.left, self.right = FakeChat("own", "base", "tuned"), FakeChat("left"), FakeChat("right")
        self._chat, self._others = self.own, {"base": self.left, "tuned": self.right}  # type: ignore[assignment,dict-item]

    def ends(self, **others: ChatTarget) -> dict[str, str]:
        """The answers by pane."""
        parts = list(self.answers(TARGET, QUESTIONS, others))
        return {part.pane: part.text for part in parts if isinstance(part, Answer) and part.finish}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


FILE, SECOND = ChatTarget("x", gguf=Path("f.gguf")), ChatTarget("", gguf=Path("second.gguf"))


def test_an_opponent_answers_in_the_place_of_the_base_model(session: Session) -> None:
    assert session.ends(base=FILE) == {"base": "left", "tuned": "own"}
    assert (session.own.asked, session.left.asked) == ([("tuned",)], [("only",)])
    assert session.left.opened == [(None, None, Path("f.gguf"))]
    session.close_run("y")
    assert session.left.closed == 0
    session.close_run("x")  # the run of the exported file is deleted
    assert session.left.closed == 1
    session.ends(base=FILE)
    session.ends()
    assert (session.own.asked[-1], session.left.closed) == (("base", "tuned"), 2)  # its memory is free again


def test_another_model_answers_in_the_place_of_the_trained_one(session: Session) -> None:
    assert session.ends(tuned=FILE) == {"base": "own", "tuned": "right"}
    assert (session.own.asked, session.left.opened) == ([("base",)], [])
    assert session.check("run-a") is CHECK, "the base model answers"
    assert session.engine("run-a") == "engine of own and engine of right"


def test_one_pane_can_be_asked_alone(session: Session) -> None:
    parts = list(session.answers(TARGET, {"base": []}, {"tuned": FILE}))
    assert {part.pane: part.text for part in parts if isinstance(part, Answer)} == {"base": "own"}
    assert session.right.asked == []


def test_two_other_models_answer_and_the_runs_own_gives_its_memory_back(session: Session) -> None:
    session.ends()
    assert session.ends(base=FILE, tuned=SECOND) == {"base": "left", "tuned": "right"}
    assert (len(session.own.opened), session.own.closed) == (1, 1)
    assert session.check("run-a") is None, "neither is the base model"
    session.release()  # also where no run made them
    assert (session.left.closed, session.right.closed) == (1, 1)
    assert session.released


def test_a_stop_reaches_every_model(session: Session) -> None:
    answers = session.answers(TARGET, QUESTIONS, {"base": FILE, "tuned": SECOND})
    next(answers)
    session.stop()
    ended = [part for part in answers if isinstance(part, Answer)]
    assert ended == [Answer("base", "", "stopped"), Answer("tuned", "", "stopped")]
    assert session.right.opened == [], "the second is not loaded any more"
    assert [chat.stopped for chat in (session.own, session.left, session.right)] == [1, 1, 1]


def test_a_file_that_can_t_be_opened_shows_no_check_of_another_run(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.ends()
    assert session.check("run-a") == CHECK

    def fails(*paths: Any, gguf: Path | None) -> Iterator[Phase]:
        raise ChatFailed("broken")

    monkeypatch.setattr(session.left, "opening", fails)
    with pytest.raises(ChatFailed):
        list(session.answers(ChatTarget("run-b", MODEL, Path("b")), QUESTIONS, {"base": FILE}))
    assert session.check("run-a") is None
    assert session.engine("run-a") == ""


def test_two_files_answer_with_llama_cpp(
    tmp_path: Path, bundled_gguf: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bundled_gguf is None:
        pytest.skip("llama.cpp is not installed")
    session = ChatSession(Workspace.open(tmp_path), lambda: False)
    monkeypatch.setattr(session._chat, "opening", None)  # the run's own model is not loaded
    file, japan = ChatTarget("", gguf=bundled_gguf), [{"role": "user", "content": "What is the capital of Japan?"}]
    try:
        parts = session.answers(TARGET, dict.fromkeys(("base", "tuned"), japan), {"base": file, "tuned": file})
        ended = {part.pane: (part.text, part.finish) for part in parts if isinstance(part, Answer) and part.finish}
        assert ended == dict.fromkeys(("base", "tuned"), ("The capital of Japan is Tokyo.", "end"))
        assert session.engine("run-a") == "llama.cpp, 8-bit"
        assert session.check("run-a") is None
    finally:
        session.close()


def test_a_training_gets_the_memory_of_an_open_chat(session: Session) -> None:
    session.release()
    assert not session.released, "none was open"
    answers = session.answers(TARGET, QUESTIONS, {})
    next(answers)
    session.release()
    assert not session.own.closed, "an answer is finished first"
    list(answers)
    assert session.own.closed
    assert session.released
    session.ends()
    assert not session.released, "opened again"
