"""A faulty table in a real browser, over the real services: problems are shown, fixed, left or undone, the clean rows
are downloaded, and training can begin."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.steps import begin, stored, ticked

pytestmark = pytest.mark.browser


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Thirty rows in Windows-1252 under columns of its own; row 8 has no answer, row 14 is a copy, 25 an address."""
    things = "Lampe Stuhl Kessel Decke Kanne Spiegel Uhr Korb Regal Besen".split()  # noqa: SIM905
    rows = [
        (f"Bestellung {5000 + i}: {thing} zu spät?", f"Schöne Grüße, Ihr {thing} kommt in {i + 2} Tagen.")
        for i, thing in enumerate(things * 3)
    ]
    rows[7] = rows[7][0], ""
    rows[13] = rows[2]
    rows[24] = f"{rows[24][0]} jane.roe@example.org", rows[24][1]
    lines = ["Kundenfrage;Unsere Antwort", *(f"{asked};{answer}" for asked, answer in rows)]
    path = tmp_path / "table.csv"
    path.write_bytes("\n".join(lines).encode("cp1252"))
    return path


def test_a_faulty_table_is_fixed_and_trained_on(open_page: Callable[..., Any], real_page: str, table: Path) -> None:
    page = open_page(real_page)
    page.click("#tab-data-button")
    page.set_input_files("#upload input[type=file]", table)

    page.locator(".ask").first.wait_for()
    assert page.locator(".before-after .is").first.inner_text().count("Schöne Grüße") == 1
    while (right := page.locator(".ask button[data-do=refuse]")).count():
        left = right.count()
        right.first.click()
        page.wait_for_function(f"document.querySelectorAll('.ask').length < {left}")

    empty, copies, address = (
        page.locator(f"[data-kind={kind}]") for kind in ("empty_answer", "duplicate", "personal_email")
    )
    assert page.locator("#to-train").is_disabled()
    empty.locator(".problem-do [data-do=accept]").click()
    page.wait_for_selector("#to-train:not([disabled])")
    copies.locator("details[data-key=groups] > summary").click()
    assert copies.locator(".groups").inner_text().count("Kessel") > 1
    copies.locator(".problem-do [data-do=accept]").click()
    copies.get_by_text("1 example removed").wait_for()
    assert copies.locator(".groups").is_visible(), "what was open stays open"
    address.locator(".problem-do [data-do=refuse]").click()
    address.get_by_text("left as is").first.wait_for()
    page.get_by_role("heading", name="28 examples, ready").wait_for()
    copies.locator(".problem-do [data-do=undo]").click()
    page.get_by_role("heading", name="29 examples, ready").wait_for()

    page.locator("#row-search").locator("input, textarea").fill("JANE.ROE")
    page.click("#search-on")
    page.locator("[role=status]", has_text="JANE.ROE").wait_for()
    page.wait_for_function("document.querySelector('#row-number input').value === '25'")
    page.locator("#preview .tokens", has_text="jane.roe").wait_for()

    page.click("button[data-do=files]")
    taken = []
    for link in ("Download 29 examples", "Download the list of 1 change"):
        with page.expect_download() as download:
            page.get_by_role("link", name=link).click()
        taken.append([json.loads(line) for line in Path(download.value.path()).read_text("utf-8").splitlines()])
    assert len(taken[0]) == 29
    assert [(change["row"], change["kind"]) for change in taken[1]] == [(8, "empty_answer")]

    page.click("#to-train")
    page.wait_for_selector("#start-training:not([disabled])")


def test_a_chat_asks_whom_to_imitate_and_turns(open_page: Callable[..., Any], real_page: str, tmp_path: Path) -> None:
    said = [
        f"31.12.23, 21:{minute:02} - {'Anna' if minute % 2 else 'Ben'}: Words {minute}." for minute in range(10, 50)
    ]
    chat = tmp_path / "chat.txt"
    chat.write_text("\n".join(said), "utf-8")
    page = open_page(real_page)
    page.click("#tab-data-button")
    page.set_input_files("#upload input[type=file]", chat)

    page.get_by_role("heading", name="Which of these people").wait_for()
    page.get_by_label("Anna").check()
    page.locator("#reading").get_by_role("button", name="Read it this way").click()
    page.locator("#preview .tokens .l", has_text="Words 11").wait_for()
    page.locator("details[data-key=how] > summary").click()
    assert page.get_by_label("Anna").is_checked()
    page.get_by_label("Anna").uncheck()
    page.get_by_label("Ben").check()
    page.locator("form[data-send=people] button").click()
    page.locator("#preview .tokens .l", has_text="Words 12").wait_for()


def test_what_is_taken_back_does_not_return_with_a_reload(open_page: Callable[..., Any], real_page: str) -> None:
    page = open_page(real_page)
    begun = page.locator("#reached [data-done~=start]")
    advice = page.locator("#tab-start .alert.warn")
    begin(page)
    page.locator("input[value=extract]").check()
    begun.wait_for(state="attached")
    page.get_by_label("The right answers change often").check()
    advice.wait_for()
    page.get_by_label("The right answers change often").uncheck()
    advice.wait_for(state="hidden")
    stored(page, "facts_change", False)
    page.reload()
    begun.wait_for(state="attached")
    ticked(page)
    assert page.get_by_label("No, or hardly ever").is_checked()


def test_what_is_typed_into_the_table_is_learned(open_page: Callable[..., Any], real_page: str) -> None:
    page = open_page(real_page)
    page.click("#tab-data-button")
    page.get_by_role("tab", name="Type", exact=True).click()
    keys = page.keyboard

    def cell(row: int, column: int) -> Any:
        return page.get_by_test_id(f"cell-{row}-{column}")

    cell(0, 0).click()
    keys.type("What is up?")
    keys.press("Tab")
    keys.type("Not much, Jörg.", delay=60)
    page.set_viewport_size({"width": 390, "height": 900})
    cell(1, 0).click()
    keys.type("first words", delay=60)
    keys.press("Enter")
    keys.type("Is it late?")  # takes the place of what stood there
    keys.press("Enter")
    keys.press("ArrowRight")
    keys.type("Yes, go to bed.", delay=60)
    keys.press("Enter")
    keys.press("ArrowUp")
    keys.press("Enter")  # opens what stands there
    keys.press("End")
    keys.type(" You?")
    keys.press("Escape")
    page.get_by_role("button", name="Read these").click()
    read = page.locator(".before-after .is .bubble > div")
    read.nth(3).wait_for(state="attached")
    answer = [words.strip() for words in read.all_text_contents()]
    assert answer == ["What is up?", "Not much, Jörg. You?", "Is it late?", "Yes, go to bed."]
