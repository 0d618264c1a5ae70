"""An OpenAI-compatible endpoint for one model: the guard before what answers.

It knows the key, checks requests, and lets as many through as are answered at a time;
others wait, and more are declined. Every request needs the key; only its SHA-256 is
known here.
"""

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio
import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from backend.chat.llama_server import require_numbers
from backend.errors import ApprenticeError, BadInput
from backend.files.json_file import value_of
from backend.records.units import MIB, format_size
from backend.serving import connections, requests
from backend.serving.requests import Abilities, Asked, BadField
from backend.serving.state import key_hash

MAX_BODY = MIB  # bytes
MAX_WAITING = 64  # requests, besides those that are answered
_RETRY_AFTER = 5  # seconds


@dataclass
class Counts:
    """An endpoint's counts since it started. tokens_per_second: of the latest answer.
    open: requests under way.
    """

    requests: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0
    open: int = 0


class Endpoint:
    """The routes. answers: what answers, `slots` requests at a time, and able to do
    `able`. key_sha256: of the key that every request needs. origins: of web pages that
    may ask, besides files on this computer.
    """

    def __init__(
        self,
        answers: httpx.AsyncBaseTransport,
        slots: int,
        able: Abilities,
        key_sha256: str,
        origins: Sequence[str] = (),
    ) -> None:
        self.counts = Counts()
        unlimited = httpx.Timeout(None)  # an answer may take long
        self._http = httpx.AsyncClient(
            transport=answers,
            base_url="http://model",
            timeout=unlimited,
            trust_env=False,
        )
        self._able, self._key = able, key_sha256
        self._slots, self._turns = slots, asyncio.Semaphore(slots)
        self._created = int(time.time())
        nothing = f"There is nothing at this address. Use {', '.join(('/v1/models', *requests.PATHS))}."
        cors = Middleware(
            CORSMiddleware,
            allow_origins=["null", *origins],  # null: a file, such as the web form
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # OpenAI's client sends a dozen of its own
            expose_headers=["Retry-After"],
        )
        self.app = Starlette(
            routes=[
                Route("/health", lambda _: JSONResponse({"status": "ok"})),
                Route("/v1/models", self._models),
                Route("/v1/models/{name:path}", self._models),
                *(Route(path, self._ask, methods=["POST"]) for path in requests.PATHS),
                Route(
                    "/{path:path}",
                    lambda _: _error(404, nothing),
                    methods=["GET", "POST"],
                ),
            ],
            middleware=[cors],
        )

    async def _models(self, request: Request) -> Response:
        if not self._knows_key(request):
            return _wrong_key()
        model = {
            "id": self._able.name,
            "object": "model",
            "created": self._created,
            "owned_by": "apprentice",
        }
        name = request.path_params.get("name")
        if name not in (None, self._able.name):
            return _error(
                404,
                f"There is no model {name} here, only {self._able.name}.",
                code="model_not_found",
            )
        return JSONResponse(model if name else {"object": "list", "data": [model]})

    async def _ask(self, request: Request) -> Response:
        if not self._knows_key(request):
            return _wrong_key()
        try:
            async with asyncio.timeout(connections.PATIENCE):
                body = await _body(request)
            asked = requests.parse(request.url.path, body, self._able)
        except ClientDisconnect:
            return Response(status_code=499)
        except TimeoutError:
            return _error(
                408,
                "The rest of the request did not arrive in time.",
                headers={"Connection": "close"},
            )
        except BadField as error:
            return _error(400, str(error), param=error.field, code="unsupported_value")
        except BadInput as error:
            return _error(413 if error.what == _TOO_LARGE else 400, str(error))
        if self.counts.open >= self._slots + MAX_WAITING:
            message = "Too many questions are waiting. Ask again in a moment."
            return _error(
                429,
                message,
                "rate_limit_error",
                headers={"Retry-After": str(_RETRY_AFTER)},
            )
        self.counts.open += 1
        self.counts.requests += 1
        leaving = AsyncExitStack()
        leaving.callback(self._leave)
        response: Response | None = None
        try:
            response = await _unless_gone(request, self._answer(asked, leaving))
        except ClientDisconnect:
            response = Response(status_code=499)
        except BadInput as error:
            response = _error(400, str(error))
        except (ApprenticeError, httpx.HTTPError) as error:
            response = _error(503, _sentence(error), "server_error")
        finally:
            if not isinstance(response, _Stream):
                await _closed(leaving)
        return response

    async def _answer(self, asked: Asked, leaving: AsyncExitStack) -> Response:
        """Waits for a turn and asks. leaving: gets what must be given back."""
        await self._turns.acquire()
        leaving.callback(self._turns.release)
        question = self._http.build_request("POST", asked.path, json=asked.body)
        reply = await self._http.send(question, stream=True)
        leaving.push_async_callback(reply.aclose)
        if asked.body.get("stream") and reply.is_success:
            return _Stream(self._events(asked, reply), leaving)
        document = json.loads(await reply.aread())
        if not reply.is_success:
            why = str(document.get("error", {}).get("message", document))
            form = "response_format" in asked.body and (
                "schema" in why or "grammar" in why
            )
            return _error(
                reply.status_code, why, param="response_format" if form else None
            )
        self._count(document)
        _check_numbers(document, asked)
        _make_calls(document, asked.functions, {})
        return JSONResponse(document)

    async def _events(self, asked: Asked, reply: httpx.Response) -> AsyncIterator[str]:
        written, said = dict[int, str](), dict[int, str]()
        places, numbers = dict[str, int](), count()
        about = {"created_at": int(time.time()), "model": self._able.name}
        try:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    event = json.loads(line.removeprefix("data: "))
                    self._count(event)
                    _check_numbers(event, asked)
                    await self._check_end(event, asked, said)
                    _make_calls(event, asked.functions, written)
                    if asked.path == requests.RESPONSES:
                        event["sequence_number"] = next(numbers)
                        _complete_event(event, places, about)
                    line = f"data: {json.dumps(event)}"
                yield f"{line}\n"
        except (ApprenticeError, httpx.HTTPError) as error:
            yield f"data: {bytes(_error(503, _sentence(error), 'server_error').body).decode()}\n\n"

    async def _check_end(
        self, event: dict[str, Any], asked: Asked, said: dict[int, str]
    ) -> None:
        """Like `_check_numbers` for the end token of a streamed chat, which is not
        sent: one more is asked for.
        """
        for choice in (
            event.get("choices", [])
            if asked.path == requests.CHAT and self._able.whole
            else []
        ):
            number = choice.get("index", 0)
            said[number] = said.get(number, "") + (
                choice.get("delta", {}).get("content") or ""
            )
            if choice.get("finish_reason") == "stop":
                turns = [
                    *asked.body["messages"],
                    {"role": "assistant", "content": said[number]},
                ]
                more = {"messages": turns, "max_tokens": 1, "n": 1, "stream": False}
                reply = await self._http.post(asked.path, json={**asked.body, **more})
                if (
                    not reply.is_client_error
                ):  # as where the conversation is full: no token can follow
                    _check_numbers(
                        value_of(reply.raise_for_status().content, {}), asked
                    )

    def _knows_key(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            key_hash(key.strip()), self._key
        )

    def _leave(self) -> None:
        self.counts.open -= 1

    def _count(self, document: dict[str, Any]) -> None:
        usage = document.get("usage") or document.get("response", {}).get("usage") or {}
        timings = document.get("timings") or {}
        tokens = (
            usage.get("completion_tokens")
            or usage.get("output_tokens")
            or timings.get("predicted_n")
            or 0
        )
        self.counts.tokens += tokens
        self.counts.tokens_per_second = (
            timings.get("predicted_per_second") or self.counts.tokens_per_second
        )


