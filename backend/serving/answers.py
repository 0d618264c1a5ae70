"""Who answers the endpoint's requests: llama.cpp's server, or where it can't run the
model, the engine of Try. Both are transports of httpx, so that the endpoint asks them
alike.
"""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import httpx
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from backend.chat.client import Chat
from backend.records.chat import Chunk, Served


class ServerAnswers(httpx.AsyncBaseTransport):
    """llama.cpp's server. served: starts it where it does not run, such as after a
    crash. key: its own.
    """

    def __init__(self, served: Callable[[], Served], key: str) -> None:
        self._served, self._key = served, key
        self._http = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises ApprenticeError."""
        address = httpx.URL((await run_in_threadpool(self._served)).address)
        request.url = request.url.copy_with(
            scheme=address.scheme, host=address.host, port=address.port
        )
        request.headers.update(
            {"Host": address.netloc.decode(), "Authorization": f"Bearer {self._key}"}
        )
        return await self._http.handle_async_request(request)


class ChatAnswers(httpx.AsyncBaseTransport):
    """The engine of Try, one question after another. pane: of `chat` that answers."""

    def __init__(self, chat: Chat, pane: str) -> None:
        self._chat, self._pane = chat, pane

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises BadInput for a conversation that the model can't read, ChatFailed."""
        asked = json.loads(request.content)
        sampling = {
            name: asked[name]
            for name in ("temperature", "top_p", "seed")
            if name in asked
        }
        if sampling.get("seed", -1) == -1:
            sampling["seed"] = secrets.randbits(32)
        sampling["max_new_tokens"] = asked["max_tokens"]
        read = len(await run_in_threadpool(self._chat.prompt_ids, asked["messages"]))
        answer = _Answer(
            self._chat.ask(asked["messages"], panes=[self._pane], **sampling),
            asked,
            read,
        )
        try:
            await answer.begin()
        except BaseException:
            await answer.aclose()
            raise
        return httpx.Response(200, stream=answer)


class _Answer(httpx.AsyncByteStream):
    """An answer under way, in OpenAI's form, whole or as it is streamed. read: tokens
    of the prompt.
    """

    def __init__(
        self, chunks: Iterator[Chunk], asked: dict[str, Any], read: int
    ) -> None:
        self._chunks, self._read, self._last = chunks, read, Chunk("", "", 0, 0.0)
        self._stream, self._options = (
            asked.get("stream"),
            asked.get("stream_options", {}),
        )
        kind = "chat.completion.chunk" if self._stream else "chat.completion"
        self._about = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": kind,
            "created": int(time.time()),
        }
        self._about["model"] = asked["model"]

    async def begin(self) -> None:
        """Waits for the first piece."""
        self._last = await run_in_threadpool(next, self._chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if not self._stream:
            text = "".join([chunk.text async for chunk in self._pieces()])
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": self._finish,
            }
            yield json.dumps(
                {**self._about, "choices": [choice], **self._counts()}
            ).encode()
            return
        yield self._event({"role": "assistant", "content": ""})
        async for chunk in self._pieces():
            if chunk.text:
                yield self._event({"content": chunk.text})
        counts = self._counts()
        if self._options.get("include_usage"):
            yield self._event({}, self._finish)
            yield f"data: {json.dumps({**self._about, 'choices': [], **counts})}\n\n".encode()
        else:
            yield self._event({}, self._finish, timings=counts["timings"])
        yield b"data: [DONE]\n\n"

    async def aclose(self) -> None:
        if close := getattr(self._chunks, "close", None):
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(close)

    async def _pieces(self) -> AsyncIterator[Chunk]:
        yield self._last
        async for chunk in iterate_in_threadpool(self._chunks):
            self._last = chunk
            yield chunk

    @property
    def _finish(self) -> str:
        return "length" if self._last.finish == "length" else "stop"

    def _counts(self) -> dict[str, Any]:
        made = self._last.tokens
        usage = {
            "prompt_tokens": self._read,
            "completion_tokens": made,
            "total_tokens": self._read + made,
        }
        speed = {
            "predicted_n": made,
            "predicted_per_second": self._last.tokens_per_second,
        }
        return {"usage": usage, "timings": speed}

    def _event(
        self, delta: dict[str, str], finish: str | None = None, **more: Any
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return f"data: {json.dumps({**self._about, 'choices': [choice], **more})}\n\n".encode()
