"""Chromium for the tests that look at the page. They are left out where it is not installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = 30_000  # milliseconds that a test waits for something to appear


def chromium_path() -> str | None:
    """Debian's Chromium, or the one named by $CHROMIUM."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="package")  # ends with the browser tests: while it is open, no other test can run an event loop
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    path = chromium_path()
    if path is None:
        assert not os.environ.get("CI"), "Chromium is not installed"
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a browser context of its own: `open_page(url, width=…, height=…)`. script: runs before the
    page's own."""
    with contextlib.ExitStack() as stack:

        def opens(url: str, width: int = 1280, height: int = 900, script: str = "", **options: Any) -> Any:
            context = chromium.new_context(viewport={"width": width, "height": height}, **options)
            stack.callback(context.close)
            if script:
                context.add_init_script(script)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(url)
            page.wait_for_selector("#rail [role=tab]")
            return page

        yield opens


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(command: list[str], port: int, log: Path, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Runs a server of ours until the block ends; gives its address once it answers."""
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=PROJECT_ROOT, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
    try:
        for _ in range(300):
            if server.poll() is not None:
                pytest.fail(f"The server ended: {log.read_text('utf-8')[-2000:]}")
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
                break
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def drawn_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page over made-up records."""
    port = free_port()
    log = tmp_path_factory.mktemp("page") / "log.txt"
    with served([sys.executable, "-m", "tests.ui.fake_page", str(port)], port, log) as url:
        yield url
