"""The page as a person meets it, over made-up records: every tab, light and dark, wide
and on a phone.
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import until
from tests.browser.steps import (
    TABS,
    go,
    open_details,
    start_training,
    still,
    stored,
    take_sample,
    ticked,
    unfold,
)

pytestmark = pytest.mark.browser

AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
VIOLATIONS = "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.map((one) => one.html)]))"
Opens = Callable[..., Any]


def script(name: str) -> str:
    return (Path(__file__).parent / f"{name}.js").read_text("utf-8")


CONTRAST = script("contrast")


def violations(page: Any) -> Any:
    """What axe finds on the page as it stands."""
    page.evaluate(AXE)
    return page.evaluate(VIOLATIONS)


def assert_fits_and_can_be_read(page: Any, name: str = "") -> None:
    """In both themes, on a large screen and on a phone."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("dark", "light"):  # as gradio sets it
            page.evaluate(
                "(dark) => document.body.classList.toggle('dark', dark)",
                theme == "dark",
            )
            still(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (
                f"{name} is cut off"
            )
            assert page.evaluate(f"({CONTRAST})(4.5)") == [], (name, width, theme)
        assert violations(page) == [], (
            name,
            width,
        )  # all but the contrast is the same in the other theme
        main = page.evaluate(
            "document.querySelector('main').getBoundingClientRect().width"
        )
        assert main == min(width, 1088), "the page's width follows what it holds"


NAMED_OTHERWISE = """() => {
  const plain = (text) => text.replace(/\\s+/g, ' ').trim().toLowerCase();
  return [...document.querySelectorAll('main button, main a, main summary, main [role=button], main [role=tab]')]
    .filter((one) => one.hasAttribute('aria-label') && one.innerText.trim() && one.checkVisibility())
    .map((one) => [plain(one.innerText), plain(one.getAttribute('aria-label'))])
    .filter(([shown, named]) => !named.includes(shown));
}"""  # whoever speaks to the page says what is written on a button (WCAG 2.5.3)


def test_every_tab_fits_can_be_read_and_takes_nothing_from_elsewhere(
    open_page: Opens, drawn_page: str
) -> None:
    asked, faults = [], []

    def watch(page: Any) -> None:
        page.on("request", lambda request: asked.append(request.url))
        page.on(
            "console",
            lambda message: message.type == "error" and faults.append(message.text),
        )
        page.on("pageerror", lambda error: faults.append(str(error)))

    page = open_page(f"{drawn_page}/?__theme=dark", watch=watch)
    assert page.evaluate("document.body.classList.contains('dark')")
    take_sample(page)
    start_training(page)
    named = 0
    for name in TABS:
        go(page, name)
        if name == "data":
            open_details(page)
        assert_fits_and_can_be_read(page, name)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.evaluate(
            "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
        )
        still(page)
        named += page.locator("main button[aria-label]:visible").count()
        assert page.evaluate(NAMED_OTHERWISE) == [], name
    assert named > 20
    assert len(asked) > 10
    assert (
        [url for url in asked if not url.startswith((drawn_page, "data:", "blob:"))],
        faults,
    ) == ([], [])


OPEN_ALL = """() => {
  for (const fold of document.querySelectorAll('main details:not(#endpoint-key *)')) fold.open = true;
  for (const fold of document.querySelectorAll('main .label-wrap:not(.open)')) if (fold.offsetParent) fold.click();
}"""


@pytest.mark.slow
def test_no_panel_has_a_fault_of_accessibility(
    open_page: Opens, newcomers_page: str, drawn_page: str
) -> None:
    page = open_page(newcomers_page)
    page.locator("#tab-start .first").wait_for()
    assert violations(page) == []
    page = open_page(drawn_page)
    go(page, "data")
    page.get_by_role("tab", name="Type").click()
    assert violations(page) == []
    page.locator(".make-examples textarea").fill("Questions to a bicycle workshop")
    page.click("#make-examples")
    page.locator("#making form.making").wait_for()
    assert violations(page) == []
    go(page, "runs")
    page.click("button[data-do=open][data-value=run-a]")
    page.wait_for_selector("#to-try:visible")
    for name in ("train", "try", "share", "start", "data"):
        go(page, name)
        for _ in range(2):  # folds within folds
            page.evaluate(OPEN_ALL)
            still(page)
        if name == "share":
            page.click("#endpoint-start")
            page.locator("#endpoint-stop").wait_for()
        assert violations(page) == [], name


def test_a_choice_made_before_the_server_has_answered_stands(
    open_page: Opens, drawn_page: str
) -> None:
    """Also one that is sent while the server closes the stream of answers. What the
    browser kept of an earlier visit comes back at once, and neither it nor a late
    answer takes a newer choice back.
    """
    page = open_page(drawn_page, script=script("closes_late"))
    page.wait_for_function("!!window.close_now")
    with page.expect_response("**/queue/join*"):
        page.get_by_label("Write in a style").check()
    page.evaluate("close_now()")
    page.wait_for_selector("#reached [data-done~=start]", state="attached")
    stored(page, "task", "write")
    held: list[Any] = []
    holding = [True]  # the server's answers stay away
    page.route(
        "**/{queue/join,pulse}*",
        lambda route: held.append(route) if holding else route.continue_(),
    )
    page.reload()
    page.wait_for_selector(".choices label.selected:has-text('Write in a style')")
    page.get_by_label("Answer in our voice").check()
    holding.clear()
    for one in held:
        one.continue_()
    page.wait_for_selector("#to-data:not([disabled])")
    ticked(page)
    assert page.get_by_label("Answer in our voice").is_checked()
    page.add_init_script(script("chooses_at_once"))
    page.reload()
    stored(page, "task", "extract")
    ticked(page)
    assert page.get_by_label("Pull data out of text").is_checked()


def test_a_model_is_checked_and_its_answers_are_read(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(drawn_page)
    go(page, "runs")
    page.click("button[data-do=open][data-value=run-a]")
    page.wait_for_selector("#tab-train-button[aria-selected=true]")
    go(page, "try")
    page.click("#evaluate-prompts:not([disabled])")
    page.locator("#evaluate-cancel").wait_for()
    page.locator("#evaluation .alert.good").first.wait_for()  # by the tick
    assert page.locator("#evaluation .rows").first.locator("dt").count() == 4
    page.click("#evaluation [data-key=answers] > summary")
    answers = page.locator("#report-answers article")
    assert answers.locator("visible=true").count() == 8
    page.locator(".only-mistakes input").check()
    assert answers.locator("visible=true").count() == 2
    assert_fits_and_can_be_read(page)
    go(page, "runs")
    page.locator("#run-list", has_text="6 of 8 right").wait_for()


def test_steps_and_details_open_by_keyboard_and_details_stay_open(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(drawn_page)
    page.focus("#tab-start-button")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#tab-data-button[aria-selected=true]")
    outline = page.evaluate(
        "getComputedStyle(document.querySelector('#tab-data-button')).outlineStyle"
    )
    assert outline == "solid", "the focus can't be seen"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#tab-runs-button[aria-selected=true]")
    go(page, "start")
    title = page.locator("#computer-and-models > button")
    assert title.get_attribute("aria-expanded") == "false"
    assert page.get_by_role("button", name="Details", exact=True).count() == 1, (
        "its triangle is no word"
    )
    for opened in ("true", "false"):
        title.press("Enter")
        page.wait_for_selector(f"#computer-and-models > button[aria-expanded={opened}]")
        page.reload()  # also on the next visit
        page.wait_for_selector("#to-data:not([disabled])")
        page.wait_for_selector(f"#computer-and-models > button[aria-expanded={opened}]")


@pytest.mark.slow
def test_models_sort_by_quality_time_and_language(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(drawn_page)
    take_sample(page)  # the time depends on the examples
    go(page, "start")
    page.locator("#computer-and-models > button").click()
    page.locator(
        "table.models td[data-name=Time]"
    ).first.wait_for()  # the table is drawn again for these examples
    order = page.get_by_label("Sort by", exact=True)
    recommended = names(page)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        sort_by_each(page, order, recommended)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for _ in range(2):  # a phone has no row of headers
        page.get_by_role("button", name="Expected quality", exact=True).click()
    until(lambda: names(page)[:1] == ["Gemma 2 9B"])
    assert (
        page.locator("th[aria-sort=descending]")
        .inner_text()
        .startswith("Expected quality")
    )
    assert order.input_value() == "Expected quality"


def sort_by_each(page: Any, order: Any, recommended: list[str]) -> None:
    order.select_option("Expected quality")
    until(
        lambda: (
            names(page)
            == [
                "Llama 3.2 3B",
                "Llama 3.1 8B",
                "SmolLM2 135M",
                "Llama 3.2 1B",
                "Gemma 2 9B",
            ]
        )
    )
    order.select_option("Time")
    until(lambda: names(page)[:3] == ["SmolLM2 135M", "Llama 3.2 1B", "Llama 3.2 3B"])
    order.select_option("Languages")
    until(
        lambda: {*names(page)[:3]} == {"Llama 3.2 1B", "Llama 3.2 3B", "Llama 3.1 8B"}
    )
    draw_models_again(page)  # waits for the new table
    assert {*names(page)[:3]} == {"Llama 3.2 1B", "Llama 3.2 3B", "Llama 3.1 8B"}, (
        "the order is forgotten"
    )
    assert order.input_value() == "Languages"
    order.select_option("Recommended first")
    until(lambda: names(page) == recommended)


def names(page: Any) -> list[str]:
    """The models that the table shows."""
    return page.locator(
        "table.models tbody tr:visible td[data-name=Model] strong"
    ).all_inner_texts()


def draw_models_again(page: Any) -> None:
    """Chooses another model, by no key and no mouse."""
    page.evaluate("document.querySelector('.filters').dataset.old = ''")
    page.evaluate(
        "document.querySelector('table.models button[data-do=model]').click()"
    )
    page.wait_for_selector(".filters[data-kept]:not([data-old])")


def test_models_are_found_by_typing(open_page: Opens, drawn_page: str) -> None:
    page = open_page(drawn_page)
    page.locator("#computer-and-models > button").click()
    search = page.get_by_label("Search by name, language, license or use")
    page.get_by_label("Sort by", exact=True).select_option("Needs")
    search.press_sequentially("llama COMMUNITY")  # a name and a license
    page.get_by_text("3 of 5 models are shown.").wait_for()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert names(page) == ["Llama 3.2 1B", "Llama 3.2 3B", "Llama 3.1 8B"], (
            "1.9 GB comes before 14.2 GB"
        )
        draw_models_again(page)
    assert names(page) == ["Llama 3.2 1B", "Llama 3.2 3B", "Llama 3.1 8B"], (
        "sorting and filter are forgotten"
    )
    search.press_sequentially(" big")  # whether it fits
    page.get_by_text("1 of 5 models are shown.").wait_for()
    draw_models_again(page)
    assert names(page) == ["Llama 3.1 8B"]
    page.keyboard.type("x")
    assert search.input_value() == "llama COMMUNITY bigx", (
        "what was typed, or the keyboard's place in it, is lost"
    )
    page.get_by_text("No model matches; clear the search.").wait_for()
    assert names(page) == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "Clear the search"
    assert len(names(page)) == 5
    assert search.evaluate(
        "(field) => field === document.activeElement && !field.value"
    )
    assert page.get_by_role("button", name="Clear the search").is_hidden()
    search.fill("8B")
    page.evaluate(
        "(e => { e.outerHTML = e.outerHTML.replace('data-kept', '') })(document.querySelector('.filters'))"
    )
    page.get_by_text("1 of 5 models are shown.").wait_for()
    assert search.input_value() == "8B", "what was typed is lost with the field"


@pytest.mark.slow
def test_an_access_token_is_saved_and_deleted_and_never_sent_back(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(drawn_page)
    page.locator("#computer-and-models > button").click()
    page.get_by_role("button", name="Choose Llama 3.2 3B").click()
    field = page.get_by_label("Access token")
    field.wait_for()
    ticked(page)
    field.fill("my password")
    page.keyboard.press("Enter")
    page.wait_for_selector(".toast-body")
    page.keyboard.press("Escape")
    page.wait_for_selector(".toast-body", state="detached")
    assert_fits_and_can_be_read(page)
    field.fill("hf_s3cr3t")
    page.click("form[data-send=token] button")
    forget = page.locator("#tab-start [data-do=forget-token]")
    forget.wait_for(state="attached")
    assert (
        "s3cr3t"
        not in page.content()
        + page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        + page.url
    )
    page.click("#tab-start .access .confirm > summary")
    assert_fits_and_can_be_read(page)
    forget.click()
    field.wait_for()
    assert field.input_value() == ""


@pytest.mark.slow
def test_while_a_run_has_nothing_to_try_an_older_model_opens_there(
    open_page: Opens, drawn_page: str
) -> None:
    page = open_page(drawn_page)
    take_sample(page)
    go(page, "train")
    unfold(page)
    page.get_by_label("A name for your model").fill("Second try")
    start_training(page)
    page.reload()
    go(page, "share")
    page.locator("#tab-share .guide").get_by_text("Second try").wait_for()
    page.locator("#export-script").wait_for()
    assert not page.locator("#export").is_visible()
    go(page, "try")
    page.locator("#tab-try .guide").get_by_text("Second try").wait_for()
    page.locator("#ready-to-try").get_by_role(
        "button", name="Open Orders to fields"
    ).click()
    page.wait_for_selector("#ask:not([disabled])")
    page.locator("#tab-try .guide").get_by_text("Orders to fields").wait_for()
    assert page.locator("#tab-try").is_visible(), "it is opened there"
    go(page, "share")
    page.locator("#tab-share .guide").get_by_text("Orders to fields").wait_for()
    page.wait_for_selector("#export:not([disabled])")
    assert page.get_by_label("One folder to give to others").is_checked(), (
        "no other way was chosen"
    )
    go(page, "runs")
    page.get_by_role("button", name="Open Second try").first.click()
    page.locator("#tab-train .guide").get_by_text("Second try").wait_for()
    page.locator("#stop").wait_for()


@pytest.mark.parametrize(
    ("width", "height"), [(390, 844), pytest.param(1280, 800, marks=pytest.mark.slow)]
)
def test_a_steps_button_never_covers_the_focus(
    open_page: Opens, drawn_page: str, width: int, height: int
) -> None:
    page = open_page(drawn_page, width, height)
    covered = """() => {
      const bar = document.querySelector('#tab-start .foot'), focused = document.activeElement;
      if (focused === document.body || bar.contains(focused)) return false;
      return focused.getBoundingClientRect().bottom > bar.getBoundingClientRect().top + 1;
    }"""
    for name in ("start", "data", "train", "try", "share"):
        go(page, name)
        bar = page.locator(f"#tab-{name} .foot:visible").bounding_box()
        assert bar["y"] + bar["height"] <= height, name
        assert bar["height"] < height / 5, name
    go(page, "start")
    page.evaluate(
        "document.querySelector('#at-work ul')?.remove()"
    )  # it moves the rest down, while there is any
    details, bar = (
        page.locator(f"#tab-start {one}").bounding_box()
        for one in ("#computer-and-models", ".foot")
    )
    assert details["y"] + details["height"] <= bar["y"], "the details are in view"
    page.click("#computer-and-models > button")
    for _ in range(25):
        page.keyboard.press("Tab")
        assert not page.evaluate(covered), page.evaluate(
            "document.activeElement.outerHTML"
        )
