"""The web form that Share offers for an endpoint, as a file in a browser."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from backend.export import snippets
from backend.records.chat import Chunk
from backend.serving.answers import ChatAnswers
from backend.serving.endpoint import Endpoint
from backend.serving.job import listen
from backend.serving.requests import Abilities
from backend.serving.state import key_hash

pytestmark = pytest.mark.browser
KEY = "sk-form"


class Echo:
    """Answers with the question."""

    def prompt_ids(self, messages: Any) -> list[int]:
        return [1]

    def ask(self, messages: Any, panes: Any, **sampling: Any) -> Iterator[Chunk]:
        yield Chunk("tuned", f"You asked: {messages[-1]['content']}", 1, 9.0)
        yield Chunk("tuned", "", 1, 9.0, "end")


@pytest.fixture
def url() -> Iterator[str]:
    answers = ChatAnswers(Echo(), "tuned")  # type: ignore[arg-type]
    endpoint = Endpoint(answers, 1, Abilities("orders", whole=False), key_hash(KEY))
    server = uvicorn.Server(uvicorn.Config(endpoint.app, log_config=None, lifespan="off"))
    with listen("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        server.should_exit = True
        thread.join(20)


@pytest.mark.parametrize(("key", "shown"), [(KEY, "You asked: Wo ist <b>4711</b>?"), ("wrong", "key")])
def test_the_form_shows_the_answer(chromium: Any, tmp_path: Path, url: str, key: str, shown: str) -> None:
    file = tmp_path / "ask.html"
    file.write_text(snippets.as_web_form(url, key, "orders"), "utf-8")
    page = chromium.new_page()
    try:
        page.goto(file.as_uri())
        page.fill("textarea", "Wo ist <b>4711</b>?")
        page.click("button")
        page.locator("pre", has_text=shown).wait_for(timeout=20_000)
    finally:
        page.close()
