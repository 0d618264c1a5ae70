"""The picture of the page in the README: what it must show, and how it is made anew.

APPRENTICE_PICTURE=1 ./start.sh test tests/browser/test_picture.py      rewrites static/page.png
"""

import os
from collections.abc import Callable
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT
from tests.browser.steps import painted, start_training, take_sample

pytestmark = pytest.mark.browser

PICTURE = PROJECT_ROOT / "static" / "page.png"
SIZE = (1180, 930)


def test_the_picture_shows_answers_while_a_model_is_trained(open_page: Callable[..., Any], newcomers_page: str) -> None:
    page = open_page(newcomers_page, *SIZE)
    take_sample(page)
    start_training(page)
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
    assert f"({PICTURE.relative_to(PROJECT_ROOT).as_posix()})" in (PROJECT_ROOT / "README.md").read_text("utf-8")
