"""The one open chat: a trained model and its base side by side, loaded once for many
questions.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from backend.chat.client import Chat
from backend.chat.engine import Messages
from backend.errors import NotInDemo
from backend.hardware import container
from backend.records.chat import ChatAnswer
from backend.settings import Workspace


class ChatTarget(NamedTuple):
    """A model to chat with. run_id: the run that trained it. model: its base. adapter:
    the folder of its adapter.
    """

    run_id: str
    model: Path
    adapter: Path


class Loading(NamedTuple):
    """A phase before the first word of an answer, such as "Loading the model"."""

    phase: str


class Answer(NamedTuple):
    """The text in a pane so far. finish: "" while it is written, then "end", "length"
    or "stopped". how: a sentence on how the answers to the pieces of a document were
    put together.
    """

    pane: str
    text: str
    finish: str
    how: str = ""


def asked(question: str, instruction: str) -> list[dict[str, Any]]:
    """The messages of a question by itself, after the instruction if there is one."""
    system = [{"role": "system", "content": instruction}] if instruction.strip() else []
    return [*system, {"role": "user", "content": question}]


class ChatSeats:
    """limit: how many chats may have a model open at the same time. A new chat takes
    the seat of the one that has been idle longest; an answer in progress is never
    ended.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sessions: list[ChatSession] = []  # the one that answered last comes last
        self._lock = threading.RLock()  # reentrant: closing a chat calls `leave`

    def take(self, session: "ChatSession") -> None:
        """Takes a seat for a session that is about to open its model. Raises NotInDemo
        if all others answer.
        """
        idle = None
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)
            elif len(self._sessions) >= self._limit:
                idle = next(
                    (other for other in self._sessions if not other.answering), None
                )
                if idle is None:
                    raise NotInDemo(
                        "All chats are busy.",
                        "Others are being answered.",
                        "Ask again in a moment.",
                    )
                self._sessions.remove(idle)
            self._sessions.append(session)
        if idle:
            idle.close()  # takes seconds, in which others take their seats

    def answering(self) -> int:
        """How many chats answer at this moment."""
        with self._lock:
            return sum(session.answering for session in self._sessions)

    def leave(self, session: "ChatSession") -> None:
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)


class ChatSession:
    """is_training: whether a training run needs the processor; then answers leave it a
    core. seats: of a visitor of a demo, shared with the other visitors, whose answers
    share the cores that the page leaves.
    """

    def __init__(
        self,
        workspace: Workspace,
        is_training: Callable[[], bool],
        seats: ChatSeats | None = None,
    ) -> None:
        self._seats = seats
        self._is_training = is_training
        self._chat = Chat(workspace, self.cores)
        self._loaded = ""  # the run whose model takes memory
        self._run_id = ""  # the same, once it is open
        self._stopped = self._release = False
        self._questions: list[object] = []  # being answered
        self.tried = set[str]()  # the runs whose model was opened
        self.released = False  # closed for a training run, and not opened again since

    @property
    def answering(self) -> bool:
        """Whether a question is being answered: two may be, asked in two windows."""
        return bool(self._questions)

    def answers(
        self,
        target: ChatTarget,
        conversations: Mapping[str, Messages],
        *,
        ongoing: bool = False,
        **sampling: Any,
    ) -> Iterator[Loading | Answer]:
        """The growing answers in the panes "base" and "tuned", once the models are
        loaded.
        target: a trained model, which answers in "tuned", and its base in "base".
        conversations: by pane. ongoing: inside `question`. Raises ChatFailed, BadInput,
        MissingPart.
        """
        with nullcontext() if ongoing else self.question():
            if not self._stopped:
                if self._seats:
                    self._seats.take(self)
                self._run_id, self._loaded = "", target.run_id
                for phase in self._chat.opening(target.model, target.adapter):
                    yield Loading(phase.name)
                self._run_id, self.released = target.run_id, False
                self.tried.add(target.run_id)
            if self._stopped:
                yield from (Answer(pane, "", "stopped") for pane in conversations)
                return
            texts = dict.fromkeys(conversations, "")
            for chunk in self._chat.ask_each(conversations, **sampling):
                texts[chunk.pane] += chunk.text
                yield Answer(chunk.pane, texts[chunk.pane], chunk.finish)

    @contextmanager
    def question(self) -> Iterator[None]:
        """One question, which may take several answers one after another; a stop ends
        them all. Raises NotInDemo for a second one at the same time, in a demo.
        """
        if self._seats and self.answering:
            raise NotInDemo(
                "You already have a question open.",
                "It is being answered.",
                "Wait for the answer.",
            )
        this = object()
        self._questions.append(this)
        self._stopped = False
        try:
            yield
        finally:
            self._questions.remove(this)
            if self._release and not self.answering:
                self.release()

    def release(self) -> None:
        """Gives the memory of the open model back, once the answer in progress has
        ended.
        """
        self._release = self.answering
        if self._loaded and not self.answering:
            self.close()
            self.released = True

    def cores(self) -> int:
        """How many cores an answer may use. More threads than free cores wait for one
        another and answer slower.
        """
        if self._seats:
            return max(1, (container.cores() - 1) // max(1, self._seats.answering()))
        return max(1, container.cores() - self._is_training())

    def answer_once(
        self,
        target: ChatTarget | Path,
        pane: str,
        messages: Messages,
        each: Callable[[str], None],
        **sampling: Any,
    ) -> ChatAnswer:
        """One complete answer to a conversation, in one pane or of a GGUF file; `each`
        gets every piece of its text. Raises MissingPart for a file without llama.cpp.
        """
        if isinstance(target, Path):
            self._chat.open(gguf=target)
            pane = self._chat.panes[0]
        else:
            self._chat.open(target.model, target.adapter)
        text = ""
        for chunk in self._chat.ask_each({pane: messages}, **sampling):
            text += chunk.text
            each(chunk.text)
        tokens, speed, engine = (
            chunk.tokens,
            round(chunk.tokens_per_second, 1),
            str(self._chat.report),
        )
        return ChatAnswer(
            text=text,
            tokens=tokens,
            tokens_per_second=speed,
            engine=engine,
            finish=chunk.finish,
        )

    def engine(self, run_id: str) -> str:
        """The engine of this run's chat: "llama.cpp, 8-bit"; "" when another chat, or
        none, is open.
        """
        return str(self._chat.report) if run_id == self._run_id else ""

    def check(self, run_id: str) -> str:
        """What was checked when the run's model was opened; "" where it is not open."""
        return self._chat.report.pane_check if run_id and run_id == self._run_id else ""

    def close_run(self, run_id: str) -> None:
        """Closes the chat if its model is of this run."""
        if run_id == self._loaded:
            self.close()

    def stop(self) -> None:
        """Ends the answer in progress; where the model is still loading, none begins."""
        self._stopped = True
        self._chat.stop()

    def close(self) -> None:
        self._run_id = self._loaded = ""
        self._chat.close()
        if self._seats:
            self._seats.leave(self)
