"""Limits each visitor of a shared demo to their own files, events and uploads, whatever
URL they request. Every request of gradio's that the page needs is listed here; all
others are refused. The visitor is added to the page's own session names before gradio
sees them, so that another visitor's session can't be named.
"""

import json
import math
import re
import threading
from asyncio import Event, sleep, timeout
from bisect import insort
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, count
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

from gradio.utils import LRUCache
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.hosting.policy import Limits
from backend.hosting.visitors import Visitors, disk_mib
from backend.records.units import KIB, MIB
from ui.web import front_page, pulse
from ui.web.guard import body_length, ending, is_public, subscriber
from ui.web.session_memory import QueuedEvents, joined
from ui.web.visitor import VisitorFiles, new_cookie, visitor_of

_Place = tuple[
    float, int, str, Event
]  # in the line: the turn of its visitor, a number, whose it is, "look again"
VISITOR, WHY_NONE = (
    "apprentice.visitor",
    "apprentice.why_none",
)  # in the scope of a request
_API = "/gradio_api"
_FILE = f"{_API}/file="  # before the path of a file
_OPEN = re.compile(  # the page itself; the same for all visitors
    r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(assets|static|svelte)/.*"
    r"|/login/?|/login/(huggingface|callback)|/logout|/login_check/?|/gradio_api/(startup-events|app_id|login_check|info)/?"
)
_EVENT = re.compile(rf"/gradio_api/(queue/join|run/predict)/?|{pulse.PATH}")
_EVENT_TYPES: dict[str, Any] = {
    "data": list,
    "fn_index": int,
    "trigger_id": int | None,
    "session_hash": str,
}
_FORM = (
    64 * 1024
)  # bytes of an upload around its file; each file also counts as so many
_LONGEST_EVENT, _LONGEST_TEXT = (
    256 * KIB,
    4 * MIB,
)  # bytes; the latter where nearly all is text
_NOBODYS_EVENT = 16 * KIB  # of browsers without a cookie, who are told about it
_BYTES, _BYTES_AT_ONCE = (
    16 * MIB,
    11 * MIB,
)  # a minute, of one visitor's longer events and uploads; two large files
_SLOWEST = 60.0  # seconds for the body of an event to come
_PAUSE = 1.0  # seconds until a refusal is sent, in which who asks again and again costs nothing
_NEWCOMERS, _AT_ONCE, _LONGEST_WAIT = (
    4,
    20,
    2.0,
)  # newcomers a second, after so many at once; seconds that one waits
_EVENTS, _EVENTS_AT_ONCE = (
    2,
    15,
)  # of one visitor a second, after so many at once; later ones wait, longer if long
_AS_NEW = 3.5  # seconds of such turns that a newcomer begins with
_ASIDE = (
    _EVENTS_AT_ONCE / _EVENTS
)  # seconds of turns by which what a page asks by itself comes after what people do
_VALUES, _VALUES_IN_TEXT, _DEPTH = 20_000, 1_000, 100  # in the JSON of an event
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_TOO_MUCH = "You have sent too much in a minute."
_TOO_MANY = "Very many people come here from your address at once. This page loads again in a few seconds."
_RETRY_AFTER = (
    "3"  # seconds: of a large school class, the last ones come in by themselves
)
_NOTHING = "There is nothing at this address."
_MOST_REMEMBERED = 1000  # visitors, and addresses
_MOST_EVENTS = 60  # unanswered, of one visitor; a page has up to five
_AT_WORK, _OF_ONE, _LOOK = (
    3,
    1,
    0.02,
)  # events that gradio works at, of all and of a visitor; seconds between two looks
_UNANSWERED = 4  # events of a visitor that wait for something; a handler takes eight at a time, of all
_BRIEF = 0.3  # seconds after which an event rather waits for something, as for a file that is being read


@dataclass(frozen=True)
class Door:
    """The configuration of the gate. uploads: gradio's folder for uploaded files.
    https: whether the page is reached by https, as on a Space, where a page of
    huggingface.co frames it. accounts: whether visitors can sign in, which gradio's
    session then holds, signed.
    """

    visitors: Visitors
    limits: Limits
    uploads: Path
    events: QueuedEvents
    https: bool = False
    accounts: bool = False


