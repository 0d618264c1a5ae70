"""The folder that `space` writes, as a Space: installed as Spaces do, started with
their variables, used in a frame.

As user 1000 with a read-only home where the test may change the user, which only root
may.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from backend.export import space
from tests.browser import space_front
from tests.browser.conftest import FLAGS, PATIENCE, chromium_path, free_port, served
from tests.browser.steps import go, take_sample
from tests.browser.two_visitors import assert_two_stay_apart

pytestmark = [
    pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="Spaces run on Linux"),
]  # fmt: skip
ROOT = os.name == "posix" and os.geteuid() == 0
USER = 1000
WORKSPACE = Path("/var/tmp/apprentice")
UNPACKING = 600_000  # milliseconds at most


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    made = Path(tempfile.mkdtemp(prefix="space-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that the user of the test may start."""
    for found in (
        getattr(sys, "_base_executable", ""),
        f"/usr/bin/python3.{sys.version_info.minor}",
    ):
        if (
            found
            and subprocess.run(
                [*as_user(), found, "-c", "import ensurepip"], capture_output=True
            ).returncode
            == 0
        ):
            return str(found)
    pytest.skip("No Python that another user can start")


def as_user(**environment: str) -> list[str]:
    """What a command begins with to run with this environment only, for root as another
    user.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name == "PATH"
    }
    variables = [
        f"{name}={value}"
        for name, value in {**kept, "LANG": "C.UTF-8", **environment}.items()
    ]
    user = (
        ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        if ROOT
        else []
    )
    return [*user, "env", "-i", *variables]


@pytest.fixture(scope="module")
def installed(folder: Path, python: str) -> Path:
    """The Space's folder, and next to it `environment` with its requirements, all in
    one call as Spaces do it. Only torch is the one that this environment has: its own
    comes from an index that a test can't expect to reach.
    """
    written = space.write(folder / "app", "cpu-basic").folder
    lines = (written / "requirements.txt").read_text("utf-8").splitlines()
    assert lines[-1] == space.torch_for("cpu-basic")
    requirements = folder / "requirements.txt"
    torch = metadata.version("torch").partition("+")[0]
    requirements.write_text("\n".join([*lines[:-1], f"torch=={torch}", ""]), "utf-8")
    home, environment = folder / "home", folder / "environment"
    for made in (home, environment):
        made.mkdir()
    if ROOT:
        os.chown(environment, USER, USER)
    home.chmod(0o555)
    user = as_user(HOME=str(home))
    gradio = next(line for line in lines if line.startswith("gradio=="))
    together = [
        gradio.replace("gradio", "gradio[oauth,mcp]"),
        "uvicorn>=0.14.0",
        "websockets>=10.4",
        "spaces",
    ]
    for command in (
        [python, "-m", "venv", str(environment)],
        [
            str(environment / "bin/pip"),
            "install",
            "-q",
            "--no-cache-dir",
            "-r",
            str(requirements),
            *together,
        ],
    ):
        done = subprocess.run(
            [*user, *command], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return written


@pytest.fixture(scope="module")
def port(installed: Path, folder: Path) -> Iterator[int]:
    """The port of the Space's app, once it answers; the workspace is where the app puts
    it by itself.
    """
    assert not WORKSPACE.exists(), f"{WORKSPACE} is in the way"
    port = free_port()
    command = as_user(
        HOME=str(folder / "home"), SYSTEM="spaces", SPACE_ID="owner/demo", SPACE_HOST=space_front.SPACE,
        SPACE_AUTHOR_NAME="owner", SPACE_REPO_NAME="demo", GRADIO_SERVER_NAME="0.0.0.0", GRADIO_SERVER_PORT=str(port),
        GRADIO_SSR_MODE="true", CPU_CORES="2", MEMORY="16Gi", ACCELERATOR="none", OAUTH_CLIENT_ID="demo",
        OAUTH_CLIENT_SECRET="of-a-test", OAUTH_SCOPES="openid profile", OPENID_PROVIDER_URL="https://huggingface.co",
    )  # fmt: skip
    command += [
        str(folder / "environment/bin/python"),
        str(installed / space.PROGRAM / "app.py"),
    ]
    try:
        with served(command, port, folder / "log.txt"):
            yield port
    finally:
        shutil.rmtree(WORKSPACE, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(port: int, folder: Path, chromium: Any) -> Iterator[Any]:
    """A browser for which the Space has its public address."""
    with space_front.web(port, folder) as flags:
        opened = chromium.browser_type.launch(
            executable_path=chromium_path(), args=[*FLAGS, *flags]
        )
        yield opened
        opened.close()


def frame_on(browser: Any, site: str) -> Any:
    """The frame with the Space in a page of another site."""
    page = browser.new_page(viewport={"width": 1400, "height": 1700})
    page.set_default_timeout(PATIENCE)
    page.goto(f"https://{site}/spaces/owner/demo")
    return page.query_selector("iframe").content_frame()


def test_the_page_is_used_in_a_frame_of_the_hub(browser: Any) -> None:
    frame = frame_on(browser, space_front.HUB)
    frame.wait_for_selector("#rail [role=tab]")
    assert (
        frame.evaluate("window.top !== window && location.origin")
        == f"https://{space_front.SPACE}"
    )
    take_sample(frame, UNPACKING)
    go(frame, "train")
    frame.wait_for_selector("#start-training:not([disabled])")
    go(frame, "runs")


def test_two_visitors_train_chat_and_download_at_once_and_stay_apart(
    browser: Any,
) -> None:
    assert_two_stay_apart(browser)


def test_no_other_site_can_frame_it(browser: Any) -> None:
    frame = frame_on(browser, space_front.ELSEWHERE)
    frame.wait_for_load_state()
    assert not frame.query_selector("#rail")


def test_nothing_is_written_into_the_home_or_next_to_the_program(
    port: int, folder: Path, installed: Path
) -> None:
    assert (WORKSPACE / "models").is_dir()
    assert not list((folder / "home").iterdir())
    assert sorted(path.name for path in installed.iterdir()) == [
        "README.md",
        "apprentice",
        "requirements.txt",
    ]
