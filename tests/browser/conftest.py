"""Chromium for the tests that look at the page. They are skipped where it is not
installed.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import pytest

from backend.export.page_check import browser as chromium_path
from backend.settings import HOME_VARIABLE, PROJECT_ROOT, Workspace
from tests.jobs.conftest import until as soon
from tests.linked_model import link_model
from tests.measured_speed import store_speed
from ui.web.key import of as key_of

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--force-prefers-reduced-motion", "--disable-smooth-scrolling",
    "--disable-extensions", "--num-raster-threads=1", "--disable-software-rasterizer",
    "--disable-features=Translate,MediaRouter,OptimizationHints,site-per-process,V8FlushBytecode",
)  # fmt: skip
PATIENCE = 90_000  # milliseconds that a test waits for something to appear; a computer may be busy
until = partial(
    soon, seconds=300.0, pause=0.3
)  # waits without the page, which would be asked for every frame


@pytest.fixture(
    scope="package"
)  # ends with the browser tests: while it is open, no other test can run an event loop
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser whose first context remembers compiled JavaScript on disk: its pages
    take half of the time to load.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    path = (
        shutil.which("chromium-headless-shell") or chromium_path()
    )  # which draws nothing that nobody sees
    if path is None:
        assert not os.environ.get("CI"), "Chromium is not installed"
        pytest.skip("Chromium is not installed")
    with (
        sync_api.sync_playwright() as playwright,
        pytest.MonkeyPatch.context() as patch,
    ):
        # A page that is asked in every frame draws them all, for a tenth of a
        # processor.
        seldom = partialmethod(sync_api.Page.wait_for_function, polling=50)
        patch.setattr(sync_api.Page, "wait_for_function", seldom)
        profile = tmp_path_factory.mktemp("profile")
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=path, args=list(FLAGS)
        )
        yield context.browser
        context.close()


@pytest.fixture(scope="package")
def contexts(chromium: Any) -> dict[str, Any]:
    """Browser contexts by their options, which tests share for the sake of what they
    cached.
    """
    return {"[]": chromium.contexts[0]}


@pytest.fixture
def open_page(chromium: Any, contexts: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Opens an address in a browser that remembers nothing of another test:
    `open_page(url, width=…, height=…)`. script: runs before the page's own. watch: gets
    the page before it opens the address.
    """
    used: dict[str, set[str]] = {}  # the addresses opened in each context

    def opens(
        url: str, width: int = 1280, height: int = 900, script: str = "",
        watch: Callable[[Any], object] = lambda page: None, **options: Any,
    ) -> Any:  # fmt: skip
        key = repr(sorted(options.items()))
        if key not in contexts:
            contexts[key] = chromium.new_context(**options)
            contexts[key].new_page()  # see forget
        contexts[key].set_default_timeout(PATIENCE)
        used.setdefault(key, set()).add(url)
        page = contexts[key].new_page()
        page.set_viewport_size({"width": width, "height": height})
        if script:
            page.add_init_script(script)
        watch(page)
        page.goto(url)
        page.wait_for_selector("#rail [role=tab]")
        return page

    yield opens
    for key, urls in used.items():
        forget(contexts[key], urls)


def forget(context: Any, urls: Iterable[str]) -> None:
    """Closes all pages and deletes what they stored, but not the files of the page that
    the browser cached. The first page, a blank one, keeps the window open: another one
    costs a second of the processor.
    """
    blank, *pages = context.pages
    for page in pages:
        page.close()
    context.clear_cookies()
    session = context.new_cdp_session(blank)
    for url in urls:
        stored = {
            "origin": "/".join(url.split("/")[:3]),
            "storageTypes": "local_storage,indexeddb,cache_storage",
        }
        session.send("Storage.clearDataForOrigin", stored)
    session.detach()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(
    command: list[str], port: int, log: Path, environment: dict[str, str] | None = None
) -> Iterator[str]:
    """Runs a server of ours until the block ends; gives its address once it answers."""
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
    try:
        for _ in range(1200):
            if server.poll() is not None:
                pytest.fail(f"The server ended: {log.read_text('utf-8')[-2000:]}")
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except urllib.error.HTTPError:  # it wants its key
                break
            except OSError:
                pass
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
def made_up_pages(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, list[str]]]:
    """The addresses of the pages over made-up records, and the file while which is
    there slow answers wait.
    """
    folder, ports = tmp_path_factory.mktemp("pages"), [free_port() for _ in range(4)]
    command = [
        sys.executable,
        "-m",
        "tests.browser.made_up_pages",
        str(folder / "hold"),
        *map(str, ports),
    ]
    with served(command, ports[-1], folder / "log.txt"):  # the last one to answer
        yield folder / "hold", [f"http://127.0.0.1:{port}" for port in ports]
        (folder / "hold").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def drawn_page(made_up_pages: tuple[Path, list[str]]) -> str:
    return made_up_pages[1][0]


@pytest.fixture(scope="session")
def newcomers_page(made_up_pages: tuple[Path, list[str]]) -> str:
    """Without any examples or models of the person's own."""
    return made_up_pages[1][1]


@pytest.fixture(scope="session")
def held(made_up_pages: tuple[Path, list[str]]) -> tuple[str, Path]:
    """One of its own for tests that hold back slow answers, and the file for it."""
    return made_up_pages[1][2], made_up_pages[0]


@pytest.fixture(scope="session")
def changing_page(held: tuple[str, Path]) -> str:
    """The same, for tests that change the examples, or see which runs train."""
    return held[0]


@pytest.fixture(scope="session")
def injected_page(made_up_pages: tuple[Path, list[str]]) -> str:
    return made_up_pages[1][3]


@contextlib.contextmanager
def app_page(workspace: Workspace, port: int = 0) -> Iterator[str]:
    """Serves the page over the real services until the block ends, at a free port
    unless one is named; gives the address that only its owner opens.
    """
    port = port or free_port()
    command = [sys.executable, "app.py", "serve", "--no-browser", "--port", str(port)]
    with served(
        command,
        port,
        workspace.root / "serve.txt",
        {HOME_VARIABLE: str(workspace.root)},
    ) as url:
        yield f"{url}/?key={key_of(workspace)}"


@pytest.fixture(scope="package")
def real_page(
    bundled_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """That page over the bundled model. What a test imports stays in its workspace."""
    workspace = Workspace.open(tmp_path_factory.mktemp("real") / "workspace")
    link_model(bundled_model, workspace)
    store_speed(workspace)
    with app_page(workspace) as url:
        yield url
