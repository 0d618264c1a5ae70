"""More pages than a browser keeps connections to one address (six): each of them opens and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.test_look import go, take_sample

pytestmark = pytest.mark.browser


def test_eight_pages_of_one_browser_all_answer(open_page: Callable[..., Any], drawn_page: str) -> None:
    first = open_page(drawn_page)
    take_sample(first)
    pages = [first, *(first.context.new_page() for _ in range(7))]
    for page in pages[1:]:
        page.goto(drawn_page)
        page.wait_for_selector("#rail [role=tab]")
    for page in reversed(pages):
        go(page, "train")
        page.wait_for_selector("#start-training:not([disabled])")
    pages[-1].click("#start-training")
    pages[-1].wait_for_selector("svg.curve .line.held")
    go(first, "runs")
    first.wait_for_selector("#run-list table")
