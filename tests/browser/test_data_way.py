"""A faulty table in a real browser, over the real services: problems are shown, fixed,
left or undone, the clean rows are downloaded, and training can begin.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT
from tests.browser.steps import (
    begin,
    decide_all,
    open_details,
    painted,
    stored,
    take_sample,
    ticked,
)

# Of its rows 12 has no answer, 25 and 34 are copies, 42 and 53 have two spare cells,
# and 56 contradicts 16.
BAKERY = PROJECT_ROOT / "tests" / "data" / "bakery.csv"
LEARNED = "#tab-data .card > .few .bubble"  # under what the model will learn

pytestmark = pytest.mark.browser


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Thirty rows in Windows-1252 under columns of its own; row 8 has no answer, row 14
    is a copy, 25 an address.
    """
    things = "Lampe Stuhl Kessel Decke Kanne Spiegel Uhr Korb Regal Besen".split()  # noqa: SIM905
    rows = [
        (
            f"Bestellung {5000 + i}: {thing} zu spät?",
            f"Schöne Grüße, Ihr {thing} kommt in {i + 2} Tagen.",
        )
        for i, thing in enumerate(things * 3)
    ]
    rows[7] = rows[7][0], ""
    rows[13] = rows[2]
    rows[24] = f"{rows[24][0]} jane.roe@gmail.com", rows[24][1]
    lines = [
        "Kundenfrage;Unsere Antwort",
        *(f"{asked};{answer}" for asked, answer in rows),
    ]
    path = tmp_path / "table.csv"
    path.write_bytes("\n".join(lines).encode("cp1252"))
    return path


def test_a_faulty_table_is_fixed_and_trained_on(
    open_page: Callable[..., Any], real_page: str, table: Path
) -> None:
    page = open_page(real_page)
    page.click("#tab-data-button")
    page.set_input_files("#upload input[type=file]", table)

    shown = page.locator("#decision .few .assistant").first
    assert "Schöne Grüße" in shown.inner_text()
    page.click("#decision [data-do=confirm]")  # the encoding and the columns at once

    page.wait_for_selector("#to-train[disabled]")
    page.get_by_text("29 good, 1 needs you.").or_(
        page.get_by_text("28 good, 2 need you.")
    ).first.wait_for()
    page.click("#decision [data-do=accept]")
    page.wait_for_selector("#to-train:not([disabled])")
    page.click("#decision [data-do=accept][data-value^=duplicate]")
    page.get_by_text("28 examples, ready.").or_(
        page.get_by_text("there are few of them")
    ).first.wait_for()
    found = page.locator("details[data-key=findings]")
    found.get_by_text("2 removed (").first.wait_for()
    found.locator("summary").first.click()
    copies = page.locator("tr[data-kind=duplicate]")
    copies.locator("details[data-key=where-warning-duplicate] > summary").click()
    assert "Kessel" in copies.locator(".where").inner_text()
    copies.locator("[data-do=undo]").click()
    page.click("#decision [data-do=refuse]")
    open_details(page)
    page.get_by_role("heading", name="29 examples, ready").wait_for()
    assert copies.locator(".where").is_visible(), "what was open stays open"
    page.locator("#decision .acts").wait_for(
        state="detached"
    )  # decided: what is made now is no longer outdated

    page.click("button[data-do=files]")
    taken = []
    for link in ("Download 29 examples", "Download the list of 1 change"):
        with page.expect_download() as download:
            page.get_by_role("link", name=link).click()
        taken.append(
            [
                json.loads(line)
                for line in Path(download.value.path()).read_text("utf-8").splitlines()
            ]
        )
    assert len(taken[0]) == 29
    assert [(change["row"], change["kind"]) for change in taken[1]] == [
        (8, "empty_answer")
    ]

    page.click("#to-train")
    page.wait_for_selector("#start-training:not([disabled])")


