"""Answers a page that asks whether its open tab has changed (static/js/pulse.js). Every
open page asks each few seconds, and an event of gradio's takes 1.8 times the processor
time (docs/performance.md).
"""

from collections.abc import Callable

from anyio import CapacityLimiter, to_thread
from gradio.context import LocalContext
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backend.records.units import KIB
from ui.web.guard import body_length, ending

PATH = "/pulse"
LONGEST = 16 * KIB  # bytes of a question
_AT_ONCE = 8  # threads, besides those of other requests


def route(signature: Callable[[object, object], str]) -> Route:
    """The one route of the pulse, for a page's server. It answers with the signature as
    JSON; 400, 401 or 413 where it refuses.

    signature: of a tab, for the choice and the name of the tab that a browser sent
    """
    limiter = CapacityLimiter(_AT_ONCE)

    async def answer(request: Request) -> Response:
        if not _may_see(request):
            return PlainTextResponse("Sign in first.", 401, ending(request.scope))
        if body_length(request.scope) > LONGEST:
            return PlainTextResponse("This is too long.", 413, ending(request.scope))
        try:
            sent = await request.json()
            choice, tab = sent["choice"], sent["tab"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return PlainTextResponse("The page does not ask like this.", 400)
        LocalContext.request.set(request)  # type: ignore[arg-type]  # by which a demo knows the visitor
        return JSONResponse(
            await to_thread.run_sync(signature, choice, tab, limiter=limiter)
        )

    return Route(PATH, answer, methods=["POST"])


def _may_see(request: Request) -> bool:
    """Whether the page has no password, or this browser has given it, as gradio's own
    routes look.
    """
    gradio = request.app
    tokens = (
        request.cookies.get(f"access-token-{kind}{gradio.cookie_id}")
        for kind in ("", "unsecure-")
    )
    return gradio.auth is None or any(token in gradio.tokens for token in tokens)