class Turns(LRUCache[str, float]):
    """By visitor or address, when the latest one had its turn: so many at once, and
    then so many a second.
    """

    def __init__(self, a_second: float, at_once: float) -> None:
        super().__init__(_MOST_REMEMBERED)
        self._a_second, self._at_once = a_second, at_once

    def wait(self, whose: str, size: float = 1.0, most: float = math.inf) -> float:
        """Seconds until the next one, who counts as `size`, has a turn; if more than
        `most`, no turn is taken.
        """
        now = monotonic()
        turn: float = (
            max(self.get(whose, 0.0), now - self._at_once / self._a_second)
            + size / self._a_second
        )
        if turn <= now + most:
            self[whose] = turn
        return max(0.0, turn - now)


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self._front = app, front_page.FrontPage(app)
        self._visitors, self._limits, self._uploads = (
            door.visitors,
            door.limits,
            door.uploads,
        )
        self._files = VisitorFiles(door.visitors)
        self._events, self._https, self._accounts = (
            door.events,
            door.https,
            door.accounts,
        )
        self._passing: Counter[str] = (
            Counter()
        )  # by visitor, events that gradio has not put into its queue yet
        self._making_room = threading.Lock()
        self._newcomers = Turns(_NEWCOMERS, _AT_ONCE)  # by address
        self._turns = Turns(_EVENTS, _EVENTS_AT_ONCE)  # by visitor
        self._line: list[_Place] = []  # of what waits, in order
        self._numbers = count()
        self._entering: list[
            tuple[str, float]
        ] = []  # whose, and since when, gradio has not put into its queue yet
        self._large = Turns(_BYTES / 60, _BYTES_AT_ONCE)  # by visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope, path = dict(scope), scope["path"]
        reading = scope["method"] in ("GET", "HEAD")
        visitor, scope[WHY_NONE] = visitor_of(scope, self._visitors, self._accounts)
        if reading and path == "/" and not visitor:
            if not await self._has_a_turn(self._address(scope)):
                await _refuse(scope, receive, send, _TOO_MANY, 429)
                return
            send = self._welcome(scope[WHY_NONE], send)
        scope[VISITOR] = visitor
        if visitor:
            self._visitors.note_address(visitor, self._address(scope))
        whose = visitor or "nobody"
        # Such a link opens a page that gradio stored with what somebody had typed.
        if b"deep_link" in unquote_to_bytes(scope["query_string"]):
            await _refuse(scope, receive, send)
        elif reading and path in front_page.PATHS and not self._events.needs_password():
            await self._front.answer(scope, receive, send)
        elif _OPEN.fullmatch(path) and (reading or path.startswith("/log")):
            await self.app(scope, receive, send)
        elif _EVENT.fullmatch(path) and scope["method"] == "POST":
            await self._event(scope, receive, send, whose)
        elif path == f"{_API}/cancel" and scope["method"] == "POST":
            await self._cancel(scope, receive, send, whose)
        elif reading and path == f"{_API}/queue/data":
            renamed, session = _renamed(scope, whose)
            # Of another session, gradio would log an error with the whole stack.
            await (
                self.app(renamed, receive, send)
                if self._events.knows(session)
                else _refuse(scope, receive, send)
            )
        elif reading and path == f"{_API}/upload_progress":
            await self.app(_renamed(scope, whose)[0], receive, send)
        elif reading and path.startswith(f"{_API}/heartbeat/"):
            scope["path"] = joined(path, whose)
            scope["raw_path"] = scope["path"].encode()
            await self.app(scope, receive, send)
        elif path == f"{_API}/upload" and scope["method"] == "POST" and visitor:
            await self._upload(_renamed(scope, whose)[0], receive, send, visitor)
        elif (
            reading
            and visitor
            and path.startswith(_FILE)
            and self._files.may_read(visitor, path.removeprefix(_FILE))
        ):
            await self.app(scope, receive, send)
        else:
            await _refuse(scope, receive, send)

    def _address(self, scope: Scope) -> str:
        """Of the subscriber who asks; on a Space, which has a proxy before the page, of
        the last one that it names.
        """
        forwarded = (
            Headers(scope=scope).getlist("x-forwarded-for") if self._https else []
        )
        return subscriber(
            ",".join(forwarded).rpartition(",")[2].strip()
            or str((scope.get("client") or ("",))[0])
        )

    async def _has_a_turn(self, address: str) -> bool:
        """Has newcomers wait a moment where many come from one address at once, and
        refuses those who would wait for long: one client may pretend to be thousands.
        An address that is unknown, or of a local network, may be that of a proxy with
        many people behind it: they only wait.
        """
        wait = self._newcomers.wait(address, most=_LONGEST_WAIT)
        has_one = wait <= _LONGEST_WAIT or not is_public(address)
        if has_one:
            await sleep(min(wait, _LONGEST_WAIT))
        return has_one

    def _welcome(self, why_none: str, send: Send) -> Send:
        """Gives a browser that has no valid key a new one, as the page is loaded."""
        key = self._visitors.new_key()
        new = self._visitors.of_key(key)
        assert new is not None  # the key was made just now
        self._turns[new] = (
            monotonic() - _AS_NEW
        )  # else whoever takes a new key each time would always be the next
        if why_none == "restarted":
            self._visitors.note_loss(new, "restarted")
        cookie = new_cookie(key, self._https)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        return sending

    # Events

    async def _event(
        self, scope: Scope, receive: Receive, send: Send, whose: str
    ) -> None:
        # Of all pages of this visitor together, what is on its way, waits or is being
        # answered.
        queued = sum(
            session.endswith(joined("", whose)) for session in self._events.sessions()
        )
        if self._passing[whose] + queued >= _MOST_EVENTS:
            self._events.forget_unread(
                whose
            )  # so that the next event passes where only those are too many
            await _refuse(scope, receive, send, "You have too many requests open.", 429)
            return
        self._passing[whose] += 1
        try:
            length, is_pulse = body_length(scope), scope["path"] == pulse.PATH
            most = _LONGEST_TEXT if scope[VISITOR] and not is_pulse else _NOBODYS_EVENT
            await sleep(self._turns.wait(whose, 1 + min(length, most) / _LONGEST_EVENT))
            if length > most:
                await _refuse(
                    scope, receive, send, "This text is too long for this demo.", 413
                )
            elif length > _LONGEST_EVENT and self._large.wait(whose, length, most=0.0):
                await _refuse(scope, receive, send, _TOO_MUCH, 429)
            else:
                content = await _body(receive, length) or b""
                async with self._in_line(whose, _ASIDE if is_pulse else 0.0):
                    check = partial(self._checked, content, whose, is_pulse)
                    # Of a short one, a thread would take longer.
                    checked = (
                        check()
                        if length <= _NOBODYS_EVENT
                        else await run_in_threadpool(check)
                    )
                    if checked:
                        await self._pass_on(scope, receive, send, checked)
                if not checked:
                    await _refuse(scope, receive, send)
        finally:
            self._passing -= Counter([whose])  # drops those at zero

    @asynccontextmanager
    async def _in_line(self, whose: str, aside: float) -> AsyncIterator[None]:
        """Waits until gradio has few new events to process, of this visitor at most
        one, and nobody waits who asked for less lately: its queues don't tell visitors
        apart, and many threads leave too few of Python's turns to the one that takes
        requests. aside: seconds for which later ones go first.
        """
        place = self._turns.get(whose, 0.0) + aside, next(self._numbers), whose, Event()
        insort(self._line, place)
        try:
            while (following := self._following()) is not place:
                if self._line[0] is not place:  # the first one looks for all
                    place[3].clear()
                    await place[3].wait()
                else:
                    if following:
                        following[3].set()
                    await sleep(_LOOK)
        finally:
            self._line.remove(place)
            if self._line:
                self._line[0][3].set()
        begun = whose, monotonic()
        self._entering.append(begun)
        try:
            yield
        finally:
            self._entering.remove(begun)

    def _following(self) -> _Place | None:
        """Whose turn it is."""
        lately = monotonic() - _BRIEF
        begun = self._events.begun()
        at_work = Counter(
            whose for whose, at in (*self._entering, *begun) if at > lately
        )
        if at_work.total() >= _AT_WORK:
            return None
        unanswered = Counter(whose for whose, _ in begun)
        may_enter = (
            at
            for at in self._line
            if at_work[at[2]] < _OF_ONE and unanswered[at[2]] < _UNANSWERED
        )
        return next(may_enter, None)

    def _checked(self, content: bytes, whose: str, is_pulse: bool) -> bytes | None:
        """The event to pass on; None for one that is refused. For a long one it is
        called in a thread.
        """
        body = _parsed(content) or {}
        if is_pulse:
            return content if body else None
        is_event = all(
            isinstance(body.get(name), kind) for name, kind in _EVENT_TYPES.items()
        )
        is_ours = is_event and self._events.takes(body["fn_index"], len(body["data"]))
        if not is_ours or not self._files.may_name(whose, body):
            return None
        event = {
            name: body[name] for name in (*_EVENT_TYPES, "event_data") if name in body
        }
        return json.dumps(
            {**event, "session_hash": joined(body["session_hash"], whose)}
        ).encode()

    async def _cancel(
        self, scope: Scope, receive: Receive, send: Send, whose: str
    ) -> None:
        body = _parsed(await _body(receive, _NOBODYS_EVENT) or b"") or {}
        session, event = (
            joined(str(body.get("session_hash")), whose),
            str(body.get("event_id")),
        )
        checked = (
            json.dumps({**body, "session_hash": session}).encode()
            if self._events.has(session, event)
            else None
        )
        await (
            self._pass_on(scope, receive, send, checked)
            if checked
            else _refuse(scope, receive, send)
        )

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, content: bytes
    ) -> None:
        """Passes this body on instead of the original, so that gradio reads exactly
        what was checked.
        """
        ours = {
            b"content-length": str(len(content)).encode(),
            b"content-type": b"application/json",
        }
        headers = [
            *((name, value) for name, value in scope["headers"] if name not in ours),
            *ours.items(),
        ]
        checked = iter([{"type": "http.request", "body": content, "more_body": False}])

        async def receiving() -> Message:
            return next(checked, None) or await receive()

        await self.app({**scope, "headers": headers}, receiving, send)

    # Files

    def _make_room(self, visitor: str, coming: float) -> None:
        """Deletes the oldest uploads, first of this visitor and then of all, until
        there is room for so many MiB: a file is read as soon as it has arrived.
        """
        with self._making_room:
            for path in self._files.oldest_over(
                visitor, self._limits.visitor_uploads - coming
            ):
                Path(path).unlink(missing_ok=True)
            if disk_mib(self._uploads) + coming > self._limits.uploads:
                files = sorted(
                    filter(Path.is_file, self._uploads.rglob("*")),
                    key=lambda path: path.stat().st_mtime,
                )
                for file in files[: len(files) // 2 + 1]:
                    file.unlink(missing_ok=True)

    async def _upload(
        self, scope: Scope, receive: Receive, send: Send, visitor: str
    ) -> None:
        if (length := body_length(scope)) > self._limits.upload * MIB + _FORM:
            await _refuse(scope, receive, send, "This is too large for this demo.", 413)
            return
        if self._large.wait(visitor, length + _FORM, most=0.0):
            await _refuse(scope, receive, send, _TOO_MUCH, 429)
            return
        status, answer = 0, b""

        async def sending(message: Message) -> None:
            nonlocal status, answer
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                answer += message.get("body", b"")
                if status == 200 and not message.get("more_body"):
                    paths = json.loads(answer)
                    self._files.note_uploads(visitor, paths)
                    self._large.wait(visitor, (len(paths) - 1) * _FORM)
            await send(message)

        await run_in_threadpool(self._make_room, visitor, length / MIB)
        await self.app(scope, receive, sending)


async def _refuse(
    scope: Scope, receive: Receive, send: Send, why: str = _NOTHING, status: int = 404
) -> None:
    await sleep(_PAUSE)
    headers = {**ending(scope), **({"Refresh": _RETRY_AFTER} if status == 429 else {})}
    await PlainTextResponse(why, status, headers)(scope, receive, send)


def _renamed(scope: Scope, visitor: str) -> tuple[Scope, str]:
    """The request with its session, or the name of its upload, joined to the visitor;
    and that name.
    """
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    ours = ("session_hash", "upload_id")
    pairs = [
        (name, joined(text, visitor) if name in ours else text) for name, text in pairs
    ]
    named = dict(pairs).get("session_hash", "")
    return {**scope, "query_string": urlencode(pairs).encode()}, named


async def _body(receive: Receive, most: float) -> bytes | None:
    """A request's body; None if it has more than `most` bytes, or takes too long to
    come.
    """
    content = bytearray()
    with suppress(TimeoutError):
        async with timeout(_SLOWEST):
            while len(content) <= most:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                content += message.get("body", b"")
                if not message.get("more_body") and len(content) <= most:
                    return bytes(content)
    return None


def _parsed(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else, and for more values or deeper ones than
    the page sends. They are counted before it is parsed: a list takes twenty times as
    much memory as its two brackets.
    """
    most = _VALUES_IN_TEXT if len(content) > _LONGEST_EVENT else _VALUES
    bare = content.replace(rb"\\", b"").replace(
        rb"\"", b""
    )  # every quote now begins or ends a text
    if bare.count(b'"') > 4 * most:
        return None
    bare = b"".join(bare.split(b'"')[::2])
    steps = (
        1 if bracket in b"[{" else -1 for bracket in bare.translate(None, _NO_BRACKETS)
    )
    if (
        sum(map(bare.count, (b"[", b"{", b","))) > most
        or max(accumulate(steps, initial=0)) > _DEPTH
    ):
        return None
    try:
        body = json.loads(
            content.decode()
        )  # not in UTF-16, whose quotes are counted wrongly
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
