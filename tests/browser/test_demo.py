"""A shared demo in browsers: each sees its own work, and is told what the demo stores
and what is gone.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT, Workspace
from tests.browser import space_front
from tests.browser.conftest import FLAGS, PATIENCE, chromium_path, free_port, served
from tests.browser.steps import begin
from tests.browser.two_visitors import assert_two_stay_apart
from tests.linked_model import link_model
from tests.measured_speed import store_speed

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
]  # every day: tests/ui/web/test_isolation.py


@pytest.fixture(scope="module")
def demo(
    bundled_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    workspace = Workspace.open(folder / "workspace")
    link_model(bundled_model, workspace)
    store_speed(workspace)
    command = [
        sys.executable,
        str(PROJECT_ROOT / "app.py"),
        "--workspace",
        str(workspace.root),
    ]
    variables = {
        "APPRENTICE_DEMO": "1",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
    }
    with served(command, port, folder / "log.txt", variables) as url:
        yield url


def test_two_visitors_of_a_space_stay_apart(
    chromium: Any, workspace_with_model: Workspace, tmp_path: Path
) -> None:
    """As in test_space.py, but in this environment, without installing what a Space
    installs.
    """
    port = free_port()
    variables = {
        "SYSTEM": "spaces", "SPACE_ID": "owner/demo", "SPACE_HOST": space_front.SPACE,
        "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port),
    }  # fmt: skip
    command = [
        sys.executable,
        str(PROJECT_ROOT / "app.py"),
        "--workspace",
        str(workspace_with_model.root),
    ]
    with (
        served(command, port, tmp_path / "log.txt", variables),
        space_front.web(port, tmp_path) as flags,
    ):
        browser = chromium.browser_type.launch(
            executable_path=chromium_path(), args=[*FLAGS, *flags]
        )
        assert_two_stay_apart(browser)
        browser.close()


def test_after_a_restart_without_its_disk_the_page_says_what_is_gone(
    chromium: Any, demo: str
) -> None:
    page = chromium.new_context(viewport={"width": 390, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    forged = {
        "name": "apprentice-visitor",
        "value": f"{'0' * 64}.{'1' * 64}",
        "url": demo,
        "httpOnly": True,
    }
    page.context.add_cookies([forged])
    page.goto(demo)
    page.wait_for_selector("#demo-notice .alert >> text=restarted")
    page.reload()
    page.wait_for_selector("#demo-notice >> text=shared demo")
    assert not page.locator("#demo-notice .alert").count()
    notice, models = (
        page.locator(part).bounding_box()
        for part in ("#demo-notice", "#tab-runs-button")
    )
    assert models["y"] >= notice["y"] + notice["height"], (
        "My models lies upon the notice on a phone"
    )
    begin(page)
    page.locator("#to-data:visible").wait_for()
    assert not page.locator("[data-do=download]").count(), "a demo downloads no models"
    page.context.close()
