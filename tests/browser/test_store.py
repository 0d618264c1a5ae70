"""The store of a page's choice (static/js/store.js): patched field by field, a page's
own, never trusted.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.steps import another, go

pytestmark = pytest.mark.browser

Opens = Callable[..., Any]
CHOICE = "apprentice.store.choice()"


def patch(page: Any, fields: dict[str, Any]) -> None:
    page.evaluate("(fields) => apprentice.store.patch(fields)", fields)


def test_pages_patch_single_fields_and_keep_their_own_choice(
    open_page: Opens, drawn_page: str
) -> None:
    first = open_page(drawn_page)
    patch(first, {"task": "write", "row": 3})
    second = another(first, drawn_page)
    assert second.evaluate(CHOICE) == {"task": "write", "row": 3}, (
        "it begins with what was chosen last"
    )
    patch(first, {"row": 4})
    second.wait_for_function(
        "JSON.parse(localStorage.apprentice).row === 4"
    )  # pages are processes of their own
    patch(second, {"task": "voice", "settings": {"seed": 1}})
    patch(second, {"settings": {}})
    for page in (first, second):
        page.reload()
        page.wait_for_function("window.apprentice")
    assert first.evaluate(CHOICE) == {"task": "write", "row": 4}
    assert second.evaluate(CHOICE) == {"task": "voice", "row": 3, "settings": {}}, (
        "what was cleared stays cleared"
    )
    first.wait_for_function("JSON.parse(localStorage.apprentice).task === 'voice'")
    first.evaluate(
        "apprentice.store.correct({ row: 3 }, { row: 1 })"
    )  # of a row that was 3 when the server read it
    assert first.evaluate(CHOICE)["row"] == 4, "the newer choice stays"
    first.evaluate("apprentice.store.correct({ row: 4 }, { row: 5 })")
    assert first.evaluate(CHOICE)["row"] == 5
    assert another(first, drawn_page).evaluate(CHOICE) == {
        "task": "voice",
        "row": 5,
        "settings": {},
    }


DAMAGED = [
    ("", "{"),
    ("[1]", "null"),
    ('"text"', '{"task": 7, "row": -1, "settings": "x"}'),
]


@pytest.mark.parametrize("stored", DAMAGED)
def test_a_damaged_store_counts_as_empty(
    open_page: Opens, drawn_page: str, stored: tuple[str, str]
) -> None:
    """What is stored of the page, and of all pages, which counts where the page has
    nothing.
    """
    script = f"window.stored = [sessionStorage.apprentice, localStorage.apprentice] = {json.dumps(stored)};"
    page = open_page(drawn_page, script=script)
    assert page.evaluate("window.stored") == list(stored)
    go(page, "data")
    page.wait_for_selector("#reached [data-done='']", state="attached")


def test_a_browser_that_stores_nothing_still_works(
    open_page: Opens, drawn_page: str
) -> None:
    script = (
        "for (const name of ['localStorage', 'sessionStorage']) {"
        "  Object.defineProperty(window, name, { get() { throw new DOMException('blocked', 'SecurityError'); } });"
        "}"
    )
    page = open_page(drawn_page, script=script)
    page.locator("input[value=extract]").check()
    page.wait_for_selector("#reached [data-done~=start]", state="attached")
    assert page.evaluate(CHOICE)["task"] == "extract"
