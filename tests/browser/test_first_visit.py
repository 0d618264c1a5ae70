"""The first visit: a finished apprentice answers before anything has to be chosen."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.steps import go, stored
from tests.browser.test_look import assert_fits_and_can_be_read
from ui.services.results.first import first
from ui.web.try_it.first_card import LIVE, RECORDED

pytestmark = pytest.mark.browser
Opens = Callable[..., Any]


def test_a_first_visit_shows_a_finished_apprentice_and_nothing_else_and_so_does_try(
    open_page: Opens, newcomers_page: str
) -> None:
    page = open_page(newcomers_page, 1280, 800)
    card = page.locator("#tab-start .first")
    card.get_by_text(RECORDED).wait_for()
    assert first().answers[0].base in card.inner_text()
    assert not page.locator(":is(#task, #computer-and-models):visible").count()
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    assert_fits_and_can_be_read(page)
    go(page, "try")
    page.locator("#tab-try .first").get_by_text(RECORDED).wait_for()
    assert not page.locator("#ask").is_visible()
    page.locator("#tab-try .begin").click()
    page.locator("#task").wait_for()


@pytest.mark.slow
def test_a_message_is_answered_live_and_the_button_leads_to_ones_own(
    open_page: Opens, newcomers_page: str
) -> None:
    page = open_page(newcomers_page)
    card = page.locator("#tab-start .first")
    card.locator("textarea").fill("Where are my three chairs?")
    page.reload()
    page.wait_for_function(
        "document.querySelector('#tab-start textarea')?.value === 'Where are my three chairs?'"
    )
    card.get_by_role("button", name="Ask both").click()
    card.get_by_text(LIVE).wait_for()
    card.locator(".answer.base", has_text="ask for a refund").wait_for()
    card.locator(
        ".answer.tuned dd", has_text="garden chair"
    ).wait_for()  # the fields are a table
    card.locator(".chip").last.click()
    card.get_by_text(RECORDED).wait_for()
    page.click("#tab-start .begin")
    stored(page, "begun", True)
    seen = "document.querySelector('#tab-start .first')?.checkVisibility({ visibilityProperty: true })"
    page.add_init_script(f"setInterval(() => {{ window.seen ||= {seen}; }}, 5)")
    page.reload()
    page.locator("#to-data:not([disabled])").wait_for()
    assert not page.evaluate("window.seen"), "not even for a moment"
