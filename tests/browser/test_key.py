"""The page that only its owner opens, in a browser: whatever they do, it opens without
asking; a page of another account, at another port, gets nothing with the cookie.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from backend.settings import Workspace
from tests.browser.conftest import app_page, forget, free_port
from tests.browser.steps import another, go
from tests.linked_model import link_model
from tests.measured_speed import store_speed

pytestmark = pytest.mark.browser
ROWS = "question,answer\n" + "".join(
    f"What costs number {number}?,{number} euros\n" for number in range(30)
)


@pytest.fixture
def workspace(bundled_model: Path, tmp_path: Path) -> Workspace:
    made = Workspace.open(tmp_path / "workspace")
    link_model(bundled_model, made)
    store_speed(made)
    return made


@pytest.fixture
def owner(chromium: Any) -> Iterator[Any]:
    """A browser that was never here."""
    context = chromium.new_context(accept_downloads=True)
    context.set_default_timeout(60_000)
    yield context
    context.close()


@contextmanager
def hostile_page() -> Iterator[tuple[str, list[str]]]:
    """A server of another account: its address, and the cookies that it was sent. Its
    page loads itself again, as then the browser takes it for the same site.
    """
    stolen: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookie = self.headers.get("cookie", "")
            stolen.append(cookie)
            again = "" if cookie else "<script>location.reload()</script>"
            body = f"<p>{'thanks' if cookie else 'wait'}</p>{again}".encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", stolen
    server.shutdown()
    server.server_close()


def works(page: Any) -> None:
    """Gradio's events are answered, and so is the pulse."""
    page.wait_for_selector("#rail [role=tab]")
    for tab in ("runs", "data"):
        go(page, tab)
    with page.expect_response("**/pulse") as answer:
        pass
    assert answer.value.status == 200


def test_the_owner_is_never_asked_and_the_cookie_is_nothing_elsewhere(
    workspace: Workspace, owner: Any
) -> None:
    file, port = workspace.exports / "a b" / "model.zip", free_port()
    file.parent.mkdir(parents=True)
    file.write_bytes(b"what it learned")
    page = owner.new_page()
    with app_page(workspace, port) as address, hostile_page() as (hostile, stolen):
        url = address.partition("/?")[0]
        page.goto(address)
        works(page)
        assert "key" not in page.url
        page.set_input_files(
            "#upload input[type=file]",
            {"name": "a.csv", "mimeType": "text/csv", "buffer": ROWS.encode()},
        )
        page.locator("#to-train").wait_for()
        link = f"/gradio_api/file={quote(str(file))}"
        page.evaluate(
            "(link) => document.body.insertAdjacentHTML('afterbegin', `<a id=it href='${link}' download>it</a>`)",
            link,
        )
        with page.expect_download() as download:
            page.click("#it")
        assert download.value.path().read_bytes() == b"what it learned"
        page.reload()
        works(page)
        works(another(page, url))  # a second tab, a bookmark

        page.evaluate("(hostile) => location.assign(hostile)", hostile)
        page.get_by_text("thanks").wait_for()
        cookie = stolen[-1]
        assert f"apprentice-{port}=" in cookie
        assert page.evaluate("localStorage.length") == 0
        headers = {"cookie": cookie, "origin": url}
        with httpx.Client(base_url=url, headers=headers) as thief:
            refused = [
                thief.get(path).status_code
                for path in ("/config", link, "/gradio_api/info")
            ]
            event = {"data": [], "fn_index": 0, "session_hash": "x"}
            for path in ("/gradio_api/queue/join", "/gradio_api/upload", "/pulse"):
                refused.append(thief.post(path, json=event).status_code)
            assert set(refused) == {401}
        asked = page.evaluate(
            "(url) => fetch(url + '/config', { credentials: 'include' }).then((answer) => answer.status, () => 403)",
            url,
        )
        assert asked == 403
        page.goto("about:blank")
        page.goto(f"{url}/#runs")

    with app_page(workspace, port):  # the program was started anew
        with httpx.Client(base_url=url, headers=headers) as thief:
            assert thief.get("/").status_code == 401
        opened = another(page, url)  # whose cookie is of the first start
        works(opened)
        assert opened.url.startswith(f"{url}/#")
        owner.clear_cookies()
        page.reload()
        works(page)
    forget(owner, {url})
