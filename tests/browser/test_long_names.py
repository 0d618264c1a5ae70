"""Names that are long and have no spaces leave everything within its card and the
window.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import free_port, served
from tests.browser.steps import TABS, go, open_details, still, take_sample

pytestmark = pytest.mark.browser

OUTSIDE = (Path(__file__).parent / "outside.js").read_text("utf-8")


@pytest.mark.slow
def test_long_names_stay_within_their_cards(
    open_page: Callable[..., Any], tmp_path: Path
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.browser.long_page", str(port)]
    with served(command, port, tmp_path / "log.txt") as url:
        page = open_page(url)
        take_sample(page)
        open_details(page)
        page.locator("#tab-data summary", has_text="How this file was read").click()
        page.get_by_role("button", name="Choose other examples").click()
        page.locator("#earlier summary").first.click()
        go(page, "runs")
        page.locator("#run-list [data-do=open]").last.click()
        page.wait_for_selector("#to-try:visible")
        go(page, "share")
        page.click("#export")
        page.locator("#tab-share a[download]").first.wait_for()
        go(page, "runs")
        page.locator("#run-list [data-do=compare]").first.click()
        page.locator("table.compared").first.wait_for()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            for name in TABS:
                go(page, name)
                still(page)
                assert page.evaluate(f"({OUTSIDE})()") == [], (name, width)
