"""Tells a browser whether its open tab has changed (static/js/pulse.js). Every open page asks every few seconds, and on
the way through gradio the question would cost as much as its answer."""

from gradio import route_utils
from gradio.context import LocalContext
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.web.errors import Blocks
from ui.web.event_body import LONGEST_EVENT, parsed, read_body
from ui.web.guard import cookie

PATH = "/pulse"


class Pulse:
    """ASGI middleware, after all that decide who may ask. With a password, it lets in whom gradio has let in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self.app(scope, receive, send)
            return
        page = scope["app"]  # gradio's
        if page.auth is not None and cookie(scope, f"access-token-unsecure-{page.cookie_id}") not in page.tokens:
            await PlainTextResponse("Sign in first.", 401)(scope, receive, send)
            return
        content = await read_body(receive, LONGEST_EVENT)
        LocalContext.request.set(route_utils.Request(Request(scope)))  # by which a demo knows its visitor
        answer = await run_in_threadpool(_answer, page.get_blocks(), content or b"")
        await answer(scope, receive, send)


def _answer(page: Blocks, content: bytes) -> PlainTextResponse:
    match (parsed(content) or {}).get("data"):
        case [choice, str(tab)]:
            return PlainTextResponse(page.signature_of(tab, choice))
    return PlainTextResponse("A page sends its choice and its open tab.", 400)
