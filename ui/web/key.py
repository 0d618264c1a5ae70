"""Only the owner opens the page: whoever else has an account on this computer can reach
its port too.

A random key lies in the workspace, which only the owner can read. The address that
opens the browser carries it, or a ticket made from it that works once, and the browser
gets a cookie for it. Every other request without the cookie is refused. (Jupyter does
it in this way.)
"""

import hashlib
import hmac
import secrets
import time
from contextlib import suppress
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.files.atomic import write_text
from backend.settings import PROGRAM, Workspace
from ui.web.guard import cookie

PARAMETER = "key"
_TICKET = 120.0  # seconds for which a ticket can be used
_COOKIE_AGE = 400 * 24 * 3600  # seconds; browsers keep none longer
_OF_GRADIO = "/gradio_api/startup-events"  # which gradio itself requests as it starts
_SIGNED_IN = '<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>Apprentice</title>'
_HOW_TO_OPEN = Markup("""<!doctype html><meta charset="utf-8"><title>Apprentice</title>
<style>body {{ font: 1.1em/1.5 system-ui, sans-serif; max-width: 34em; margin: 15vh auto; padding: 0 1em }}</style>
<h1>This page belongs to the person who started Apprentice</h1>
<p>This browser has not been let in yet. Start Apprentice once more (<code>{}</code>, or its icon): it opens
the page here. If it was started with <code>--no-browser</code>, use the address that it printed.</p>
<p><a href="/">Try again</a></p>
""").format(PROGRAM)


def of(workspace: Workspace) -> str:
    """The workspace's key, made at the first call and where it can't be read; on a full
    disk, one for this process.
    """
    path = workspace.root / "page.key"
    with suppress(OSError, ValueError):
        if key := path.read_text("ascii").strip():
            return key
    made = secrets.token_urlsafe(32)
    try:
        write_text(path, made)  # for its owner only
    except OSError:
        return made
    return path.read_text("ascii")


def ticket(key: str) -> str:
    """A word that lets one browser in, once and soon: other accounts can see the
    command that opens a browser.
    """
    text = f"{time.time() + _TICKET:.0f}-{secrets.token_hex(8)}"
    return f"{text}-{_signed(text, key)}"


def _signed(text: str, key: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


class OwnersOnly:
    """ASGI middleware that lets in who knows the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app, self._key = app, key
        self._used: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _same(
            cookie(scope, _name(scope)), self._key
        ):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == _OF_GRADIO and scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        else:
            await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> PlainTextResponse | HTMLResponse:
        unseen = {"cache-control": "no-store"}
        if scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                "Open the page with Apprentice first.", 401, unseen
            )
        given = parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER, [""])[
            0
        ]
        if not self._lets_in(given):
            return HTMLResponse(_HOW_TO_OPEN, 401, unseen)
        # No redirect: after a link from elsewhere, browsers would send no SameSite
        # cookie with it.
        answer = HTMLResponse(_SIGNED_IN, 200, unseen)
        answer.set_cookie(
            _name(scope), self._key, _COOKIE_AGE, httponly=True, samesite="strict"
        )
        return answer

    def _lets_in(self, given: str) -> bool:
        if _same(given, self._key):
            return True
        text, _, signature = given.rpartition("-")
        until = text.partition("-")[0]
        if (
            not _same(signature, _signed(text, self._key))
            or time.time() > float(until)
            or given in self._used
        ):
            return False
        self._used.add(given)
        return True


def _name(scope: Scope) -> str:
    """Cookies belong to a host and not to its port, and several pages may be open."""
    return f"apprentice-{(scope.get('server') or ('', 0))[1]}"


def _same(sent: str, ours: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "replace"), ours.encode())
