"""`python -m backend.chat.server`: loads a model and answers, so that the page never
imports torch or llama.cpp.

The protocol is JSON lines. In: {"do": "open" | "ask" | "prompt_ids" | "score" |
"render" | "serve" | "ping" | "stop", "number": n, ...}. Out: {"number": n, "type":
"progress" | "chunk" | "done" | "error", ...}; every request but "stop" ends with one
"done" or one "error". The process ends when its stdin ends (the parent closed it, or
died) and after idling for a while. backend/chat/child.py is the other end.
"""

import json
import logging
import os
import queue
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backend.chat import engines
from backend.chat.engine import Engine, Sampling, Tokens
from backend.chat.llama_engine import LlamaEngine
from backend.child_process import for_answers, receive
from backend.errors import ApprenticeError, ChatFailed, is_out_of_memory
from backend.hardware.process import lower_priority, show_one_gpu
from backend.models.bundled import ReportProgress
from backend.settings import Workspace

log = logging.getLogger(__name__)

_NICENESS = 9  # after the page, before a training


class _Pane:
    """An answer in progress: its tokens, its text and its speed (of its own steps
    only).
    """

    def __init__(
        self, name: str, engine: Engine, prompt_ids: list[int], sampling: Sampling
    ) -> None:
        self.name = name
        self._tokens: Tokens = engine.tokens(name, prompt_ids, sampling)
        self._stream = engine.text_stream()
        self._ids: list[int] = []
        self._seconds = (
            0.0  # after the first token, which includes the time to read the prompt
        )
        self.finish = ""

    def step(self) -> dict[str, Any]:
        """One more token, or the end, as a chunk."""
        start = time.perf_counter()
        try:
            token = next(self._tokens)
        except StopIteration as end:
            return self.end(end.value)
        if self._ids:
            self._seconds += time.perf_counter() - start
        self._ids.append(token)
        return self._chunk(self._stream.add(token))

    def end(self, finish: str) -> dict[str, Any]:
        """The last chunk, with the token ids of the whole answer."""
        self.finish = finish
        self._tokens.close()
        return self._chunk(self._stream.end(), self._ids)

    def _chunk(self, text: str, ids: Sequence[int] = ()) -> dict[str, Any]:
        speed = (len(self._ids) - 1) / self._seconds if self._seconds else 0.0
        return {
            "pane": self.name,
            "text": text,
            "finish": self.finish,
            "tokens": len(self._ids),
            "tokens_per_second": round(speed, 1),
            "ids": ids,
        }


class ChatProcess:
    """Handles requests one by one; replies go to `send`. A question may only come after
    the model was opened.
    """

    def __init__(self, send: Any) -> None:
        self._send = send
        self._engine: Engine  # a process opens one model
        self.server: Any = (
            None  # one that answers programs, which lives as long as this process
        )
        self._work: dict[str, Callable[[dict[str, Any]], Any]] = {
            "open": self._open,
            "ask": self._ask,
            "prompt_ids": lambda asked: self._engine.prompt_ids(
                asked["messages"], asked["tools"]
            ),
            "score": lambda asked: [
                score.model_dump() for score in self._engine.score(asked["rows"])
            ],
            "render": self._render,
            "ping": lambda _: None,
            "serve": self._serve,
        }
        self.stop_up_to = 0  # asks with this number or a lower one end early

    def handle(self, request: dict[str, Any]) -> None:
        number = request["number"]
        try:
            value = self._work[request["do"]](request)
            self._send({"number": number, "type": "done", "value": value})
        except ApprenticeError as error:
            self._send({"number": number, "type": "error", **error.to_dict()})
        except Exception as error:
            log.exception("request %s failed", request["do"])
            why = f"The error was {type(error).__name__}; the log has the details."
            why = "There was not enough memory." if is_out_of_memory(error) else why
            failure = ChatFailed(
                "The model failed.", why, "Try again, or open the model again."
            )
            self._send({"number": number, "type": "error", **failure.to_dict()})

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("gguf"):
            self._engine = LlamaEngine(Path(request["gguf"]))
        else:
            workspace, adapter = (
                Workspace.open(Path(request["workspace"])),
                request.get("adapter"),
            )
            model, tuned = Path(request["model"]), Path(adapter) if adapter else None
            progress, plain = (
                self._progress(request["number"]),
                request.get("engine") == "transformers",
            )
            self._engine = engines.open_model(
                workspace, model, tuned, progress, only_transformers=plain
            )
        return {"panes": self._engine.panes, "report": self._engine.report.model_dump()}

    def _progress(self, number: int) -> ReportProgress:
        def report(phase: str, done: int = 0, total: int = 0) -> None:
            self._send(
                {
                    "number": number,
                    "type": "progress",
                    "phase": phase,
                    "done": done,
                    "total": total,
                }
            )

        return report

    def _serve(self, request: dict[str, Any]) -> dict[str, Any]:
        from backend.chat.served import open_server

        workspace, adapter = (
            Workspace.open(Path(request["workspace"])),
            request.get("adapter"),
        )
        model, tuned = Path(request["model"]), Path(adapter) if adapter else None
        progress = self._progress(request["number"])
        self.server, served = open_server(
            workspace, model, tuned, request["name"], request["key"], progress
        )
        return served.model_dump()

    def _render(self, request: dict[str, Any]) -> str:
        assert isinstance(self._engine, LlamaEngine)
        return self._engine.server().render(request["messages"])

    def _ask(self, request: dict[str, Any]) -> None:
        engine, number = self._engine, request["number"]
        engine.use_threads(request["threads"])
        sampling = Sampling(**request["sampling"])
        panes = []
        for name, messages in request["messages"].items():
            ids = engine.prompt_ids(messages)
            panes.append(
                _Pane(
                    name, engine, ids, sampling.within(len(ids), engine.context_length)
                )
            )
        while panes:
            for pane in panes:
                chunk = (
                    pane.end("stopped") if self.stop_up_to >= number else pane.step()
                )
                self._send({"number": number, "type": "chunk", "chunk": chunk})
            panes = [pane for pane in panes if not pane.finish]


def main() -> None:
    """The process: reads requests until stdin ends or `APPRENTICE_CHAT_IDLE` seconds
    pass without one. A process that serves programs never counts as idle.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    out = for_answers()

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
        out.flush()

    show_one_gpu()
    lower_priority(_NICENESS)
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    process = ChatProcess(send)

    def received(line: bytes) -> None:
        request = json.loads(line)
        if request["do"] == "stop":
            process.stop_up_to = request["number"]
        else:
            requests.put(request)

    receive(received)
    idle = float(os.environ.get("APPRENTICE_CHAT_IDLE", "600"))
    while True:
        try:
            request = requests.get(timeout=None if process.server else idle)
        except queue.Empty:
            os._exit(0)  # nothing here needs saving
        process.handle(request)


if __name__ == "__main__":
    main()
