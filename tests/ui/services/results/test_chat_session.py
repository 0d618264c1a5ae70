"""A model and its base answer side by side."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from backend.errors import ChatFailed
from backend.records.chat import Chunk, EngineReport, Phase
from backend.settings import Workspace
from ui.services.results.chat import Answer, ChatSession, ChatTarget

MODEL = Path("model")


CHECK = "Checked."


class FakeChat:
    """A chat process that answers with its own name, letter by letter."""

    def __init__(self, name: str, *panes: str) -> None:
        self.name, self.panes = name, panes or ("only",)
        self.report = EngineReport(engine=f"engine of {name}", pane_check=CHECK)
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
                yield Chunk(
                    pane, letter, at + 1, 1.0, "end" if at == len(self.name) - 1 else ""
                )

    def close(self) -> None:
        self.closed += 1

    def stop(self) -> None:
        self.stopped += 1


TARGET, QUESTIONS = ChatTarget("run-a", MODEL, Path("a")), {"base": [], "tuned": []}


class Session(ChatSession):
    """With a stand-in for the chat process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Workspace.open(folder), lambda: False)
        self.own = self._chat = FakeChat("own", "base", "tuned")  # type: ignore[assignment]

    def ends(self, target: ChatTarget = TARGET) -> dict[str, str]:
        """The answers by pane."""
        parts = list(self.answers(target, QUESTIONS))
        return {
            part.pane: part.text
            for part in parts
            if isinstance(part, Answer) and part.finish
        }


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def test_both_answer_and_only_the_open_run_s_chat_is_shown_and_closed(
    session: Session,
) -> None:
    assert session.ends() == {"base": "own", "tuned": "own"}
    assert (session.check("run-a"), session.engine("run-a")) == (CHECK, "engine of own")
    assert (session.check("run-b"), session.engine("run-b")) == ("", "")
    session.close_run("run-b")
    assert session.own.closed == 0
    session.close_run("run-a")  # which is deleted
    assert (session.own.closed, session.check("run-a"), "run-a" in session.tried) == (
        1,
        "",
        True,
    )


def test_one_pane_can_be_asked_alone(session: Session) -> None:
    parts = list(session.answers(TARGET, {"base": []}))
    assert {part.pane: part.text for part in parts if isinstance(part, Answer)} == {
        "base": "own"
    }


def test_a_stop_while_the_model_loads_leaves_no_answer(session: Session) -> None:
    answers = session.answers(TARGET, QUESTIONS)
    next(answers)
    session.stop()
    ended = [part for part in answers if isinstance(part, Answer)]
    assert (ended, session.own.stopped) == (
        [Answer("base", "", "stopped"), Answer("tuned", "", "stopped")],
        1,
    )


def test_one_that_does_not_open_shows_no_check_of_other_runs(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.ends()
    monkeypatch.setattr(session.own, "opening", Mock(side_effect=ChatFailed("broken")))
    with pytest.raises(ChatFailed):
        session.ends(ChatTarget("run-b", MODEL, Path("b")))
    assert (
        session.check("run-a"),
        session.engine("run-a"),
        session.check("run-b"),
    ) == ("", "", "")
    session.close_run("run-b")
    assert session.own.closed == 1, "it may have taken memory"


def test_a_training_gets_the_memory_of_an_open_chat(session: Session) -> None:
    session.release()
    assert not session.released, "none was open"
    answers = session.answers(TARGET, QUESTIONS)
    next(answers)
    session.release()
    assert not session.own.closed, "an answer is finished first"
    list(answers)
    assert session.own.closed
    assert session.released
    session.ends()
    assert not session.released, "opened again"
