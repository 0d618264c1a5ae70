"""Several pages of one browser: more than it keeps connections for (six) all answer,
and each keeps its own run.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.steps import another, go, take_sample

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_seven_pages_of_one_browser_all_answer_and_each_shows_its_own_run_when_loaded_again(
    open_page: Callable[..., Any], drawn_page: str
) -> None:
    first = open_page(drawn_page)
    take_sample(first)
    pages = [first, *(another(first, drawn_page) for _ in range(6))]
    for page in (pages[-1], first):
        go(page, "train")
        page.wait_for_selector("#start-training:not([disabled])")
    pages[-1].click("#start-training")
    pages[-1].wait_for_selector(".samples .history")
    second = pages[1]
    own = {
        first: ("run-a", "#to-try"),
        second: ("run-c", "#resume"),
    }  # one has ended, one was interrupted
    for page, (run, button) in own.items():
        go(page, "runs")
        page.locator(f"[data-do=open][data-value={run}]").click()
        page.wait_for_selector(f"#tab-train {button}")
    for page in own:  # both at once
        page.evaluate("window.before = true; setTimeout(() => location.reload())")
    for page in own:
        page.wait_for_function("!window.before")
    for page in (first, second, first):
        page.wait_for_selector(f"#tab-train {own[page][1]}")
        assert page.locator("#resume").is_visible() == (page == second)
    third = another(first, drawn_page)
    go(third, "train")
    third.wait_for_selector(
        "#tab-train #resume"
    )  # a new one begins with what was chosen last
