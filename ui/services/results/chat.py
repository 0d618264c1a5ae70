"""The one open chat: two models side by side, such as a trained one and its base, loaded once for many questions."""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from backend.chat.client import Chat
from backend.chat.engine import BASE, TUNED, Messages
from backend.errors import NotInDemo
from backend.hardware import container
from backend.records.chat import ChatAnswer, Chunk, PaneCheck
from backend.settings import Workspace
from ui.services.demo.shared import ChatSeats
from ui.services.results.opponents import ChatTarget


class Loading(NamedTuple):
    """A phase before the first word of an answer, such as "Loading the model"."""

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
        self._opponents = {
            pane: Chat(workspace, self.cores, log_file=workspace.cache / f"chat-{pane}.log") for pane in (BASE, TUNED)
        }
        self._run_id = ""
        self._loaded: dict[Chat, str] = {}  # open chats, each with its model's run id
        self._stopped = self._release = False
        self._questions: list[object] = []  # being answered
        self.released = False  # closed for a training run, and not opened again since

    @property
    def answering(self) -> bool:
        """Whether a question is being answered: two may be, asked in two windows."""
        return bool(self._questions)

    def answers(
        self,
        target: ChatTarget,
        conversations: Mapping[str, Messages],
        opponents: Mapping[str, ChatTarget],
        *,
        ongoing: bool = False,
        **sampling: Any,
    ) -> Iterator[Loading | Answer]:
        """The growing answers in the panes "base" and "tuned", once the models are loaded.
        target: a trained model, which answers in "tuned", and its base in "base". conversations: by pane. opponents:
        by pane, models that answer instead. ongoing: inside `question`. Raises ChatFailed, BadInput, MissingPart."""
        with nullcontext() if ongoing else self.question():
            if not self._stopped:
                yield from self._open(target, opponents)
            if self._stopped:
                yield from (Answer(pane, "", "stopped") for pane in conversations)
                return
            texts = dict.fromkeys(conversations, "")
            for pane, chunk in self._chunks(conversations, opponents, sampling):
                texts[pane] += chunk.text
                yield Answer(pane, texts[pane], chunk.finish)

    @contextmanager
    def question(self) -> Iterator[None]:
        """One question, which may take several answers one after another; a stop ends them all. Raises NotInDemo for
        a second one at the same time, in a demo."""
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
        if self._loaded and not self.answering:
            self.close()
            self.released = True

    def cores(self) -> int:
        """How many cores an answer may use. More threads than free cores wait for one another and answer slower."""
        if self._seats:
            return max(1, (container.cores() - 1) // max(1, self._seats.answering()))
        return max(1, container.cores() - self._is_training())

    def _open(self, target: ChatTarget, opponents: Mapping[str, ChatTarget]) -> Iterator[Loading]:
        if self._seats:
            self._seats.take(self)
        self._run_id = ""  # until its models are open
        wanted = {self._opponents[pane]: opponent for pane, opponent in opponents.items()}
        if len(opponents) < len(self._opponents):
            wanted = {self._chat: target, **wanted}
        for chat in [chat for chat in list(self._loaded) if chat not in wanted]:
            self._unload(chat)
        for chat, model in wanted.items():
            if self._stopped:
                break
            self._loaded[chat] = model.run_id
            for phase in chat.opening(model.model, model.adapter, gguf=model.gguf):
                yield Loading(phase.name)
        self._run_id, self.released = target.run_id, False

    def _chunks(
        self, conversations: Mapping[str, Messages], opponents: Collection[str], how: dict[str, Any]
    ) -> Iterator[tuple[str, Chunk]]:
        """The chunks of both answers with their panes, in turn. opponents: the panes of other models."""
        streams = [self._other_chunks(pane, asked, how) for pane, asked in conversations.items() if pane in opponents]
        own = {pane: messages for pane, messages in conversations.items() if pane not in opponents}
        if own:
            streams.append((chunk.pane, chunk) for chunk in self._chat.ask_each(own, **how))
        try:
            for pair in zip_longest(*streams):
                yield from filter(None, pair)
        finally:
            for stream in streams:
                stream.close()

    # A function, because a generator expression in the loop would give all chunks the last pane.
    def _other_chunks(self, pane: str, messages: Messages, sampling: dict[str, Any]) -> Generator[tuple[str, Chunk]]:
        chat = self._opponents[pane]
        for chunk in chat.ask_each({chat.panes[-1]: messages}, **sampling):
            yield pane, chunk

    def answer_once(
        self,
        target: ChatTarget,
        pane: str,
        messages: Messages,
        each: Callable[[str], None] = _ignore,
        **sampling: Any,
    ) -> ChatAnswer:
        """One complete answer in one pane to a conversation. each: called with every piece of its text."""
        self._chat.open(target.model, target.adapter)
        return self._whole(pane, messages, each, sampling)

    def answer_from_file(
        self, gguf: Path, messages: Messages, each: Callable[[str], None] = _ignore, **sampling: Any
    ) -> ChatAnswer:
        """One complete answer of a GGUF file. Raises MissingPart without llama-cpp-python."""
        self._chat.open(gguf=gguf)
        return self._whole(self._chat.panes[0], messages, each, sampling)

    def _whole(self, pane: str, messages: Messages, each: Callable[[str], None], how: dict[str, Any]) -> ChatAnswer:
        text = ""
        for chunk in self._chat.ask_each({pane: messages}, **how):
            text += chunk.text
            each(chunk.text)
        tokens, speed, engine = chunk.tokens, round(chunk.tokens_per_second, 1), self._chat.engine
        return ChatAnswer(text=text, tokens=tokens, tokens_per_second=speed, engine=engine, finish=chunk.finish)

    def engine(self, run_id: str) -> str:
        """The engine of this run's chat: "llama.cpp, 8-bit", or two such; "" when another chat, or none, is open."""
        if run_id != self._run_id:
            return ""
        return " and ".join(filter(None, dict.fromkeys(chat.engine for chat in list(self._loaded))))

    def check(self, run_id: str) -> PaneCheck | None:
        """The check made when the run's model was opened; None where neither it nor its base answers."""
        return self._chat.pane_check if run_id == self._run_id and self._chat in self._loaded else None

    def close_run(self, run_id: str) -> None:
        """Closes the chat if one of its models is of this run."""
        if run_id in list(self._loaded.values()):
            self.close()

    def stop(self) -> None:
        """Ends the answer in progress; where the model is still loading, none begins."""
        self._stopped = True
        for chat in self._chats:
            chat.stop()

    def close(self) -> None:
        self._run_id = ""
        for chat in self._chats:
            self._unload(chat)
        if self._seats:
            self._seats.leave(self)

    @property
    def _chats(self) -> list[Chat]:
        return [self._chat, *self._opponents.values()]

    def _unload(self, chat: Chat) -> None:
        self._loaded.pop(chat, None)
        chat.close()
