"""A document answered piece by piece: what is asked, shown as it goes, stopped, and put
together.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.settings import Workspace
from jobs.runner import Runner
from tests.ui.services.results.test_chat_session import MODEL, FakeChat
from ui.services.results.chat import Answer, ChatSession, ChatTarget, Loading
from ui.services.results.documents import DocumentService, Part, Piece
from ui.services.results.trained_models import ResultService
from ui.services.training.runs import RunService

TEXT = Path("one|two|three")
NO_CHAT = SimpleNamespace(question=nullcontext)


class Models:
    """Stands in for the models: answers with its question in capitals. stop_at: the
    piece where it is stopped.
    """

    def __init__(self, stop_at: int = 0) -> None:
        self.asked: list[dict[str, Any]] = []
        self.stop_at = stop_at

    def answers(
        self, run_id: str, conversations: dict[str, Any], **sampling: Any
    ) -> Iterator[Loading | Answer]:
        self.asked.append(conversations)
        if len(self.asked) == 1:
            yield Loading("Loading the model")
        stopped = len(self.asked) == self.stop_at
        for pane, messages in conversations.items():
            text = f"{pane} {messages[-1]['content']}".upper()
            yield Answer(pane, text[:3], "")
            yield Answer(
                pane, text[:3] if stopped else text, "stopped" if stopped else "end"
            )


@pytest.fixture
def models() -> Models:
    return Models()


def service(models: Models | ResultService, chat: Any = NO_CHAT) -> DocumentService:
    found = DocumentService(
        cast("RunService", SimpleNamespace()), cast("ResultService", models), chat
    )
    found.pieces = lambda run_id, file, *rest: file.name.split("|")  # type: ignore[method-assign]
    return found


def parts(models: Models, text: Path = TEXT) -> list[Part]:
    return list(service(models).answers("run-1", text, "Say it", "Be brief."))


def test_each_piece_is_asked_by_itself_with_the_persons_words(models: Models) -> None:
    parts(models)
    assert [asked["tuned"] for asked in models.asked] == [
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"Say it\n\n{piece}"},
        ]
        for piece in ("one", "two", "three")
    ]


def test_it_is_shown_as_it_goes_below_the_pieces_before(models: Models) -> None:
    found = parts(models)
    assert [part.title for part in found if isinstance(part, Piece)] == [
        f"Piece {n} of 3" for n in (1, 2, 3)
    ]
    texts = [
        part.text for part in found if isinstance(part, Answer) and part.pane == "tuned"
    ]
    assert texts[2] == "TUNED SAY IT\n\nONE\n\nTUN"
    assert all(part.finish == "" for part in found[:-2] if isinstance(part, Answer))
    base, tuned = found[-2:]
    assert isinstance(tuned, Answer)
    assert (tuned.pane, tuned.finish) == ("tuned", "end")
    assert tuned.text == "\n\n".join(
        f"TUNED SAY IT\n\n{word}" for word in ("ONE", "TWO", "THREE")
    )
    assert isinstance(base, Answer)
    assert base.text.startswith("BASE")


def test_a_stop_ends_it_and_leaves_the_answers_so_far() -> None:
    models = Models(stop_at=2)
    found = parts(models)
    assert len(models.asked) == 2
    tuned = found[-1]
    assert isinstance(tuned, Answer)
    assert (tuned.finish, tuned.text) == ("stopped", "TUNED SAY IT\n\nONE\n\nTUN")


def test_a_stop_between_two_pieces_ends_it(tmp_path: Path) -> None:
    session = ChatSession(Workspace.open(tmp_path), lambda: False)
    session._chat = FakeChat("own", "base", "tuned")  # type: ignore[assignment]
    runs = cast("RunService", SimpleNamespace(spec=lambda run_id: None))
    results = ResultService(
        Workspace.open(tmp_path), cast("Runner", None), runs, session
    )
    results._target = lambda run_id: ChatTarget(run_id, MODEL, Path("a"))  # type: ignore[method-assign]
    found: list[Part] = []
    for part in service(results, session).answers("run-1", TEXT, "Say it", ""):
        found.append(part)
        assert session.answering
        if part == Piece("Piece 2 of 3"):
            session.stop()
    assert not session.answering
    assert [part for part in found if isinstance(part, Piece)] == [
        Piece("Piece 1 of 3"),
        Piece("Piece 2 of 3"),
    ]
    assert found[-1] == Answer("tuned", "own", "stopped")


def test_one_piece_needs_no_combining(models: Models) -> None:
    tuned = parts(models, Path("one"))[-1]
    assert len(models.asked) == 1
    assert isinstance(tuned, Answer)
    assert (tuned.text, tuned.how) == ("TUNED SAY IT\n\nONE", "")