@pytest.mark.slow
def test_a_chat_asks_whom_to_imitate_and_turns(
    open_page: Callable[..., Any], real_page: str, tmp_path: Path
) -> None:
    said = [
        f"31.12.23, 21:{at} - {'Anna' if at % 2 else 'Ben'}: Words {at}."
        for at in range(10, 50)
    ]
    chat = tmp_path / "chat.txt"
    chat.write_text("\n".join(said), "utf-8")
    page = open_page(real_page)
    page.click("#tab-data-button")
    page.set_input_files("#upload input[type=file]", chat)

    page.click("#decision .off > summary")
    assert page.get_by_label("Anna").is_checked(), "she answers most"
    assert (
        page.get_by_label("Anna").evaluate("(box) => getComputedStyle(box).appearance")
        == "auto"
    ), "the tick is seen"
    assert not page.get_by_label("Ben").is_visible()
    page.click("#decision [data-do=confirm]")
    page.locator("#decision .confirming").wait_for(state="detached")
    page.locator(f"{LEARNED}.assistant", has_text="Words 11").first.wait_for()
    open_details(page)
    page.locator("details[data-key=how] > summary").click()
    page.locator("details[data-key=how] .off:not([open]) > summary").click()
    page.locator("#tab-data details[data-key=people] > summary").click()
    page.get_by_label("Ben").check()  # the card is asked again, and follows
    page.locator("#decision .few .assistant", has_text="Words 12").first.wait_for()
    page.get_by_label("Anna").uncheck()
    page.locator("#decision .few .user", has_text="Words 11").first.wait_for()


@pytest.mark.slow
def test_what_is_taken_back_does_not_return_with_a_reload(
    open_page: Callable[..., Any], real_page: str
) -> None:
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
    assert not page.get_by_label("The right answers change often").is_checked()


def test_what_is_typed_into_the_table_is_learned(
    open_page: Callable[..., Any], real_page: str
) -> None:
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
    page.locator("#topic textarea").fill("Questions at night")
    cell(1, 1).click()
    keys.type("Yes, go to bed.", delay=60)
    page.reload()
    cell(1, 1).get_by_text("Yes, go to bed.").wait_for()
    page.wait_for_function(
        "document.querySelector('#topic textarea').value === 'Questions at night'"
    )
    cell(1, 1).click()
    keys.press("ArrowUp")
    keys.press("Enter")  # opens what stands there
    keys.press("End")
    keys.type(" You?")
    keys.press("Escape")
    page.get_by_role("button", name="Read these").click()
    read = f"[...document.querySelectorAll('{LEARNED} > div')].map((part) => part.textContent.trim()).join('|')"
    expected = "What is up?|Not much, Jörg. You?|Is it late?|Yes, go to bed."
    page.wait_for_function(f"(expected) => {read} === expected", arg=expected)


def assert_why_a_file_can_t_be_read_stands_at_the_upload_and_has_the_keyboard(
    page: Any, photo: Path
) -> None:
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    page.get_by_role("button", name="Choose other examples").click()
    page.set_input_files("#upload input[type=file]", photo)
    page.locator(
        "#tab-data .guide-line", has_text="photo.png could not be read."
    ).wait_for()
    page.wait_for_function(
        "document.activeElement.innerText === 'photo.png could not be read'"
    )
    tops = "['#reading', '#upload'].map((part) => document.querySelector(part).getBoundingClientRect().top)"
    page.wait_for_function(f"(([why, upload]) => 0 < why && why < upload)({tops})")
    page.locator("#decision").wait_for(
        state="hidden"
    )  # nothing speaks of other examples
    page.get_by_role("button", name="Close this message").click()
    page.get_by_text("55 good, 5 need you.").wait_for()


def test_a_bakery_s_file_is_trained_on_after_few_clicks(
    open_page: Callable[..., Any], drawn_page: str, tmp_path: Path
) -> None:
    """Besides one click for each kind of fault, with the keyboard where the mouse was,
    also on a phone.
    """
    page = open_page(drawn_page)
    page.click("#tab-data-button")
    page.set_input_files("#upload input[type=file]", BAKERY)
    clicks = 2
    page.get_by_text("55 good, 5 need you.").wait_for()
    page.wait_for_function("document.activeElement.closest('#decision')")
    page.wait_for_selector("#reached [data-done=start]", state="attached")
    assert page.locator("#decision del").all_inner_texts() == [
        "x",
        "ask Mia",
        "note",
        "old",
    ]
    assert_why_a_file_can_t_be_read_stands_at_the_upload_and_has_the_keyboard(
        page, tmp_path / "photo.png"
    )
    page.get_by_role("button", name="Drop the spare cells of both rows").click()
    page.get_by_text("57 good, 3 need you.").wait_for()

    def held() -> None:
        page.wait_for_function(
            "document.activeElement.matches('#decision, #decision *, #to-train')"
        )
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(
                "(width) => document.documentElement.scrollWidth <= width", arg=width
            )

    assert decide_all(page, then=held) == 2
    page.get_by_text("57 examples, ready.").wait_for()
    page.locator(
        "details[data-key=findings] summary", has_text="3 removed ("
    ).first.wait_for()
    page.get_by_role(
        "button", name="That is fine: Answers about allergens or health"
    ).click()
    page.wait_for_function(
        f"document.querySelectorAll('{LEARNED}.assistant').length === 3"
    )
    page.click("#to-train:not([disabled])")
    page.click("#start-training:not([disabled])")
    clicks += 2
    page.locator("#start-training").wait_for(state="hidden")
    assert clicks <= 6, "beyond the rows that need the person"


