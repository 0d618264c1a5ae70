"""Talks to a model in the chat process. Light: this side imports no torch, and survives
a crash of the other.
"""

import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend import errors
from backend.chat.child import ChatChild
from backend.chat.engine import Messages, Sampling, Tools
from backend.errors import ApprenticeError, ChatFailed
from backend.hardware import container
from backend.models.bundled import ReportProgress
from backend.records.chat import AnswerScore, Chunk, EngineReport, Phase, Served
from backend.settings import Workspace

log = logging.getLogger(__name__)

_STOP_TIMEOUT = 30.0  # seconds for an answer to stop before the process is killed


class Chat:
    """A chat process with one open model. Threads may share it; questions are answered
    one after another. cores: called before each answer; how many cores it may use
    (default: all). log_file: for the output of the libraries (default: chat.log in the
    workspace's cache).
    """

    def __init__(
        self,
        workspace: Workspace,
        cores: Callable[[], int] = container.cores,
        log_file: Path | None = None,
    ) -> None:
        self.workspace = workspace
        self.panes: tuple[str, ...] = ()
        self.report = EngineReport()  # how the open model was loaded
        self._cores = cores
        self._log_file = log_file or workspace.cache / "chat.log"
        self._busy = threading.Lock()
        self._process: ChatChild | None = None
        self._opened: dict[str, str] = {}  # the paths of the open model
        self._served: Served | None = None
        self._number = 0

    def open(
        self,
        model_path: Path | None = None,
        adapter_path: Path | None = None,
        *,
        gguf: Path | None = None,
        progress: ReportProgress | None = None,
    ) -> None:
        """Open a model, optionally with an adapter, or a GGUF file; does nothing if it
        is open already. Unpacks the bundled model first if necessary. Raises
        MissingPart, NotEnough, ChatFailed.
        """
        for phase in self.opening(model_path, adapter_path, gguf=gguf):
            if progress:
                progress(*phase)

    def opening(
        self,
        model_path: Path | None = None,
        adapter_path: Path | None = None,
        *,
        gguf: Path | None = None,
    ) -> Iterator[Phase]:
        """Like `open`, but yields its phases; none if the model is open already."""
        paths = {"model": model_path, "adapter": adapter_path, "gguf": gguf}
        given = {name: str(path) for name, path in paths.items() if path}
        with self._busy:
            if given != self._opened or not self._responds():
                yield from self._open(given)

    def serve(
        self,
        model_path: Path,
        adapter_path: Path | None,
        name: str,
        key: str,
        progress: ReportProgress | None = None,
    ) -> Served:
        """Open llama.cpp's own server for programs, under `name`; does nothing while it
        runs. Raises ChatFailed where it can't answer as `ask` does, MissingPart,
        NotEnough.
        """
        with self._busy:
            if self._served and self._process and self._process.alive:
                return self._served
            paths = {
                "model": str(model_path),
                **({"adapter": str(adapter_path)} if adapter_path else {}),
            }
            self._served = None
            request = {
                "do": "serve",
                "workspace": str(self.workspace.root),
                "name": name,
                "key": key,
                **paths,
            }
            for message in self._exchange(self._new_process(), request):
                if progress and message["type"] == "progress":
                    progress(message["phase"], message["done"], message["total"])
            self._served = Served.model_validate(message["value"])
            return self._served

    def ask(
        self, messages: Messages, *, panes: Sequence[str] | None = None, **sampling: Any
    ) -> Iterator[Chunk]:
        """Stream answers to one conversation in `panes` (default: all that are open),
        side by side. sampling: the fields of `Sampling`. Raises BadInput, ChatFailed.
        """
        return self.ask_each(dict.fromkeys(panes or self.panes, messages), **sampling)

    def ask_each(
        self, histories: Mapping[str, Messages], **sampling: Any
    ) -> Iterator[Chunk]:
        """Like `ask`, but each pane has its own conversation. Closing the iterator
        stops the answers.
        """
        unknown = set(histories) - set(self.panes)
        if unknown or not histories:
            raise ChatFailed("No such model is open.", "", "Open a model first.")
        request = {
            "do": "ask",
            "messages": {
                pane: [dict(m) for m in messages]
                for pane, messages in histories.items()
            },
            "sampling": asdict(Sampling(**sampling)),
        }
        return self._stream(request)

    def prompt_ids(self, messages: Messages, tools: Tools = ()) -> list[int]:
        """The token ids that the open model reads for `messages`. Raises BadInput,
        ChatFailed.
        """
        request = {
            "do": "prompt_ids",
            "messages": [dict(m) for m in messages],
            "tools": list(tools),
        }
        return list(self._value(request))

    def render(self, messages: Messages) -> str:
        """See `LlamaServer.render`, of an open GGUF file. Raises BadInput, ChatFailed."""
        return str(
            self._value({"do": "render", "messages": [dict(m) for m in messages]})
        )

    def score(self, rows: list[dict[str, list[int]]]) -> list[AnswerScore]:
        """See `Engine.score`."""
        return [
            AnswerScore.model_validate(score)
            for score in self._value({"do": "score", "rows": rows})
        ]

    def stop(self) -> None:
        """End the current answer; its last chunk has the finish "stopped"."""
        process = self._process
        if process is not None and process.alive:
            process.send({"do": "stop", "number": self._number})

    def close(self) -> None:
        """End the chat process, which frees the model's memory. The next `open` starts
        a new one.
        """
        process, self._process, self._opened = self._process, None, {}
        if process is not None:
            process.end()

    def _open(self, paths: dict[str, str]) -> Iterator[Phase]:
        self.panes, self.report, self._opened = (), EngineReport(), {}
        yield Phase("Loading the model")
        process = self._new_process()
        try:
            opened = yield from self._load(process, paths)
        except ChatFailed:
            if (
                self._process is not process or process.alive or "gguf" in paths
            ):  # the first: `close` was called
                raise
            log.warning(
                "the process ended while it loaded the model; trying transformers alone"
            )
            opened = yield from self._load(
                self._new_process(), {**paths, "engine": "transformers"}
            )
        self.panes = tuple(opened["panes"])
        self.report = EngineReport.model_validate(opened["report"])
        self._opened = paths

    def _new_process(self) -> ChatChild:
        """A new chat process for each model: one that had loaded torch crashed when it
        answered with llama.cpp.
        """
        if self._process is not None:
            self._process.end()
        self._process = process = ChatChild(self.workspace, self._log_file)
        return process

    def _load(
        self, process: ChatChild, paths: dict[str, str]
    ) -> Generator[Phase, None, dict[str, Any]]:
        for message in self._exchange(
            process, {"do": "open", "workspace": str(self.workspace.root), **paths}
        ):
            if message["type"] == "progress":
                yield Phase(message["phase"], message["done"], message["total"])
        opened: dict[str, Any] = message["value"]
        return opened

    def _ready_process(self) -> ChatChild:
        """The process with the open model, which is opened again if it has ended after
        idling or a crash.
        """
        if self._opened and not self._responds():
            list(self._open(self._opened))
        process = self._process
        if not self._opened or process is None:
            raise ChatFailed("No model is open.", "", "Choose a model first.")
        return process

    def _responds(self) -> bool:
        """Whether the process is alive and not about to end after idling."""
        process = self._process
        if process is None or not process.alive:
            return False
        try:
            return bool(list(self._exchange(process, {"do": "ping"})))
        except ChatFailed:
            return False

    def _stream(self, request: dict[str, Any]) -> Iterator[Chunk]:
        with self._busy:
            process = self._ready_process()
            request["threads"] = self._cores()
            for message in self._exchange(process, request):
                if message["type"] == "chunk":
                    yield Chunk(
                        **{**message["chunk"], "ids": tuple(message["chunk"]["ids"])}
                    )

    def _value(self, request: dict[str, Any]) -> Any:
        with self._busy:
            return list(self._exchange(self._ready_process(), request))[-1]["value"]

    def _exchange(
        self, process: ChatChild, request: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Send a request and yield its replies up to the last, which has the value, or
        raise its error. Closing the iterator early stops the work first.
        """
        self._number += 1
        number = self._number
        process.send({**request, "number": number})
        finished = False
        try:
            while not finished:
                message = process.receive()
                finished = message["type"] in ("done", "error")
                if message["type"] == "error":
                    kind: type[ApprenticeError] = getattr(
                        errors, message["error"], ChatFailed
                    )
                    raise kind(message["what"], message["why"], message["next"])
                yield message
        except GeneratorExit:
            try:
                process.send({"do": "stop", "number": number})
                while process.receive(_STOP_TIMEOUT)["type"] not in ("done", "error"):
                    pass
            except (ChatFailed, queue.Empty):
                process.kill()
            raise
