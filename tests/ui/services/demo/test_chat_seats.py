"""Only so many chats have a model open at once; nobody's answer is ended for another."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.errors import NotInDemo
from backend.hardware import container
from backend.settings import Workspace
from ui.services.demo.shared import ChatSeats
from ui.services.results.chat import ChatSession


@dataclass(eq=False)
class Chat:
    answering: bool = False
    closed: int = 0

    def close(self) -> None:
        self.closed += 1


def test_the_seat_of_who_was_idle_longest_is_taken() -> None:
    seats, (first, second, third) = ChatSeats(2), (Chat(), Chat(), Chat())
    for chat in (first, second, first, third):
        seats.take(chat)
    assert [first.closed, second.closed, third.closed] == [0, 1, 0]


def test_an_answer_in_progress_is_never_ended() -> None:
    seats, (busy, idle, third) = ChatSeats(2), (Chat(answering=True), Chat(), Chat())
    for chat in (busy, idle, third):
        seats.take(chat)
    assert (busy.closed, idle.closed) == (0, 1)
    third.answering = True
    with pytest.raises(NotInDemo):
        seats.take(idle)
    assert (busy.closed, third.closed) == (0, 0)


def test_answers_share_the_cores_that_the_page_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "cores", lambda: 8)
    seats, workspace, training = ChatSeats(4), Workspace.open(tmp_path), [False]
    visitor = ChatSession(workspace, lambda: False, seats)
    seats.take(visitor)
    for answering, cores in ((0, 7), (3, 2)):
        for _ in range(answering):
            seats.take(Chat(answering=True))
        assert visitor.cores() == cores
    at_home = ChatSession(workspace, lambda: training[0])
    assert at_home.cores() == 8
    training[0] = True
    assert at_home.cores() == 7
    monkeypatch.setattr(container, "cores", lambda: 1)
    assert at_home.cores() == 1


def test_two_questions_may_be_answered_at_the_same_time(tmp_path: Path) -> None:
    session = ChatSession(Workspace.open(tmp_path), lambda: False)
    with session.question():
        with session.question():
            pass
        assert session.answering, "the first one goes on"
    assert not session.answering


def test_a_chat_that_leaves_makes_room() -> None:
    seats, (first, second) = ChatSeats(1), (Chat(answering=True), Chat())
    seats.take(first)
    seats.leave(first)
    seats.take(second)
    assert first.closed == 0