@pytest.mark.slow
def test_examples_are_made_by_keys_and_by_pressing_sentences(
    open_page: Callable[..., Any], real_page: str, tmp_path: Path
) -> None:
    text = tmp_path / "handbook.md"
    parts = (
        f"## Part {n}\n\nWe bake at night. Loaf {n * 613} is sold at six."
        for n in range(1, 31)
    )
    text.write_text("\n\n".join(parts))
    take_sample(
        open_page(real_page, locale="en")
    )  # by another browser, to be opened at the end
    page = open_page(real_page)
    page.click("#tab-data-button")
    with page.expect_file_chooser() as chooser:
        page.click("#material")
    chooser.value.set_files(text)
    card, lead = page.locator("#making form.making"), page.locator("#making .lead")
    card.locator("[data-sentence]").first.wait_for()
    page.wait_for_function(
        "document.querySelector('#making .card').getBoundingClientRect().top > -2"
    )
    page.wait_for_function(
        "document.activeElement.type === 'submit'"
    )  # the card has the keyboard
    for key, kept in zip("kkdk", (1, 2, 2, 3), strict=True):
        sent = card.get_attribute("data-send")
        page.keyboard.press(key)
        page.wait_for_function(
            "(sent) => document.querySelector('form.making').dataset.send !== sent",
            arg=sent,
        )
        lead.filter(has_text=f"{kept} of 50 kept.").wait_for()
        page.wait_for_function("document.activeElement.type === 'submit'")
    ticked(page)
    page.keyboard.press("n")
    page.wait_for_function("document.activeElement.name === 'question'")
    page.keyboard.type("Who kneads at dawn?")  # no letter of it is a key
    answer, sentence = (
        card.locator("[name=answer]"),
        card.locator("[data-sentence]").nth(1),
    )
    answer.fill("Me, at four.")
    for said in (f"Me, at four. {sentence.inner_text()}", "Me, at four."):
        sentence.click()
        assert (answer.input_value(), sentence.get_attribute("aria-pressed")) == (
            said,
            str(len(said) > 12).lower(),
        )
    sentence.press("Control+Enter")
    page.wait_for_function(
        "document.querySelector('#making .lead').textContent.startsWith('4 of 50')"
    )
    page.locator("#making kbd", has_text="u").click()
    page.wait_for_function(
        "document.querySelector('#making .lead').textContent.startsWith('3 of 50')"
    )
    page.wait_for_function(
        "document.querySelector('#making [name=question]').value === 'Who kneads at dawn?'"
    )
    page.press("#tab-data-button", "ArrowLeft")
    page.press("#tab-start-button", "ArrowRight")
    painted(page)
    assert page.evaluate("document.activeElement.id") == "tab-data-button", (
        "among the steps the keyboard stays there"
    )
    page.get_by_role("button", name="Choose other examples").click()
    page.fill("#topic textarea", "We open at six. We close at two. Ring us for cakes.")
    page.uncheck("#join input")
    page.click("#make-examples")
    for _ in range(2):  # skipped, and asked about again
        card.locator("[name=question]").and_(page.locator(":focus")).wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("d")
        page.locator("#making :focus", has_text="Ask more about the same").press(
            "Enter"
        )
    card.locator("[name=question]").and_(page.locator(":focus")).press("Escape")
    page.keyboard.press("d")
    page.click("#making [data-do=add-text]")
    page.locator("#topic textarea:focus").wait_for()
    page.locator("#earlier summary").first.click()
    page.locator("#earlier [data-do=open]").last.click()
    page.wait_for_function(
        "document.querySelector('#making form') === null && window.scrollY === 0"
    )