class _Stream(StreamingResponse):
    """Events as they come. leaving: closed however the response ends, also if no event
    was sent.
    """

    def __init__(self, events: AsyncIterator[str], leaving: AsyncExitStack) -> None:
        super().__init__(
            events,
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache"},
        )
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await _closed(self._leaving)


async def _closed(leaving: AsyncExitStack) -> None:
    with anyio.CancelScope(shield=True):
        await leaving.aclose()


async def _unless_gone(
    request: Request, work: Coroutine[Any, Any, Response]
) -> Response:
    """The result of `work`, which is cancelled once the client is gone; then raises
    ClientDisconnect.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


def _check_numbers(reply: dict[str, Any], asked: Asked) -> None:
    """Raises ChatFailed if a token came of invalid numbers. Takes away probabilities
    for which nobody asked.
    """
    for choice in reply.get("choices", []):
        if probabilities := choice.get("logprobs"):
            require_numbers(probabilities["content"])
            if not asked.body.get("logprobs"):
                choice["logprobs"] = None


def _make_calls(
    reply: dict[str, Any], functions: Sequence[str], written: dict[int, str]
) -> None:
    """Turns answers, or pieces of them, into calls of a function. One of several is
    called by the last piece; where that was cut off, the answer stays a text. written:
    the text so far by choice; these pieces are added.
    """
    for choice in reply.get("choices", []) if functions else []:
        message, ended = (
            choice.get("delta", choice.get("message")),
            choice.get("finish_reason"),
        )
        content, number = message.pop("content", None), choice.get("index", 0)
        named = {} if number in written else {"name": functions[0]}
        written[number] = written.get(number, "") + (content or "")
        if len(functions) > 1:
            chosen = value_of(written[number] if ended else "")
            if chosen is None:
                message.update({"content": written[number]} if ended else {})
                continue
            named, content = (
                {"name": chosen["name"]},
                json.dumps(chosen["arguments"], ensure_ascii=False),
            )
        if ended == "stop":
            choice["finish_reason"] = "tool_calls"
        if content is not None or named:
            new = {"id": f"call_{secrets.token_hex(12)}"} if named else {}
            call = {
                **new,
                "index": 0,
                "type": "function",
                "function": {**named, "arguments": content or ""},
            }
            message.update(
                tool_calls=[call], **({"content": None} if "role" in message else {})
            )


def _complete_event(
    event: dict[str, Any], places: dict[str, int], about: dict[str, Any]
) -> None:
    """Adds what the reference has in an event of /v1/responses and the server leaves
    out. places: of the items so far in the output, by their ids. about: the response.
    """
    if "response" in event:
        event["response"] = {"output": [], **event["response"], **about}
    item = event.get("item", {})
    if "call_id" in item:
        item.setdefault("id", item["call_id"])
    if place := event.get("item_id", item.get("id")):
        event["output_index"] = places.setdefault(place, len(places))
    if "part" in event or ".output_text." in event["type"]:
        event["content_index"] = 0
        event.get("part", {}).setdefault("annotations", [])
    if ".output_text." in event["type"]:
        event.setdefault("logprobs", [])


_TOO_LARGE = "The request is too large."


async def _body(request: Request) -> bytes:
    """Raises BadInput for more than MAX_BODY bytes, without reading them all."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise BadInput(
                _TOO_LARGE,
                f"It is larger than {format_size(MAX_BODY / MIB)}.",
                "Send a shorter text.",
            )
    return body


def _wrong_key() -> Response:
    message = "The key is missing or wrong. Send the one that the endpoint showed as it started, or start it again."
    return _error(
        401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"}
    )


def _sentence(error: Exception) -> str:
    lost = "The model stopped working, most likely because memory ran out. Ask again to restart it."
    return str(error) if isinstance(error, ApprenticeError) else lost


def _error(
    status: int,
    message: str,
    kind: str = "invalid_request_error",
    headers: dict[str, str] | None = None,
    **more: str | None,
) -> Response:
    error = {"message": message, "type": kind, "param": None, "code": None, **more}
    return JSONResponse({"error": error}, status, headers)
