"""Resources that the visitors of a demo share: the machine with its models, one queue, and the seats for chats: each
open model takes memory for as long as it is open."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.advice.recommend import Recommendation
from backend.errors import NotInDemo
from jobs.fair_queue import FairQueue
from ui.services.demo.processes import Processes
from ui.services.machine.background_cache import BackgroundCache
from ui.services.machine.models import ModelService


class Session(Protocol):
    """A chat that may have a model open."""

    @property
    def answering(self) -> bool: ...

    def close(self) -> None: ...


class ChatSeats:
    """limit: how many chats may have a model open at the same time. A new chat takes the seat of the one that has
    been idle longest; an answer in progress is never ended."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sessions: list[Session] = []  # the one that answered last comes last
        self._lock = threading.RLock()  # reentrant: closing a chat calls `leave`

    def take(self, session: Session) -> None:
        """Takes a seat for a session that is about to open its model. Raises NotInDemo if all others answer."""
        idle = None
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)
            elif len(self._sessions) >= self._limit:
                idle = next((other for other in self._sessions if not other.answering), None)
                if idle is None:
                    raise NotInDemo("All chats are busy.", "Others are being answered.", "Ask again in a moment.")
                self._sessions.remove(idle)
            self._sessions.append(session)
        if idle:
            idle.close()  # takes seconds, in which others take their seats

    def answering(self) -> int:
        """How many chats answer at this moment."""
        with self._lock:
            return sum(session.answering for session in self._sessions)

    def leave(self, session: Session) -> None:
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)


@dataclass(frozen=True)
class Shared:
    """processes: where examples are read and checked, and models compared. require_disk: raises NotInDemo when this
    visitor, or all together, have used up their disk space. neighbours: the workspaces of all visitors at this one's
    address."""

    models: ModelService
    recommended: BackgroundCache[Recommendation]
    queue: FairQueue
    seats: ChatSeats
    processes: Processes
    require_disk: Callable[[], None]
    neighbours: Callable[[], set[Path]]
