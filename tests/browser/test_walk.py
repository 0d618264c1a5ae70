"""The walk in docs/walk.md: what four people see, from the first visit to the file to
take away.

APPRENTICE_WALK=1 ./start.sh test tests/browser/test_walk.py -m slow      takes its pictures anew
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT
from tests.browser.steps import decide_all, go, start_training, still

pytestmark = pytest.mark.browser

DOCUMENT = PROJECT_ROOT / "docs" / "walk.md"
PICTURES = PROJECT_ROOT / "docs" / "walk"
SOURCES = PROJECT_ROOT / "tests" / "data" / "sources" / "conversations"
LONG = 2_400_000  # milliseconds: a whole training run, or its check, on a busy computer
WIDE, PHONE = (1280, 800), (390, 844)
QUESTION = "Do you have a plum slice today?"


class Camera:
    """Takes each scene wide and light, and at a phone's width in the dark."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self.folder = page, folder

    def take(self, name: str, at: str = "") -> None:
        """at: what is scrolled into view; the top of the page without it."""
        for look, (width, height) in (("phone-dark", PHONE), ("wide-light", WIDE)):
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.evaluate(
                "(dark) => document.body.classList.toggle('dark', dark)",
                look == "phone-dark",
            )
            if at:
                self.page.locator(at).first.evaluate(
                    "(e) => e.scrollIntoView({ block: 'start' })"
                )
                self.page.mouse.wheel(0, -80)  # below the bar that stays at the top
            else:
                self.page.evaluate("window.scrollTo(0, 0)")
            still(self.page)
            self.page.screenshot(
                path=self.folder / f"{name}-{look}.jpg", type="jpeg", quality=60
            )


@pytest.fixture
def camera(open_page: Callable[..., Any], real_page: str, tmp_path: Path) -> Camera:
    page = open_page(real_page, *WIDE)
    page.set_default_timeout(LONG)
    return Camera(page, PICTURES if os.environ.get("APPRENTICE_WALK") else tmp_path)


def add(page: Any, file: Path) -> None:
    """Brings the first examples on Data, and waits until they are asked about or shown
    as learned.
    """
    go(page, "data")
    page.locator("#tab-data input[type=file]").first.set_input_files(file)
    page.locator(
        "#decision :is(.ask, .confirming), #reading [data-asks] h2, #tab-data .few"
    ).first.wait_for()


@pytest.mark.slow
def test_from_a_first_visit_to_a_bakery_s_model(camera: Camera) -> None:
    page = camera.page
    page.locator("#tab-start .first").wait_for()
    camera.take("1-first-visit")
    page.locator("#tab-start .first textarea").fill(
        "two lamps from order 5512 came broken, money back please. jo"
    )
    page.get_by_role("button", name="Ask both").click()
    page.get_by_text("Answered just now").wait_for()
    camera.take("2-answered-live")
    page.click("#tab-start .begin")
    page.locator("#to-data:not([disabled])").wait_for()
    camera.take("3-what-to-learn")

    add(page, PROJECT_ROOT / "tests" / "data" / "bakery.csv")
    camera.take("4-bakery-one-question")
    decide_all(page)
    camera.take("5-bakery-learned")
    page.click("#to-train")
    page.wait_for_selector("#start-training:not([disabled])")
    camera.take("6-plan")
    start_training(page)
    page.locator(".samples .history").first.locator("dd").nth(
        2
    ).wait_for()  # before, after a while, as expected
    camera.take("7-answers-while-training", at="#tab-train .samples")
    page.locator("#tab-train .verdict").wait_for()
    camera.take("8-verdict")
    page.click("#to-try")
    page.locator("#question textarea").fill(QUESTION)
    page.click("#ask:not([disabled])")
    page.locator(".verified:visible", has_text="Verified").first.wait_for()
    page.locator("#ask:not([disabled])").wait_for()
    camera.take("9-both-answer", at="#talk")
    go(page, "share")
    camera.take("10-share")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file"),
    [("11-openai-file", "openai-chat.jsonl"), ("12-mailbox", "mailbox.mbox")],
)
def test_files_that_others_bring(camera: Camera, name: str, file: str) -> None:
    add(camera.page, SOURCES / file)
    camera.take(name)


def test_the_document_shows_every_picture() -> None:
    shown = re.findall(r"walk/([\w-]+\.jpg)", DOCUMENT.read_text("utf-8"))
    assert sorted(shown) == sorted(file.name for file in PICTURES.iterdir())
