"""What a person types into an example or a correction stays until it is saved, and then
is gone from the form.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.steps import go, open_details, take_sample, ticked

pytestmark = pytest.mark.browser

Opens = Callable[..., Any]


def open_form(page: Any) -> Any:
    """The answer's field in the form of the example that is shown."""
    page.click("#row-acts [data-do=edit-row]")
    page.wait_for_selector("#row-form textarea")
    return page.locator("#row-form textarea").nth(1)


def holds(page: Any, selector: str, text: str) -> None:
    page.wait_for_function(
        "([at, text]) => document.querySelector(at)?.value === text",
        arg=[selector, text],
    )


ANSWER = "#row-form label:nth-of-type(2) textarea"


def test_an_edit_survives_an_error_a_tick_another_example_and_a_reload(
    open_page: Opens, changing_page: str
) -> None:
    page = open_page(changing_page)
    take_sample(page)
    open_details(page)
    answer = open_form(page)
    before = answer.input_value()
    answer.fill("  ")
    page.click("#row-form [type=submit]")
    page.locator(".toast-wrap", has_text="empty").wait_for()
    assert answer.input_value() == "  "
    answer.fill("<b>half\nwritten")
    ticked(page)
    assert answer.input_value() == "<b>half\nwritten"
    page.click("#row-on")
    page.wait_for_selector("#row-form form", state="detached")
    page.click("#row-back")
    page.wait_for_function("document.querySelector('#row-number input').value === '1'")
    open_form(page)
    holds(page, ANSWER, "<b>half\nwritten")
    page.reload()
    page.wait_for_selector("#row-acts [data-do=edit-row]")
    open_form(page)
    holds(page, ANSWER, "<b>half\nwritten")
    page.click("#row-form [type=submit]")
    page.wait_for_selector("#row-form form", state="detached")
    page.click("#row-acts [data-do=undo-edit]")
    page.wait_for_selector("#row-acts [data-do=undo-edit]", state="detached")
    assert open_form(page).input_value() == before, (
        "what was saved and undone is no draft"
    )
    page.click("#row-acts [data-do=new-row]")
    holds(page, ANSWER, "")
    for at in (0, 1):
        page.locator("#row-form textarea").nth(at).fill(f"text {at}")
    page.click("#row-form [type=submit]")
    page.wait_for_selector("#row-form form", state="detached")
    page.wait_for_function("document.querySelector('#row-number input').value === '61'")


@pytest.mark.slow
def test_a_correction_survives_an_error(open_page: Opens, changing_page: str) -> None:
    page = open_page(changing_page)
    go(page, "runs")
    page.click("button[data-do=open][data-value=run-a]")
    page.wait_for_selector("#tab-train-button[aria-selected=true]")
    go(page, "try")
    page.locator("#question textarea").fill("Do you have rye?")
    page.click("#ask:not([disabled])")
    page.click("#correct-last summary")
    field = page.locator("#correct-last textarea")
    field.fill(" ")
    page.click("#correct-last [type=submit]")
    page.locator(".toast-wrap", has_text="no answer").wait_for()
    field.fill("We do, love.")
    page.reload()
    page.wait_for_selector("#correct-last summary")
    page.click("#correct-last summary")
    holds(page, "#correct-last textarea", "We do, love.")
    page.click("#correct-last [type=submit]")
    page.locator("#correct-last .alert").wait_for()
