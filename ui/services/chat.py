"""The one open chat: a trained model next to its base model, loaded once for many questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from backend.chat.client import Chat
from backend.chat.engine import Messages
from backend.chat.replies import Chunk, PaneCheck
from backend.errors import NotInDemo
from backend.hardware import container
from backend.settings import Workspace
from ui.services.chat_seats import ChatSeats
from ui.services.opponents import ChatTarget


class Loading(NamedTuple):
    """What happens before the first word of an answer, such as "Loading the model"."""

    phase: str


class Answer(NamedTuple):
    """The text in a pane so far. finish: "" while it is written, then "end", "length" or "stopped"."""

    pane: str
    text: str
    finish: str


def _ignore(text: str) -> None:
    pass


class ChatSession:
    """is_training: whether a training run needs the processor; then answers leave it a core. seats: of a visitor of a
    demo, shared with the other visitors, whose answers share the cores that the page leaves."""

    def __init__(self, workspace: Workspace, is_training: Callable[[], bool], seats: ChatSeats | None = None) -> None:
        self._seats = seats
        self._is_training = is_training
        self._chat = Chat(workspace, self.cores)
        self._other = Chat(workspace, self.cores, log_file=workspace.cache / "chat-other.log")
        self._run_id = self._other_run_id = ""
        self._stopped = self._release = False
        self._questions: list[object] = []  # being answered
        self.released = False  # closed for a training, and not opened again since

    @property
    def answering(self) -> bool:
        """Whether a question is being answered: two may be, asked in two windows."""
        return bool(self._questions)

    def answers(
        self,
        target: ChatTarget,
        conversations: Mapping[str, Messages],
        opponent: ChatTarget | None = None,
        *,
        ongoing: bool = False,
        **sampling: Any,
    ) -> Iterator[Loading | Answer]:
        """The growing answers in the panes "base" and "tuned", once the models are loaded.

        opponent: the model that answers in the pane "base", instead of the base model. ongoing: inside `question`.
        Raises ChatFailed, BadInput, MissingPart.
        """
        with nullcontext() if ongoing else self.question():
            if not self._stopped:
                yield from self._open(target, opponent)
            if self._stopped:
                yield from (Answer(pane, "", "stopped") for pane in conversations)
                return
            texts = dict.fromkeys(conversations, "")
            for pane, chunk in self._chunks(conversations, opponent is not None, sampling):
                texts[pane] += chunk.text
                yield Answer(pane, texts[pane], chunk.finish)

    @contextmanager
    def question(self) -> Iterator[None]:
        """One question, which may take several answers one after another; a stop ends them all.

        Raises NotInDemo for a second one at the same time, in a demo.
        """
        if self._seats and self.answering:
            raise NotInDemo("You already have a question open.", "It is being answered.", "Wait for the answer.")
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
        """Gives the memory of the open models back, once the answer in progress has ended."""
        self._release = self.answering
        if self._run_id and not self.answering:
            self.close()
            self.released = True

    def cores(self) -> int:
        """How many cores an answer may use. More threads than free cores wait for one another and answer slower."""
        if self._seats:
            return max(1, (container.cores() - 1) // max(1, self._seats.answering()))
        return max(1, container.cores() - self._is_training())

    def _open(self, target: ChatTarget, opponent: ChatTarget | None) -> Iterator[Loading]:
        if self._seats:
            self._seats.take(self)
        for phase in self._chat.opening(target.model, target.adapter):
            yield Loading(phase.name)
        self._run_id, self.released = target.run_id, False
        if opponent is None:
            self._close_other()
        elif not self._stopped:
            self._other_run_id = opponent.run_id
            for phase in self._other.opening(opponent.model, opponent.adapter, gguf=opponent.gguf):
                yield Loading(phase.name)

    def _chunks(
        self, conversations: Mapping[str, Messages], with_other: bool, sampling: dict[str, Any]
    ) -> Iterator[tuple[str, Chunk]]:
        """The chunks of both answers with their panes, in turn."""
        own = dict(conversations)
        streams = []
        if with_other:
            others = {self._other.panes[-1]: own.pop("base")}
            streams.append(("base", chunk) for chunk in self._other.ask_each(others, **sampling))
        streams.append((chunk.pane, chunk) for chunk in self._chat.ask_each(own, **sampling))
        try:
            for pair in zip_longest(*streams):
                yield from filter(None, pair)
        finally:
            for stream in streams:
                stream.close()

    def answer_once(
        self,
        target: ChatTarget,
        pane: str,
        messages: Messages,
        each: Callable[[str], None] = _ignore,
        **sampling: Any,
    ) -> dict[str, Any]:
        """One complete answer in one pane to a conversation. each: called with every piece of its text.

        Returns {text, tokens, tokens_per_second, engine, finish}.
        """
        self._chat.open(target.model, target.adapter)
        return self._complete(pane, messages, each, sampling)

    def answer_from_file(
        self, gguf: Path, messages: Messages, each: Callable[[str], None] = _ignore, **sampling: Any
    ) -> dict[str, Any]:
        """One complete answer of a GGUF file. Raises MissingPart without llama-cpp-python."""
        self._chat.open(gguf=gguf)
        return self._complete(self._chat.panes[0], messages, each, sampling)

    def _complete(
        self, pane: str, messages: Messages, each: Callable[[str], None], sampling: dict[str, Any]
    ) -> dict[str, Any]:
        text = ""
        for chunk in self._chat.ask_each({pane: messages}, **sampling):
            text += chunk.text
            each(chunk.text)
        return {
            "text": text,
            "tokens": chunk.tokens,
            "tokens_per_second": round(chunk.tokens_per_second, 1),
            "engine": self._chat.engine,
            "finish": chunk.finish,
        }

    def engine(self, run_id: str) -> str:
        """What answers for this run: "llama.cpp, 8-bit"; "" when another chat, or none, is open."""
        return self._chat.engine if run_id == self._run_id else ""

    def check(self, run_id: str) -> PaneCheck | None:
        """The check made when the run's chat was opened; None when another chat, or none, is open."""
        return self._chat.pane_check if run_id == self._run_id else None

    def close_run(self, run_id: str) -> None:
        """Closes the chat if it is about this run or compares another one with it."""
        if run_id in (self._run_id, self._other_run_id):
            self.close()

    def stop(self) -> None:
        """Ends the answer in progress; where the model is still loading, none begins."""
        self._stopped = True
        self._chat.stop()
        self._other.stop()

    def close(self) -> None:
        self._run_id = ""
        self._chat.close()
        self._close_other()
        if self._seats:
            self._seats.leave(self)

    def _close_other(self) -> None:
        self._other_run_id = ""
        self._other.close()
