"""A phone has fingers and no keys: what opens with a key or a second click opens with a
tap.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.steps import go

pytestmark = pytest.mark.browser

SAID = (
    "Where is my order number 77003, which I made last week?",
    "It is on its way and comes on Thursday, Jörg.",
)


def test_a_tap_opens_a_cell_of_the_table_and_the_next_one_too(
    open_page: Callable[..., Any], drawn_page: str
) -> None:
    page = open_page(drawn_page, width=390, height=800, has_touch=True, is_mobile=True)
    go(page, "data")
    page.get_by_role("tab", name="Type", exact=True).tap()
    for column, words in enumerate(SAID):
        page.get_by_test_id(f"cell-0-{column}").tap()
        page.wait_for_selector(f"[data-testid=cell-0-{column}] textarea:focus")
        page.keyboard.insert_text(words)
    page.get_by_test_id("cell-1-0").tap()
    page.wait_for_selector("[data-testid=cell-1-0] textarea:focus")
    shown = [
        page.get_by_test_id(f"cell-0-{column}").inner_text().strip()
        for column in (0, 1)
    ]
    assert tuple(shown) == SAID
    widths = [
        page.get_by_test_id(f"cell-0-{column}").bounding_box()["width"]
        for column in (0, 1)
    ]
    assert min(widths) > 100, "both can be read"
    page.locator("[data-testid=cell-1-0] .cell-menu-button").tap()
    offered = page.locator(".cell-menu > button")
    offered.first.wait_for()
    shown = [one.inner_text().strip() for one in offered.all() if one.is_visible()]
    assert shown == ["Add row above", "Add row below", "Delete row"], (
        "its two columns stay"
    )
