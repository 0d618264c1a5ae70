"""Talking to a model: the page's side of the chat process. Light: no torch here, and a crash there stays there."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend import errors
from backend.chat.child import ChatChild
from backend.chat.engine import Finish, Messages, Sampling
from backend.errors import ApprenticeError, ChatFailed
from backend.models.bundled import ReportProgress
from backend.settings import Workspace

IDLE_SECONDS = 600.0
_PATIENCE = 30.0  # seconds that an answer may take to notice a stop
_CHUNK = ("pane", "text", "tokens", "tokens_per_second", "finish")


@dataclass(frozen=True)
class PaneCheck:
    """That the base pane is the base model and the tuned one is not, found when the two were opened."""

    base_is_base: bool
    tuned_differs: bool
    sentence: str

    @property
    def ok(self) -> bool:
        return self.base_is_base and self.tuned_differs


@dataclass(frozen=True)
class Chunk:
    """A piece of an answer. tokens: in the answer so far. tokens_per_second: measured, the prompt's reading left out.

    finish: "" while it goes on; then done, and "end" (the model ended), "length" (cut at the limit) or "stopped".
    ids: with the last chunk, the token ids of the whole answer.
    """

    pane: str
    text: str
    tokens: int
    tokens_per_second: float
    finish: Finish | str = ""
    ids: tuple[int, ...] = ()

    @property
    def done(self) -> bool:
        return bool(self.finish)


class Chat:
    """One chat process with one open model. Threads may share it; their questions are answered one after another.

    leave_a_core: asked before each answer; true while a training needs the processor. log_file: where what the
    libraries print goes (default: chat.log in the workspace's cache).
    """

    def __init__(
        self,
        workspace: Workspace,
        leave_a_core: Callable[[], bool] = lambda: False,
        idle_seconds: float = IDLE_SECONDS,
        log_file: Path | None = None,
    ) -> None:
        self.workspace = workspace
        self.panes: tuple[str, ...] = ()
        self.proof: PaneCheck | None = None
        self.report: dict[str, Any] = {}  # how the open model was loaded; see `answering.Engine`
        self._leave_a_core = leave_a_core
        self._idle_seconds = idle_seconds
        self._log_file = log_file or workspace.cache / "chat.log"
        self._busy = threading.Lock()
        self._process: ChatChild | None = None
        self._wanted: dict[str, str] = {}
        self._number = 0

    def open(
        self,
        model_path: Path | None = None,
        adapter_path: Path | None = None,
        *,
        gguf: Path | None = None,
        progress: ReportProgress | None = None,
    ) -> PaneCheck | None:
        """Opens a model, with its adapter if given, or a GGUF file; nothing is done if it is open already.

        The embedded model is unpacked first if need be. Gives the proof of the panes where there are two.
        Raises MissingPart, NotEnough, ChatFailed.
        """
        named = {"model": model_path, "adapter": adapter_path, "gguf": gguf}
        wanted = {name: str(path) for name, path in named.items() if path}
        with self._busy:
            if wanted != self._wanted or not self._responds():
                self._wanted = {}
                self._open(wanted, progress)
                self._wanted = wanted
        return self.proof

    def ask(self, messages: Messages, *, panes: Sequence[str] | None = None, **sampling: Any) -> Iterator[Chunk]:
        """Answers to one conversation, in the panes named (all that are open by default), streaming together.

        sampling: the fields of `answering.Sampling`. Raises BadInput, ChatFailed.
        """
        return self.ask_each(dict.fromkeys(panes or self.panes, messages), **sampling)

    def ask_each(self, histories: Mapping[str, Messages], **sampling: Any) -> Iterator[Chunk]:
        """Like `ask`, each pane with its own conversation. Closing the iterator stops the answers."""
        unknown = set(histories) - set(self.panes)
        if unknown or not histories:
            raise ChatFailed("There is no such model open.", "", "Open a model first.")
        request = {
            "do": "ask",
            "messages": {pane: [dict(m) for m in messages] for pane, messages in histories.items()},
            "sampling": asdict(Sampling(**sampling)),
        }
        return self._stream(request)

    def prompt_ids(self, messages: Messages) -> list[int]:
        """The token ids that the open model reads for `messages`. Raises BadInput, ChatFailed."""
        return list(self._value({"do": "prompt_ids", "messages": [dict(m) for m in messages]}))

    def score(self, rows: list[dict[str, list[int]]]) -> list[dict[str, Any]]:
        """How an open GGUF file rates known answers; see `chat_gguf.GgufEngine.score`."""
        return list(self._value({"do": "score", "rows": rows}))

    def stop(self) -> None:
        """Ends the answer that is being given; its chunks end with finish "stopped"."""
        process = self._process
        if process is not None and process.alive:
            process.send({"do": "stop", "number": self._number})

    def close(self) -> None:
        """Ends the chat process and frees the model. The next `open` starts a new one."""
        process, self._process, self._wanted = self._process, None, {}
        if process is not None:
            process.end()

    def _open(self, wanted: dict[str, str], progress: ReportProgress | None) -> None:
        self.panes, self.proof, self.report = (), None, {}
        if self._process is None or not self._process.alive:
            if self._process is not None:
                self._process.end()
            self._process = ChatChild(self.workspace, self._idle_seconds, self._log_file)
        opened: dict[str, Any] = {}
        for message in self._exchange({"do": "open", "workspace": str(self.workspace.root), **wanted}):
            if message["type"] == "progress" and progress:
                progress(message["phase"], message["done"], message["total"])
            elif message["type"] == "done":
                opened = message["value"]
        self.panes = tuple(opened["panes"])
        self.report = opened["report"]
        proof = self.report.get("proof")
        self.proof = PaneCheck(**proof) if proof else None

    def _ensure(self) -> None:
        """Opens the model again where its process has ended: idle, or crashed."""
        if not self._wanted:
            raise ChatFailed("No model is open.", "", "Choose a model first.")
        if not self._responds():
            self._open(self._wanted, None)

    def _responds(self) -> bool:
        """Whether the process is there and not just about to end for want of questions."""
        if self._process is None or not self._process.alive:
            return False
        try:
            return bool(list(self._exchange({"do": "ping"})))
        except ChatFailed:
            return False

    def _stream(self, request: dict[str, Any]) -> Iterator[Chunk]:
        with self._busy:
            self._ensure()
            request["threads"] = _threads(self._leave_a_core())
            for message in self._exchange(request):
                if message["type"] == "chunk":
                    fields = {name: message[name] for name in _CHUNK}
                    yield Chunk(**fields, ids=tuple(message.get("ids", ())))

    def _value(self, request: dict[str, Any]) -> Any:
        with self._busy:
            self._ensure()
            return list(self._exchange(request))[-1]["value"]

    def _exchange(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Sends a request and gives its replies up to the last; an iterator closed early stops the work first."""
        assert self._process is not None
        process = self._process
        self._number += 1
        number = self._number
        process.send({**request, "number": number})
        finished = False
        try:
            while not finished:
                message = process.receive()
                finished = message["type"] in ("done", "error")
                if message["type"] == "error":
                    raise _error(message)
                yield message
        except GeneratorExit:
            self._settle(process, number)
            raise

    def _settle(self, process: ChatChild, number: int) -> None:
        try:
            process.send({"do": "stop", "number": number})
            while process.receive(_PATIENCE)["type"] not in ("done", "error"):
                pass
        except (ChatFailed, queue.Empty):
            process.kill()


def _threads(leave_a_core: bool) -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores - 1) if leave_a_core else cores


def _error(message: dict[str, Any]) -> ApprenticeError:
    kind = getattr(errors, message["error"], ChatFailed)
    error: ApprenticeError = kind(message["what"], message["why"], message["next"])
    return error
