"""The one open chat: a run's model beside its base, kept open between questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from backend.chat.client import Chat, PaneCheck
from backend.chat.engine import Messages
from backend.settings import Workspace

Answer = tuple[str, str, bool]  # pane, its text so far, whether it is done


class Opened(NamedTuple):
    """What a chat is about: a run, the model it began with, and what it learned."""

    run_id: str
    model: Path
    adapter: Path


class Chatting:
    """training: whether a training needs the processor; then answers leave it a core."""

    def __init__(self, workspace: Workspace, training: Callable[[], bool]) -> None:
        self._chat = Chat(workspace, leave_a_core=training)
        self._run = ""
        self.answering = False

    def ask(self, opened: Opened, asked: Mapping[str, Messages], **sampling: Any) -> Iterator[Answer]:
        """Answers of the panes "base" and "tuned" as they come. Raises ChatFailed, BadInput, MissingPart."""
        self._chat.open(opened.model, opened.adapter)
        self._run = opened.run_id
        texts = dict.fromkeys(asked, "")
        self.answering = True
        try:
            for chunk in self._chat.ask_each(asked, **sampling):
                texts[chunk.pane] += chunk.text
                yield chunk.pane, texts[chunk.pane], chunk.done
        finally:
            self.answering = False

    def once(self, opened: Opened, pane: str, prompt: str, **sampling: Any) -> dict[str, Any]:
        """One answer of one pane, with its tokens and its measured speed."""
        self._chat.open(opened.model, opened.adapter)
        return self._collect(pane, prompt, sampling)

    def once_from_file(self, gguf: Path, prompt: str, **sampling: Any) -> dict[str, Any]:
        """One answer from a GGUF file. Raises MissingPart without llama-cpp-python."""
        self._chat.open(gguf=gguf)
        return self._collect(self._chat.panes[0], prompt, sampling)

    def _collect(self, pane: str, prompt: str, sampling: dict[str, Any]) -> dict[str, Any]:
        text, tokens, speed = "", 0, 0.0
        for chunk in self._chat.ask([{"role": "user", "content": prompt}], panes=(pane,), **sampling):
            text, tokens, speed = text + chunk.text, chunk.tokens, chunk.tokens_per_second
        return {"text": text, "tokens": tokens, "tokens_per_second": round(speed, 1)}

    def proof(self, run_id: str) -> PaneCheck | None:
        """What was proved when the run was opened; None when it is not the one that is open."""
        return self._chat.proof if run_id == self._run else None

    def forget(self, run_id: str) -> None:
        """Closes the chat if it is about this run."""
        if run_id == self._run:
            self.close()

    def stop(self) -> None:
        self._chat.stop()

    def close(self) -> None:
        self._run = ""
        self._chat.close()
