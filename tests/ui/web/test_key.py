"""Only a browser with both halves of a session gets the page; a key or a ticket in the
address brings them.
"""

import json
import random
import re
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, cast

import pytest
from httpx import Response
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.testclient import TestClient

from backend.settings import Workspace
from tests.ui.conftest import in_loop
from tests.ui.made_up_app import MadeUpApp
from ui.web import key
from ui.web.page import build

KEY = "k" * 43


def page(address: str = "http://127.0.0.1:7860", master: str = KEY) -> TestClient:
    """A browser on this computer at a page with this key."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"page {Request(scope).url.path}")(scope, receive, send)

    app = Starlette(
        routes=[Mount("/", answer)], middleware=[Middleware(key.OwnersOnly, key=master)]
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


DATA = "/gradio_api/queue/join"
FILE = "/gradio_api/file=/exports/a/model.zip"


def words(answer: Response) -> dict[str, str]:
    """What a browser stores of the page that lets it in."""
    return dict(re.findall(r'(page|files): "(\w+)"', answer.text))


def enter(browser: TestClient) -> dict[str, str]:
    """Opens the page with its key; the words that the browser stores."""
    return words(browser.get("/", params={"key": KEY}))


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
    assert KEY not in cookie.value
    browser.headers["x-apprentice-key"] = words(first)["page"]
    browser.headers["cookie"] = f"left(by another program=1; {cookie.OutputString()}"
    for _ in range(2):  # a reload, a bookmark or a second tab
        assert browser.get("/").text == "page /"
    assert browser.post(DATA).text == f"page {DATA}"
    assert browser.get(FILE, params={"key": words(first)["files"]}).status_code == 200


def test_a_cookie_alone_shows_what_is_the_same_for_everybody() -> None:
    browser = page()
    sent = enter(browser)
    shown = ["/", "/?open", "/theme.css", "/assets/a.js", "/static/b.css"]
    assert {browser.get(path).status_code for path in shown} == {200}
    closed = ["/config", DATA, FILE, "/gradio_api/info", "/?key=", "/assets/../config"]
    assert {browser.get(path).status_code for path in closed} == {401}
    assert {browser.post(path).status_code for path in shown} == {401}
    # The word for files, which downloads show, opens files only.
    as_page = {"x-apprentice-key": sent["files"]}
    assert browser.get("/config", headers=as_page).status_code == 401
    assert browser.get("/config", params={"key": sent["files"]}).status_code == 401


def test_the_page_is_drawn_without_anything_of_its_owner(app: MadeUpApp) -> None:
    """What a cookie alone shows."""
    page = in_loop(lambda: build(cast(Any, app)))
    drawn = json.dumps(page.blocks.get_config_file(), default=str)
    root = app.workspace.root
    theirs = {job.id for job in app.runner.jobs()}
    theirs |= {folder.name for folder in root.glob("datasets/*")}
    theirs |= {job.name for job in app.runs.jobs()} - {""}
    assert len(theirs) > 4
    assert not [word for word in {str(root), *theirs} if word in drawn]


def test_an_earlier_session_is_opened_anew_by_the_stored_word_only() -> None:
    before = page()
    stored = {"x-apprentice-key": enter(before)["page"]}
    after = page()  # the program was started anew
    after.cookies = before.cookies
    assert after.get("/").status_code == 401
    assert after.post(DATA, headers=stored).status_code == 401
    assert after.get("/", headers=stored).status_code == 204
    assert after.post(DATA, headers=stored).status_code == 200
    assert before.post(DATA, headers=stored).status_code == 200


def test_a_session_ends_after_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = page()
    browser.headers["x-apprentice-key"] = enter(browser)["page"]
    assert browser.post(DATA).status_code == 200
    now = key.time.time()
    monkeypatch.setattr(key.time, "time", lambda: now + 31 * 24 * 3600)
    browser.headers["cookie"] = "; ".join(
        f"{k}={v}" for k, v in browser.cookies.items()
    )
    assert browser.post(DATA).status_code == 401


@pytest.mark.parametrize(
    "tries", [500, pytest.param(5000, marks=pytest.mark.slow)], ids=str
)
def test_no_other_combination_lets_in(tries: int) -> None:
    """Sessions that are stolen, of an earlier start, of another port or workspace, or
    half ones: nobody gets anything of the owner's.
    """
    chance = random.Random(56)
    ours = page()
    ours_words, cookie = enter(ours), ours.cookies["apprentice-7860"]
    ours.cookies.clear()
    earlier, other_port = page(), page("http://127.0.0.1:7861")
    foreign = page(master="f" * 43)
    enter(earlier)
    port_words, foreign_words = (
        enter(other_port),
        words(foreign.get("/", params={"key": "f" * 43})),
    )
    cookies = {
        "live": cookie, "none": "", "earlier": earlier.cookies["apprentice-7860"],
        "port": other_port.cookies["apprentice-7861"], "half": cookie[:20], "key": KEY,
        "word": ours_words["page"], "foreign": foreign.cookies["apprentice-7860"],
    }  # fmt: skip
    keys = {
        "live": ours_words["page"], "none": "", "files": ours_words["files"], "cookie": cookie,
        "port": port_words["page"], "foreign": foreign_words["page"], "key": KEY,
        "half": ours_words["page"][:32], "ticket": key.ticket("another"), "umlaut": "\xfc",
    }  # fmt: skip
    paths = [
        DATA,
        "/config",
        "/config/",
        FILE,
        "/pulse",
        "/gradio_api/upload",
    ]
    paths += [
        "/static%2f..%2fconfig",
        "/%2e/config",
        "/theme.css/x",
        "/gradio_api/info",
    ]
    let_in = []
    for _ in range(tries):
        sent, word, given = (
            chance.choice(list(kinds)) for kinds in (cookies, keys, keys)
        )
        path = chance.choice(paths)
        if sent == "live" and (word == "live" or (given == "files" and path == FILE)):
            continue  # the owner
        name = chance.choice(["apprentice-7860"] * 3 + ["apprentice-7861", "session"])
        headers = {
            "cookie": f"{name}={cookies[sent]}",
            "x-apprentice-key": keys[word].encode("latin-1"),
        }
        method = chance.choice(["GET", "HEAD", "POST", "PUT", "DELETE"])
        answer = ours.request(
            method, path, headers=headers, params={"key": keys[given]}
        )
        if answer.status_code != 401 or "set-cookie" in answer.headers:
            let_in.append((method, path, sent, word, given, answer.status_code))
    assert let_in == []


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
