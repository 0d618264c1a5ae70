"""How a file was read, on the page: seen and confirmed without scrolling, and changed
by choices that the examples follow.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
SIZES = (1280, 800), (390, 844)  # a laptop, a phone
YES = "#decision [data-do=confirm]"
EXAMPLES = "#decision .few .bubble"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table whose columns can only be guessed; a third of it is not approved."""
    path = tmp_path / "tea.csv"
    rows = (
        f'When is tea number {n} served?,"Tea number {n} is served at {n} in the garden, with milk.",'
        f"{'yes' if n % 3 else 'no'},{n}\n"
        for n in range(60)
    )
    path.write_text("Which tea,What else,Approved,Hour\n" + "".join(rows))
    return path


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_guess_is_confirmed_without_scrolling(
    open_page: Callable[..., Any],
    drawn_page: str,
    table: Path,
    width: int,
    height: int,
) -> None:
    page = open_page(drawn_page, width, height)
    page.click("#tab-data-button")
    page.set_input_files("#upload input[type=file]", table)
    yes = page.locator(YES)
    yes.wait_for()
    page.wait_for_function("document.activeElement.dataset.do === 'confirm'")
    assert page.evaluate("scrollY") == 0
    box = yes.bounding_box()
    assert box["y"] + box["height"] < height
    assert page.locator(f"{EXAMPLES}.assistant").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not page.locator("#to-train").is_enabled()
    yes.click()
    page.wait_for_selector("#to-train:not([disabled])")
    page.locator(YES).wait_for(state="detached")


def test_the_examples_follow_every_choice_up_to_training(
    open_page: Callable[..., Any], drawn_page: str, table: Path
) -> None:
    """The keyboard stays at the field that was changed."""
    page = open_page(drawn_page, 1280, 800)
    page.click("#tab-data-button")
    page.set_input_files("#upload input[type=file]", table)
    page.locator(YES).wait_for()
    page.click("#decision .off > summary")

    def choose(column: str, role: str) -> None:
        field = page.locator(f"[name='column:{column}']")
        field.focus()
        field.select_option(role)

    answer = page.locator(f"{EXAMPLES}.assistant > div").first
    choose("Hour", "answer")
    answer.filter(has_text='"Hour": 0').wait_for()
    page.wait_for_function("document.activeElement.name === 'column:Hour'")
    choose("Approved", "only")
    page.get_by_label("no", exact=True).uncheck()
    answer.filter(has_text='"Hour": 1').wait_for()
    page.get_by_text("Yes, use these 40").wait_for()
    choose("Which tea", "")
    page.locator("#decision .missing").wait_for()
    assert "tea number 1" in page.locator(f"{EXAMPLES}.user").first.inner_text(), (
        "an example needs a question"
    )
    assert page.locator(YES).is_disabled(), "the examples are not those of the form"
    choose("Which tea", "question")
    page.locator("#decision .missing").wait_for(state="hidden")
    page.click(YES)
    page.locator(YES).wait_for(state="detached")
    page.click("#to-train:not([disabled])")
    page.wait_for_selector("#start-training:not([disabled])")
