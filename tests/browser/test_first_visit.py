"""The first visit: a finished apprentice answers before anything has to be chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import made_up_page
from tests.browser.steps import go, stored
from tests.browser.test_look import assert_fits_and_can_be_read
from ui.services.results.first import first
from ui.web.try_it.first_card import LIVE, RECORDED

pytestmark = pytest.mark.browser
Opens = Callable[..., Any]


def test_a_first_visit_shows_a_finished_apprentice_and_nothing_else(open_page: Opens, newcomers_page: str) -> None:
    page = open_page(newcomers_page, 1280, 800)
    card = page.locator("#tab-start .first")
    card.get_by_text(RECORDED).wait_for()
    assert first().answers[0].base in card.inner_text()
    assert not page.locator(":is(#task, #computer-and-models):visible").count()
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    assert_fits_and_can_be_read(page)


def test_a_message_is_answered_live_and_the_button_leads_to_ones_own(open_page: Opens, newcomers_page: str) -> None:
    page = open_page(newcomers_page)
    card = page.locator("#tab-start .first")
    card.locator("textarea").fill("Where are my three chairs?")
    page.reload()
    page.wait_for_function("document.querySelector('#tab-start textarea')?.value === 'Where are my three chairs?'")
    card.get_by_role("button", name="Ask both").click()
    card.get_by_text(LIVE).wait_for()
    card.locator(".answer.base", has_text="ask for a refund").wait_for()
    card.locator(".answer.tuned dd", has_text="garden chair").wait_for()  # the fields are a table
    card.locator(".chip").last.click()
    card.get_by_text(RECORDED).wait_for()
    page.click("#tab-start .begin")
    stored(page, "begun", True)
    seen = "document.querySelector('#tab-start .first')?.checkVisibility({ visibilityProperty: true })"
    page.add_init_script(f"setInterval(() => {{ window.seen ||= {seen}; }}, 5)")
    page.reload()
    page.locator("#to-data:not([disabled])").wait_for()
    assert not page.evaluate("window.seen"), "not even for a moment"


def test_without_a_model_of_ones_own_try_opens_the_finished_apprentice(open_page: Opens, newcomers_page: str) -> None:
    page = open_page(newcomers_page)
    go(page, "try")
    page.locator("#tab-try .first").get_by_text(RECORDED).wait_for()
    assert not page.locator("#ask").is_visible()
    page.locator("#tab-try .begin").click()
    page.locator("#task").wait_for()


def test_the_keyboard_alone_leads_from_the_first_visit_to_the_training(open_page: Opens, tmp_path: Path) -> None:
    with made_up_page(tmp_path, "--new") as url:
        page = open_page(url)
        page.locator("#tab-start .begin:visible").wait_for()

        def press(selector: str) -> None:
            """Goes on with Tab to what can be pressed by now."""
            page.locator(selector).first.wait_for()
            while not page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                page.keyboard.press("Tab")
                assert page.evaluate("document.activeElement !== document.body"), f"{selector} was not reached"
            page.keyboard.press("Enter")

        press("#tab-start .begin")
        page.wait_for_selector("#task input:focus")
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(".choices label.selected:has-text('Pull data out of text')")
        press("#to-data:not([disabled])")
        press("[data-do=sample]")
        asks = "document.activeElement.closest('#decision') || document.activeElement.id === 'to-train'"
        while page.wait_for_function(asks) and not page.evaluate("document.activeElement.id === 'to-train'"):
            asked = page.locator("#decision").inner_text()
            page.keyboard.press("Enter")
            page.wait_for_function("(asked) => document.querySelector('#decision')?.innerText !== asked", arg=asked)
        press("#to-train")
        press("#start-training:not([disabled])")
        page.locator(".samples .history").first.wait_for()
