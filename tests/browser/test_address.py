"""The address names the open step: Back goes to the one before, and a reload opens it
again.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.steps import go, start_training, still, take_sample

pytestmark = pytest.mark.browser

Opens = Callable[..., Any]
BUTTONS = """[...document.querySelectorAll('#tab-train button:not([disabled])')]
    .filter((button) => button.checkVisibility()).map((button) => button.innerText)"""


def at_its_top(page: Any) -> None:
    """The page's first line can be seen."""
    page.wait_for_function(
        "document.querySelector('header.top').getBoundingClientRect().top >= 0"
    )


def is_open(page: Any, step: str) -> None:
    page.wait_for_selector(f"#tab-{step}-button[aria-selected=true]")
    page.wait_for_selector(f"#tab-{step} .guide-line")
    assert page.url.endswith(f"#{step}")


def test_back_and_forward_go_from_step_to_step_and_not_out_of_the_page(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(f"{drawn_page}/?__theme=dark", width=1000, height=500)
    begun = page.evaluate("history.length")
    assert not page.url.endswith("#start"), "nothing is noted before a step is taken"
    for step in ("data", "train", "runs"):
        go(page, step)
    assert page.evaluate("history.length") == begun + 3
    page.go_back()
    is_open(page, "train")
    page.go_back()
    is_open(page, "data")
    page.go_forward()
    is_open(page, "train")
    page.go_back()
    page.go_back()
    page.wait_for_selector("#tab-start-button[aria-selected=true]")
    assert page.evaluate("history.length") == begun + 3, "going back notes nothing"
    # A tab is fetched again only when something has changed.
    signatures = [
        "shown:data abc run-a:40",
        "data abc run-a:41",
        "data def run-a:41",
        "data def run-a:42",
    ]
    # All in one script: the page's own timer asks the same.
    came_with_its_tab, news_of_training, changed, more_news = page.evaluate(
        "all => all.map((one) => apprentice.address.toItsTab(['data'], one).some(Boolean))",
        signatures,
    )
    assert ((came_with_its_tab, news_of_training), (changed, more_news)) == (
        (False, False),
        (True, False),
    )
    # Nothing scrolls, and what else the address says stays.
    for step in ("start", "data", "train", "try", "share", "runs"):
        assert page.locator(f"[id={step}]").count() == 0, (
            "the browser would scroll to it"
        )
    go(page, "runs")
    go(page, "start")
    page.go_back()
    is_open(page, "runs")
    assert page.url.endswith("/?__theme=dark#runs")
    at_its_top(page)
    begun = page.evaluate("history.length")
    page.evaluate("location.hash = '#nowhere'")
    page.wait_for_function("location.hash === '#runs'")
    assert page.locator("#tab-runs-button").get_attribute("aria-selected") == "true", (
        "no such step: it stays"
    )
    assert page.evaluate("history.length") == begun, "what lay ahead was one step too"
    page.go_back()
    is_open(page, "runs")
    page.set_viewport_size({"width": 390, "height": 500})
    page.locator(
        "#run-list button[data-do=name]"
    ).last.click()  # whose fields come into view
    page.wait_for_function(
        "document.querySelector('#run-names')?.contains(document.activeElement)"
    )
    top, bottom = page.evaluate(
        "(({ top, bottom }) => [top, bottom])(document.activeElement.getBoundingClientRect())"
    )
    assert 0 <= top < bottom <= 500


@pytest.mark.slow
def test_a_button_that_leads_on_is_a_step_too(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(drawn_page, height=500)
    take_sample(page)
    go(page, "train")
    go(page, "data")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.click("#to-train")
    is_open(page, "train")
    at_its_top(page)
    page.go_back()
    is_open(page, "data")


def test_a_reload_opens_the_same_step_as_it_was(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(f"{drawn_page}/#%22%3E")  # names no step: the first one opens
    page.get_by_text("Pull data out of text").click()
    take_sample(page)
    start_training(page)
    still(page)
    before = page.evaluate(BUTTONS)
    page.reload()
    is_open(page, "train")
    page.wait_for_selector(".samples .history")
    page.wait_for_function(
        f"(before) => JSON.stringify({BUTTONS}) === JSON.stringify(before)", arg=before
    )
    assert page.get_by_label("Pull data out of text").is_checked()
    go(page, "data")
    page.wait_for_selector("#tab-data .few")
