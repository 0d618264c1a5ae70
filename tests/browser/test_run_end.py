"""The tab's title, and a notification, follow a training to its end, on whatever step
the page is.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.steps import go, start_training, take_sample

pytestmark = pytest.mark.browser
# Stands in for the browser's own, which asks in a window that no test can reach.
NOTIFICATION = """
window.shown = [];
window.Notification = class {
  static permission = 'default';
  static async requestPermission() { window.Notification.permission = 'granted'; }
  constructor(title, { body }) { window.shown.push(body); }
};
"""


def test_a_training_is_followed_to_its_end(
    open_page: Callable[..., Any], changing_page: str
) -> None:
    page = open_page(changing_page, script=NOTIFICATION)
    page.wait_for_function(
        "document.title === '91% - Apprentice'"
    )  # a run that already trains
    take_sample(page)
    start_training(page)
    page.wait_for_function("document.title === '37% - Apprentice'")
    page.click("#notify")
    page.wait_for_selector("#notify", state="hidden")
    page.wait_for_function("window.shown.length === 1")  # that it will be notified
    page.wait_for_selector("#stop:visible")
    page.click("#stop")
    page.wait_for_function("window.shown.length === 2")
    assert "stopped" in page.evaluate("window.shown[1]")
    go(page, "start")
    page.wait_for_function(
        "document.title === '91% - Apprentice'"
    )  # the other one still trains
