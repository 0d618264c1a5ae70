"""Only the owner opens the page: whoever else has an account on this computer can reach
its port too.

A random key lies in the workspace, which only the owner can read. The address that
opens the browser carries it, or a ticket made from it that works once. It opens a
session, of which the browser gets two halves:

    a cookie    a random id that ends with the program. Cookies know no ports: a server
                of another account, at another port of this computer, receives it when
                the owner follows a link there. Alone it shows the page as it is drawn
                for everybody, and gradio's own files.
    a word      made from the key, for this port only. It is stored where pages of other
                ports can't read it, and static/js/key.js sends it with every request;
                in the address of a file, another word takes its place. Alone it opens a
                new session, once the program was started anew.
"""

import hashlib
import hmac
import re
import secrets
import time
from contextlib import suppress
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.files.atomic import write_text
from backend.settings import PROGRAM, Workspace
from ui.web.guard import SAFE_METHODS, cookie

PARAMETER = "key"
_TICKET = 120.0  # seconds for which a ticket can be used
_SESSION = 30 * 24 * 3600  # seconds
_HEADER = "x-apprentice-key"
_OF_GRADIO = "/gradio_api/startup-events"  # which gradio itself requests as it starts
_FILE = "/gradio_api/file="
# What browsers request without a header: the same in every workspace.
_DRAWN = re.compile(r"/|/theme\.css|/favicon\.ico|/(assets|static|svelte)/.*")
_SIGNED_IN = """<!doctype html><meta charset="utf-8"><title>Apprentice</title><script>
try {{
  localStorage.setItem("apprentice-key", JSON.stringify({{ page: "{}", files: "{}" }}));
  location.replace("/" + location.hash);
}} catch {{ document.write("Allow this page to store data in this browser, then start Apprentice once more."); }}
</script>"""
_HOW_TO_OPEN = Markup("""<!doctype html><meta charset="utf-8"><title>Apprentice</title>
<style>body {{ font: 1.1em/1.5 system-ui, sans-serif; max-width: 34em; margin: 15vh auto; padding: 0 1em }}</style>
<script>
// A browser that was let in before is let in again; "?open" says that this was tried.
const key = JSON.parse(localStorage.getItem("apprentice-key"));
if (key && location.search !== "?open") fetch("/", {{ headers: {{ "x-apprentice-key": key.page }} }})
  .then((answer) => answer.ok && location.replace("/?open" + location.hash));
</script>
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
    return f"{text}-{_signed(f'ticket {text}', key)}"


def _signed(text: str, key: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


class OwnersOnly:
    """ASGI middleware that lets in the browsers that have a session."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app, self._key = app, key
        self._used: set[str] = set()
        self._sessions: dict[str, float] = {}  # by the cookie, the time of their end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":  # the page has none
            await send({"type": "websocket.close", "code": 1008})
        elif self._may_pass(scope):
            await self.app(scope, receive, send)
        else:
            await self._answer(scope)(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        reads = scope["method"] in SAFE_METHODS
        if reads and scope["path"] == _OF_GRADIO:
            return True
        if time.time() > self._sessions.get(cookie(scope, _name(scope)), 0.0):
            return False
        if reads and _DRAWN.fullmatch(scope["path"]) and _given(scope) is None:
            return True
        if (
            reads
            and scope["path"].startswith(_FILE)
            and _same(_given(scope) or "", self._word(scope, "files"))
        ):
            return True
        return self._has_word(scope)

    def _answer(self, scope: Scope) -> Response:
        unseen = {"cache-control": "no-store"}
        closed = {**unseen, "www-authenticate": "Apprentice"}
        if scope["path"] != "/" or scope["method"] not in SAFE_METHODS:
            return PlainTextResponse(
                "Open the page with Apprentice first.", 401, closed
            )
        answer: Response
        if self._has_word(scope):
            answer = Response(None, 204, unseen)
        elif self._lets_in(_given(scope) or ""):
            # No redirect: after a link from elsewhere, browsers would send no SameSite
            # cookie with it.
            words = (self._word(scope, "page"), self._word(scope, "files"))
            answer = HTMLResponse(_SIGNED_IN.format(*words), 200, unseen)
        else:
            return HTMLResponse(_HOW_TO_OPEN, 401, closed)
        opened = secrets.token_urlsafe(32)
        self._sessions[opened] = time.time() + _SESSION
        answer.set_cookie(
            _name(scope), opened, _SESSION, httponly=True, samesite="strict"
        )
        return answer

    def _has_word(self, scope: Scope) -> bool:
        sent = Headers(scope=scope).get(_HEADER, "")
        return _same(sent, self._word(scope, "page"))

    def _word(self, scope: Scope, use: str) -> str:
        return _signed(f"{use} {_port(scope)}", self._key)

    def _lets_in(self, given: str) -> bool:
        if _same(given, self._key):
            return True
        text, _, signature = given.rpartition("-")
        until = text.partition("-")[0]
        if (
            not _same(signature, _signed(f"ticket {text}", self._key))
            or time.time() > float(until)
            or given in self._used
        ):
            return False
        self._used.add(given)
        return True


def _given(scope: Scope) -> str | None:
    """The key in a request's address."""
    sent = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return sent[PARAMETER][0] if PARAMETER in sent else None


def _port(scope: Scope) -> int:
    return int((scope.get("server") or ("", 0))[1])


def _name(scope: Scope) -> str:
    """Cookies belong to a host and not to its port, and several pages may be open."""
    return f"apprentice-{_port(scope)}"


def _same(sent: str, ours: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "replace"), ours.encode())
