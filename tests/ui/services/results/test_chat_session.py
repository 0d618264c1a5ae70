"""Two models answer side by side, each in a chat process of its own where it has to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from backend.errors import ChatFailed
from backend.records.chat import Chunk, PaneCheck, Phase
from backend.settings import Workspace
from ui.services.results.chat import Answer, ChatSession
from ui.services.results.opponents import ChatTarget

MODEL = Path("model")


CHECK = PaneCheck(base_is_base=True, tuned_differs=True, sentence="Checked.")


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
        self._chat, self._opponents = self.own, {"base": self.left, "tuned": self.right}  # type: ignore[assignment,dict-item]

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


def test_an_unreadable_file_shows_no_check_of_another_run(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.ends()
    assert session.check("run-a") == CHECK
    monkeypatch.setattr(session.left, "opening", Mock(side_effect=ChatFailed("broken")))
    with pytest.raises(ChatFailed):
        list(session.answers(ChatTarget("run-b", MODEL, Path("b")), QUESTIONS, {"base": FILE}))
    assert session.check("run-a") is None
    assert session.engine("run-a") == ""


def test_llama_cpp_runs_two_files(tmp_path: Path, bundled_gguf: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
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
