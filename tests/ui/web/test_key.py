"""Only a browser with the owner's cookie gets the page; a key or a ticket in the
address brings the cookie.
"""

from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.testclient import TestClient

from backend.settings import Workspace
from ui.web import key

KEY = "k" * 43


def page(address: str = "http://127.0.0.1:7860") -> TestClient:
    """A browser on this computer at a page whose key is KEY."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"page {Request(scope).url.path}")(scope, receive, send)

    app = Starlette(
        routes=[Mount("/", answer)], middleware=[Middleware(key.OwnersOnly, key=KEY)]
    )
    return TestClient(app, base_url=address)


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
)
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/gradio_api/queue/join",
        "/gradio_api/startup-events/x",
        "/?key=" + "x" * 43,
    ],
)
def test_without_the_cookie_nothing_is_answered(method: str, path: str) -> None:
    assert page().request(method, path).status_code == 401


def test_only_the_key_in_the_address_opens_the_page() -> None:
    assert page().get("/gradio_api/startup-events").status_code == 200
    assert page().post("/gradio_api/startup-events").status_code == 401
    refused = page().get("/")
    assert "Start Apprentice" in refused.text
    assert refused.headers["cache-control"] == "no-store"
    browser = page()
    first = browser.get("/", params={"key": KEY})
    cookie = SimpleCookie(first.headers["set-cookie"])["apprentice-7860"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "strict")
    assert KEY not in first.text
    foreign = {"cookie": f"left(by another program=1; apprentice-7860={KEY}"}
    assert page().get("/", headers=foreign).text == "page /"
    for _ in range(2):  # a reload, a bookmark or a second tab
        assert browser.get("/").text == "page /"
    assert browser.post("/gradio_api/queue/join").text == "page /gradio_api/queue/join"


def test_a_ticket_works_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    word = key.ticket(KEY)
    app = page()
    assert app.get("/", params={"key": word}).status_code == 200
    app.cookies.clear()
    assert app.get("/", params={"key": word}).status_code == 401
    late = key.ticket(KEY)
    monkeypatch.setattr(
        key.time, "time", lambda clock=key.time.time: clock() + 2 * key._TICKET
    )
    assert app.get("/", params={"key": late}).status_code == 401


WORDS = [
    "",
    "-",
    "9999999999-00-" + "0" * 64,
    key.ticket("another"),
    "ü",
    "\ud83d",
    KEY[:-1],
]


@pytest.mark.parametrize(
    "word", WORDS, ids=range(len(WORDS))
)  # the ticket differs in each process
def test_nothing_else_lets_in(word: str) -> None:
    browser = page()
    assert (
        browser.get(
            "/", params={"key": word.encode("utf-8", "surrogatepass").decode("latin-1")}
        ).status_code
        == 401
    )
    browser.cookies.set("apprentice-7860", word.encode("ascii", "replace").decode())
    assert browser.get("/").status_code == 401


def test_pages_on_two_ports_keep_their_cookies_apart() -> None:
    first, second = page(), page("http://127.0.0.1:7861")
    first.get("/", params={"key": KEY})
    names = {cookie.name for cookie in first.cookies.jar}
    second.get("/", params={"key": KEY})
    assert names.isdisjoint(cookie.name for cookie in second.cookies.jar)


def test_a_workspace_keeps_its_key_which_only_its_owner_reads(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    made = key.of(workspace)
    assert len(made) > 40
    assert (
        key.of(workspace),
        (workspace.root / "page.key").stat().st_mode & 0o077,
    ) == (made, 0)
