"""An open page costs next to nothing while nothing runs, and its words are English in
any browser.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import PATIENCE
from tests.browser.steps import go

pytestmark = pytest.mark.browser
Opens = Callable[..., Any]
COUNTS_FRAMES = """
window.drawn = 0;
const draw = window.requestAnimationFrame;
window.requestAnimationFrame = (callback) => { window.drawn += 1; return draw(callback); };
"""


def test_an_idle_page_asks_once_in_five_seconds_and_a_hidden_one_never(
    open_page: Opens, newcomers_page: str
) -> None:
    page, asked = open_page(newcomers_page), []
    page.clock.install()
    page.reload()
    page.wait_for_selector("#tab-start .first")
    page.on("request", lambda request: asked.append(request.url))
    for times in (6, 4):
        asked.clear()
        for _ in range(times):
            page.clock.run_for(5_000)
            page.wait_for_timeout(500)  # for what has been asked to be answered
    assert 3 <= len(asked) <= 5
    assert {url.rpartition("/")[2] for url in asked} == {"pulse"}
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == []


def test_nothing_is_drawn_while_nothing_changes_and_all_is_english(
    open_page: Opens, newcomers_page: str
) -> None:
    page = open_page(newcomers_page, script=COUNTS_FRAMES, locale="de-DE")
    go(page, "data")
    page.get_by_text("Drop File Here").wait_for()  # gradio's words too
    assert page.locator("html").get_attribute("lang") == "en"
    go(page, "train")
    last, drawn, until = -1, 0, time.monotonic() + PATIENCE / 1000
    while drawn != last:  # until a second passes without a frame
        assert time.monotonic() < until, "it goes on being drawn"
        last = page.evaluate("window.drawn")
        page.wait_for_timeout(1000)
        drawn = page.evaluate("window.drawn")
    assert "processing" not in page.locator("body").inner_text()
