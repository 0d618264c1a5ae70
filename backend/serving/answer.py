"""One answer of the endpoint, which ends once its client is gone."""

from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request

from backend.chat.client import Chat
from backend.records.chat import Chunk
from backend.serving.requests import CompletionRequest


class Answer:
    """One answer under way. `begin` waits for its turn and returns the first piece; `rest` are the others. Both raise
    ClientDisconnect once `watch` has noticed that the client is gone."""

    def __init__(self, chat: Chat, pane: str, asked: CompletionRequest) -> None:
        self.asked = asked
        self.tokens = 0
        self.tokens_per_second = 0.0
        self._finish = ""
        self._prompt_tokens = 0
        self._gone = False
        self._chat, self._pane = chat, pane
        self._chunks = chat.ask(asked.messages, panes=[pane], **asked.sampling)

    async def watch(self, request: Request) -> None:
        """Waits until the client is gone."""
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self._gone = True

    def begin(self) -> Chunk:
        """Raises BadInput for a conversation that the model can't read, ChatFailed."""
        self._prompt_tokens = len(self._chat.prompt_ids(self.asked.messages))
        self._require_client()
        return self._noted(next(self._chunks))

    @property
    def rest(self) -> Iterator[Chunk]:
        return map(self._noted, self._chunks)

    @property
    def finish_reason(self) -> str:
        return "length" if self._finish == "length" else "stop"

    @property
    def usage(self) -> dict[str, int]:
        total = self._prompt_tokens + self.tokens
        return {"prompt_tokens": self._prompt_tokens, "completion_tokens": self.tokens, "total_tokens": total}

    def close(self) -> None:
        """Ends the answer where it still goes on."""
        close = getattr(self._chunks, "close", None)
        if close:
            close()

    def _require_client(self) -> None:
        if self._gone:
            raise ClientDisconnect

    def _noted(self, chunk: Chunk) -> Chunk:
        self._require_client()
        self.tokens, self.tokens_per_second, self._finish = chunk.tokens, chunk.tokens_per_second, chunk.finish
        return chunk
