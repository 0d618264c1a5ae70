"""What a person does on the page, and what a test waits for: a state, never a time."""

import json
import re
from collections.abc import Callable
from typing import Any

ANSWERS = "#decision :is(.confirming > button, .acts button)"
TABS = ("start", "data", "train", "try", "share", "runs")

# Nothing on the page has changed for the time of a few frames.
_STILL = """new Promise((done) => {
  let timer = setTimeout(done, 150);
  new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 150); })
    .observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true });
})"""
# A button that has just been enabled still fades from one color to another.
_COLORS_ARE_FINAL = "!document.getAnimations().some((e) => e instanceof CSSTransition && e.playState === 'running')"


def go(page: Any, name: str) -> None:
    """Opens a tab."""
    page.click(f"#tab-{name}-button")
    page.wait_for_selector(f"#tab-{name} .guide-line")
    painted(page)


def another(page: Any, url: str) -> Any:
    """A further page of the same browser."""
    page = page.context.new_page()
    page.goto(url)
    page.wait_for_selector("#rail [role=tab]")
    return page


def unfold(page: Any) -> None:
    """Opens the fold of all training settings."""
    page.click("#advanced button.label-wrap")
    page.wait_for_selector("#set-seed input")
    painted(page)


def take_sample(page: Any, patience: float | None = None) -> None:
    """Chooses the orders sample on Data and takes the first answer to each question
    about it. patience: milliseconds until it was read, for which the model may have to
    be unpacked.
    """
    go(page, "data")
    page.click("[data-do=sample][data-value=orders]")
    decide_all(page, patience)


def decide_all(
    page: Any, patience: float | None = None, then: Callable[[], object] = lambda: None
) -> int:
    """Takes the first answer to each question that Data asks, and does something after
    each; returns how many. Between two of them the card is away for a moment while the
    examples are read anew: that nothing is asked any more is seen at the button that
    leads on.
    """
    asked, ready = (
        page.locator(ANSWERS),
        page.locator("#to-train:not([disabled])"),
    )
    asked.or_(ready).first.wait_for(timeout=patience)
    decisions = 0
    while decide(page):
        decisions += 1
        then()
        asked.or_(ready).first.wait_for()
    ready.wait_for()
    return decisions


def decide(page: Any) -> bool:
    """Takes the first answer to the question that Data asks, for all rows like this.
    False when none is asked.
    """
    answers = page.locator(ANSWERS)
    if not answers.count():
        return False
    asked = page.locator("#decision").first.inner_text()
    every = answers.filter(has_text=re.compile(r"^\s*(?!Keep).*\b(all|both)\b"))
    (every if every.count() else answers).first.click()
    page.wait_for_function(
        "(asked) => document.querySelector('#decision')?.innerText !== asked", arg=asked
    )
    return True


def open_details(page: Any) -> None:
    """Opens the details on Data, with the preview in them."""
    page.click("#data-details > button:not(.open)")
    page.locator("#preview").wait_for()
    painted(page)


def coming_back(page: Any) -> str:
    """A script for `open_page`: another page of the same server then has the examples
    and the run of this one.
    """
    return f"sessionStorage.apprentice ??= {json.dumps(page.evaluate('sessionStorage.apprentice'))};"


def start_training(page: Any) -> None:
    go(page, "train")
    page.click("#start-training")
    page.wait_for_selector(".samples .history")


def painted(page: Any) -> None:
    """Waits until the page has been painted: gradio draws the fields of a tab or fold
    as it opens, and in the next frame, before anybody sees them, writes their first
    values into them once more.
    """
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def still(page: Any) -> None:
    """Waits until the page stands still: what was asked for is drawn, in its final
    colors.
    """
    page.evaluate(_STILL)
    page.wait_for_function(_COLORS_ARE_FINAL)


def ticked(page: Any) -> None:
    """Waits until the page has asked twice whether anything changed, so that late
    answers had their chance.
    """
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/pulse")):
            pass
    still(page)


def begin(page: Any) -> None:
    """Goes past the finished apprentice, which stands first where there are neither
    examples nor models.
    """
    page.locator("#to-data:visible, #tab-start .begin:visible").first.wait_for()
    page.evaluate(
        "document.querySelector('#tab-start .begin')?.click()"
    )  # at once: it goes where examples are found


def stored(page: Any, field: str, value: object) -> None:
    """Waits until the browser has stored this value of a field of the page's choice."""
    page.wait_for_function(
        "([field, value]) => JSON.parse(sessionStorage.apprentice ?? '{}')[field] === value",
        arg=[field, value],
    )
