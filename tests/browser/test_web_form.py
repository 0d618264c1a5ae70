"""The web form that Share offers for an endpoint, as a file in a browser."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from backend.export import snippets
from backend.serving.answers import ChatAnswers
from backend.serving.endpoint import Endpoint
from backend.serving.job import listen
from backend.serving.requests import Abilities
from backend.serving.state import key_hash
from tests.backend.serving.test_endpoint import FakeChat

pytestmark = pytest.mark.browser
KEY = "sk-form"


@pytest.fixture
def served() -> Iterator[tuple[str, FakeChat]]:
    chat = FakeChat()
    answers = ChatAnswers(chat, "tuned")  # type: ignore[arg-type]
    endpoint = Endpoint(answers, 1, Abilities("orders", whole=False), key_hash(KEY))
    server = uvicorn.Server(
        uvicorn.Config(endpoint.app, log_config=None, lifespan="off")
    )
    with listen("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1", chat
        server.should_exit = True
        thread.join(20)


@pytest.mark.parametrize(
    ("key", "shown"), [(KEY, "You asked: Wo ist <b>4711</b>?"), ("wrong", "key")]
)
def test_the_form_shows_the_answer(
    chromium: Any, tmp_path: Path, served: Any, key: str, shown: str
) -> None:
    url, chat = served
    file, chat.words = tmp_path / "ask.html", ["You asked: ", "Wo ist <b>4711</b>?"]
    file.write_text(snippets.as_web_form(url, key, "orders"), "utf-8")
    page = chromium.new_page()
    try:
        page.goto(file.as_uri())
        page.fill("textarea", "Wo ist <b>4711</b>?")
        page.click("button")
        page.locator("pre", has_text=shown).wait_for(timeout=20_000)
    finally:
        page.close()
    assert [messages[-1]["content"] for messages, *_ in chat.asked] == [
        "Wo ist <b>4711</b>?"
    ] * (key == KEY)
