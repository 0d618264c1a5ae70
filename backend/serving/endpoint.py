"""An OpenAI-compatible endpoint for one model, which answers in the chat process exactly as Try does.

The answers come from `Chat`, so template, end tokens and engine are those of Try, and a crash of the model's process
is an error of one request. Every request needs the key; only its SHA-256 is known here. One question is answered at a
time; a few may wait, and more are declined."""

import asyncio
import hmac
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from backend.chat.client import Chat
from backend.errors import ApprenticeError, BadInput
from backend.records.chat import Chunk
from backend.records.units import MIB, format_size
from backend.serving import connections, requests
from backend.serving.answer import Answer
from backend.serving.state import key_hash

MAX_BODY = MIB  # bytes
MAX_OPEN = 4  # requests that are answered or wait


@dataclass
class Counts:
    """An endpoint's counts since it started. tokens_per_second: of the latest answer. open: requests under way."""

    requests: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0
    open: int = 0


class Endpoint:
    """The routes. name: of the model. pane: of `chat` that answers. instruction: for conversations without one.
    key_sha256: of the key that every request needs."""

    def __init__(self, chat: Chat, pane: str, name: str, instruction: str, key_sha256: str) -> None:
        self.counts = Counts()
        self._chat, self._pane, self._name = chat, pane, name
        self._instruction, self._key = instruction, key_sha256
        self._lock = threading.Lock()
        self._created = int(time.time())
        # The key protects the endpoint, not the origin of a request: pages of other sites don't know the key.
        cors = Middleware(
            CORSMiddleware,
            allow_origins=["*"],
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
        )
        self.app = Starlette(
            routes=[
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/chat/completions", self._completions, methods=["POST"]),
            ],
            middleware=[cors],
        )

    async def _models(self, request: Request) -> Response:
        if not self._knows_key(request):
            return _wrong_key()
        model = {"id": self._name, "object": "model", "created": self._created, "owned_by": "apprentice"}
        return JSONResponse({"object": "list", "data": [model]})

    async def _completions(self, request: Request) -> Response:
        if not self._knows_key(request):
            return _wrong_key()
        try:
            async with asyncio.timeout(connections.PATIENCE):
                body = await _body(request)
            asked = requests.parse(body, self._instruction)
            answer = Answer(self._chat, self._pane, asked)
        except ClientDisconnect:
            return Response(status_code=499)
        except TimeoutError:
            late = _error(408, "invalid_request_error", "The rest of the request did not arrive in time.")
            late.headers["Connection"] = "close"
            return late
        except BadInput as error:
            return _problem(413 if error.what == _TOO_LARGE else 400, "invalid_request_error", error)
        if not self._enter():
            return _error(429, "rate_limit_error", "Too many questions are waiting. Ask again in a moment.")
        streams = False
        watching = asyncio.create_task(answer.watch(request))
        try:
            first = await run_in_threadpool(answer.begin)
            about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": self._name}
            if asked.stream:
                streams = True
                return _Stream(self._events(answer, first, about), partial(self._leave, answer))
            text = first.text + "".join([chunk.text async for chunk in iterate_in_threadpool(answer.rest)])
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}
            about |= {"object": "chat.completion", "choices": [choice]}
            return JSONResponse({**about, "usage": answer.usage})
        except ClientDisconnect:
            return Response(status_code=499)
        except BadInput as error:
            return _problem(400, "invalid_request_error", error)
        except ApprenticeError as error:
            return _problem(503, "server_error", error)
        finally:
            watching.cancel()
            if not streams:
                await self._leave(answer)

    async def _events(self, answer: Answer, first: Chunk, about: dict[str, Any]) -> AsyncIterator[str]:
        about = {**about, "object": "chat.completion.chunk"}

        def event(delta: dict[str, str], finish: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            return f"data: {json.dumps({**about, 'choices': [choice]})}\n\n"

        try:
            yield event({"role": "assistant", "content": first.text})
            async for chunk in iterate_in_threadpool(answer.rest):
                if chunk.text:
                    yield event({"content": chunk.text})
            yield event({}, answer.finish_reason)
            if answer.asked.with_usage:
                yield f"data: {json.dumps({**about, 'choices': [], 'usage': answer.usage})}\n\n"
            yield "data: [DONE]\n\n"
        except ApprenticeError as error:
            yield f"data: {json.dumps({'error': _about(error, 'server_error')})}\n\n"

    def _knows_key(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(key_hash(key.strip()), self._key)

    def _enter(self) -> bool:
        with self._lock:
            if self.counts.open >= MAX_OPEN:
                return False
            self.counts.open += 1
            self.counts.requests += 1
            return True

    async def _leave(self, answer: Answer) -> None:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(answer.close)
        with self._lock:
            self.counts.open -= 1
            self.counts.tokens += answer.tokens
            self.counts.tokens_per_second = answer.tokens_per_second or self.counts.tokens_per_second


class _Stream(StreamingResponse):
    """Events as they come. leave: called however the response ends, also if no event was sent."""

    def __init__(self, events: AsyncIterator[str], leave: Callable[[], Awaitable[None]]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._leave()


_WRONG_KEY = (
    "The key is missing or wrong. Send the one that was shown when the endpoint was started; to get another one, "
    "stop it and start it again."
)
_TOO_LARGE = "The request is too large."


async def _body(request: Request) -> bytes:
    """Raises BadInput for more than MAX_BODY bytes, without reading them all."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise BadInput(_TOO_LARGE, f"It is larger than {format_size(MAX_BODY / MIB)}.", "Send a shorter text.")
    return body


def _wrong_key() -> Response:
    error = _error(401, "invalid_request_error", _WRONG_KEY, "invalid_api_key")
    error.headers["WWW-Authenticate"] = "Bearer"
    return error


def _problem(status: int, kind: str, error: ApprenticeError) -> Response:
    return JSONResponse({"error": _about(error, kind)}, status)


def _about(error: ApprenticeError, kind: str) -> dict[str, Any]:
    message = " ".join(filter(None, (error.what, error.why, error.next)))
    return {"message": message, "type": kind, "param": None, "code": None}


def _error(status: int, kind: str, message: str, code: str | None = None) -> Response:
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)
