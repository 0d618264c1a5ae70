"""Shared by the tests of the page."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import gradio as gr
import pytest

from backend.models import local
from backend.tokens.tokenizer import ChatTokenizer
from tests.ui import made_up_workspace
from tests.ui.made_up_app import MadeUpApp
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.page import Page, build

Made = TypeVar("Made")


loaded: dict[object, ChatTokenizer] = {}  # the tokenizers of all tests


@pytest.fixture(autouse=True)
def tokenizers_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled model's takes part of a second to load, and each test has links to
    its files in a new workspace.
    """

    def load(path: Path, _: int) -> ChatTokenizer:
        key = frozenset(
            (file.name, file.stat().st_ino, file.stat().st_mtime_ns)
            for file in path.iterdir()
        )
        return loaded.get(key) or loaded.setdefault(key, ChatTokenizer.load(path))

    monkeypatch.setattr(local, "_load_tokenizer", load)


def in_loop(make: Callable[[], Made]) -> Made:
    """Builds gradio components inside a running event loop: outside one, gradio opens
    loops and never closes them. In a new thread, since this one may run a loop already
    (playwright's).
    """

    async def making() -> Made:
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(making())).result()


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up workspace. Nothing changes it; `app` is over a copy."""
    root = tmp_path_factory.mktemp("made-up") / "workspace"
    made_up_workspace.write(root)
    return root


@pytest.fixture
def app(made_up: Path, tmp_path: Path) -> Iterator[MadeUpApp]:
    app = MadeUpApp(made_up, tmp_path / "made-up")
    yield app
    app.close()


@pytest.fixture
def page(app: MadeUpApp) -> Page:
    return page_of(app)


class Newest:
    """Stands for the newest MadeUpApp, whose services are looked up at every use, as in
    ui/web/per_visitor.py.
    """

    app: MadeUpApp

    def __getattr__(self, name: str) -> Any:
        return Service(name) if name in vars(self.app) else getattr(self.app, name)


class Service:
    """A service of the newest MadeUpApp."""

    def __init__(self, name: str) -> None:
        vars(self)["_name"] = name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(Newest.app, vars(self)["_name"]), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(getattr(Newest.app, vars(self)["_name"]), name, value)


@cache
def _page_of_the_newest() -> Page:
    return in_loop(lambda: build(cast(App, Newest())))


def page_of(app: App) -> Page:
    """The page over `app`. For all MadeUpApps it is the same one, since a page stores
    nothing and takes part of a second to build. Only the app passed last answers in it.
    """
    if type(app) is not MadeUpApp:
        return in_loop(lambda: build(app))
    Newest.app = app
    return _page_of_the_newest()


def text_of(html: str) -> str:
    """What a person reads of it."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def tabs(app: App) -> dict[str, Any]:
    """The tabs of the page over this app."""
    return page_of(app).tabs


def answer(
    page: Page, component: Any, event: str, choice: Choice, inputs: dict[Any, Any] | None = None,
    clicked: tuple[str, str] | None = None,
) -> dict[Any, Any]:  # fmt: skip
    """The page's answer to an event in a browser with this choice. inputs: values by
    component, of what is not as the page began. clicked: a button's action and value.
    """
    listener = next(
        one
        for one in page.blocks.fns.values()
        if (component._id, event) in one.targets and one.fn
    )
    values = {part: getattr(part, "value", None) for part in listener.inputs}
    values |= {**page.state.inputs(choice), **(inputs or {})}
    data = (
        [gr.EventData(None, {"do": clicked[0], "value": clicked[1]})] if clicked else []
    )
    updates: dict[Any, Any] = listener.fn(*data, values)
    return updates
