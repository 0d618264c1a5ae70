"""Who is told whether a tab has changed, and what is asked."""

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from ui.web.pulse import PATH, Pulse

ASKED = {"session_hash": "pulse", "data": [{"run_id": "run-a"}, "train"]}


@pytest.fixture
def page() -> Starlette:
    """Stands for gradio's app, whose tab was named by its signature."""
    app: Any = Starlette(middleware=[Middleware(Pulse)])
    app.auth, app.tokens, app.cookie_id = None, {"right": "apprentice"}, "c"
    blocks = SimpleNamespace(signature_of=lambda tab, choice: f"{tab} {choice['run_id']}")
    app.get_blocks = lambda: blocks
    return app  # type: ignore[no-any-return]


def test_the_signature_of_the_open_tab_is_the_answer(page: Starlette) -> None:
    assert TestClient(page).post(PATH, json=ASKED).text == "train run-a"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": [{}]}', b'{"data": [{}, 1]}', b"[" * 200_000, b" " * 300_000])
def test_what_no_page_sends_is_refused(page: Starlette, body: bytes) -> None:
    assert TestClient(page).post(PATH, content=body).status_code == 400


def test_with_a_password_only_who_signed_in_is_told(page: Any) -> None:
    page.auth = {"apprentice": "secret"}
    for token, status in (("", 401), ("wrong", 401), ("right", 200)):
        browser = TestClient(page, cookies={"access-token-unsecure-c": token})
        assert browser.post(PATH, json=ASKED).status_code == status
