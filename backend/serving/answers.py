"""Who answers the endpoint's requests: llama.cpp's server, or where it can't run the model, the engine of Try. Both
are transports of httpx, so that the endpoint asks them alike."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import anyio
import httpx
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from backend.chat.client import Chat
from backend.records.chat import Chunk, Served

_CONNECT = 10.0  # seconds
_NOTHING: Mapping[str, Any] = {}


class ServerAnswers(httpx.AsyncBaseTransport):
    """llama.cpp's server. served: starts it where it does not run, such as after a crash. key: its own."""

    def __init__(self, served: Callable[[], Served], key: str) -> None:
        self._served, self._key = served, key
        self._http = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises ApprenticeError."""
        address = httpx.URL((await run_in_threadpool(self._served)).address)
        request.url = request.url.copy_with(scheme=address.scheme, host=address.host, port=address.port)
        request.headers.update({"Host": address.netloc.decode(), "Authorization": f"Bearer {self._key}"})
        request.extensions["timeout"] = {"connect": _CONNECT}
        return await self._http.handle_async_request(request)


class ChatAnswers(httpx.AsyncBaseTransport):
    """The engine of Try, one question after another. pane: of `chat` that answers."""

    def __init__(self, chat: Chat, pane: str) -> None:
        self._chat, self._pane = chat, pane

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises ApprenticeError."""
        asked = json.loads(request.content)
        temperature, seed = asked.get("temperature", 0.0), asked.get("seed", -1)
        sampling = {
            "max_new_tokens": asked["max_tokens"],
            "temperature": temperature,
            "top_p": asked.get("top_p", 0.95),
            "seed": secrets.randbits(32) if seed == -1 else seed,
        }
        answer = _Answer(self._chat.ask(asked["messages"], panes=[self._pane], **sampling))
        read = len(await run_in_threadpool(self._chat.prompt_ids, asked["messages"]))
        try:
            await answer.begin()
        except BaseException:
            await answer.aclose()
            raise
        about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": asked["model"]}
        if asked.get("stream"):
            with_usage = bool(asked.get("stream_options", {}).get("include_usage"))
            return httpx.Response(200, stream=_Events(answer, about, read, with_usage))
        try:
            text = "".join([chunk.text async for chunk in answer])
        finally:
            await answer.aclose()
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": answer.finish}
        made = {**about, "object": "chat.completion", "choices": [choice], **answer.counts(read)}
        return httpx.Response(200, json=made)


class _Answer:
    """An answer under way."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks, self._first = chunks, Chunk("", "", 0, 0.0)
        self.last = self._first

    async def begin(self) -> None:
        """Waits for its turn and the first piece. Raises BadInput for a conversation that the model can't read,
        ChatFailed."""
        self._first = await run_in_threadpool(next, self._chunks)

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        self.last = self._first
        yield self._first
        async for chunk in iterate_in_threadpool(self._chunks):
            self.last = chunk
            yield chunk

    @property
    def finish(self) -> str:
        return "length" if self.last.finish == "length" else "stop"

    def counts(self, read: int) -> dict[str, Any]:
        """read: tokens of the prompt."""
        usage = {"prompt_tokens": read, "completion_tokens": self.last.tokens, "total_tokens": read + self.last.tokens}
        speed = {"predicted_n": self.last.tokens, "predicted_per_second": self.last.tokens_per_second}
        return {"usage": usage, "timings": speed}

    async def aclose(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(close)


class _Events(httpx.AsyncByteStream):
    """An answer as OpenAI streams it."""

    def __init__(self, answer: _Answer, about: dict[str, Any], read: int, with_usage: bool) -> None:
        self._answer, self._read, self._with_usage = answer, read, with_usage
        self._about = {**about, "object": "chat.completion.chunk"}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._event({"role": "assistant", "content": ""})
        async for chunk in self._answer:
            if chunk.text:
                yield self._event({"content": chunk.text})
        counts = self._answer.counts(self._read)
        yield self._event({}, self._answer.finish, {} if self._with_usage else {"timings": counts["timings"]})
        if self._with_usage:
            yield _line({**self._about, "choices": [], **counts})
        yield b"data: [DONE]\n\n"

    async def aclose(self) -> None:
        await self._answer.aclose()

    def _event(self, delta: dict[str, str], finish: str | None = None, more: Mapping[str, Any] = _NOTHING) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _line({**self._about, "choices": [choice], **more})


def _line(event: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()
