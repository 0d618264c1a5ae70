"""The way to the picture of the page in the README, by keyboard: what it must show, and
how it is made anew.

APPRENTICE_PICTURE=1 ./start.sh test tests/browser/test_picture.py      rewrites static/page.png
"""

import os
from collections.abc import Callable
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT
from tests.browser.steps import painted

pytestmark = pytest.mark.browser

PICTURE = PROJECT_ROOT / "static" / "page.png"
SIZE = (1180, 930)


@pytest.mark.slow
def test_the_keyboard_alone_leads_from_the_first_visit_to_the_answers_of_the_picture(
    open_page: Callable[..., Any], newcomers_page: str
) -> None:
    page = open_page(newcomers_page, *SIZE)

    def press(selector: str) -> None:
        """Goes on with Tab to what can be pressed by now."""
        page.locator(selector).first.wait_for()
        while not page.evaluate(
            "(selector) => document.activeElement.matches(selector)", selector
        ):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement !== document.body"), (
                f"{selector} was not reached"
            )
        page.keyboard.press("Enter")

    page.locator("#tab-start .begin:visible").wait_for()
    press("#tab-start .begin")
    page.wait_for_selector("#task input:focus")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(".choices label.selected:has-text('Pull data out of text')")
    press("#to-data:not([disabled])")
    press("[data-do=sample]")
    asks = "document.activeElement.closest('#decision') || document.activeElement.id === 'to-train'"
    while page.wait_for_function(asks) and not page.evaluate(
        "document.activeElement.id === 'to-train'"
    ):
        asked = page.locator("#decision").inner_text()
        page.keyboard.press("Enter")
        page.wait_for_function(
            "(asked) => document.querySelector('#decision')?.innerText !== asked",
            arg=asked,
        )
    press("#to-train")
    press("#start-training:not([disabled])")
    page.locator(".samples .history").first.wait_for()

    page.evaluate("window.scrollTo(0, 0)")
    painted(page)
    assert page.locator(".samples .history dd").last.bounding_box()["y"] < SIZE[1]
    picture = page.screenshot()
    if os.environ.get("APPRENTICE_PICTURE"):
        PICTURE.write_bytes(picture)
    assert picture.startswith(b"\x89PNG")
    page.click("#stop")  # the next test wants a page that is idle
    page.locator("#stop").wait_for(state="hidden")


def test_the_readme_shows_it() -> None:
    assert f"({PICTURE.relative_to(PROJECT_ROOT).as_posix()})" in (
        PROJECT_ROOT / "README.md"
    ).read_text("utf-8")
