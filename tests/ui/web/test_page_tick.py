"""What an open page costs each second, and the news of runs in its signature."""

import asyncio
import gc
import sys
import uuid
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from jobs.records import Progress, State
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import RUNS, add_run
from tests.ui.page_client import PageClient, page_in_process
from ui.services.selection import Choice
from ui.web.page import Page, news

TICK: dict[str, Any] = {"event": "click", "elem_id": "pulse"}
FETCH: dict[str, Any] = {"event": "change", "label": "Signature of train"}


def on_open_page(app: MadeUpApp, work: Callable[[PageClient], Awaitable[None]]) -> None:
    """Does `work` in a page that is open on Train, where a run is watched."""

    async def serve() -> None:
        async with page_in_process(app, app.workspace.exports) as http:
            await work(
                await PageClient.open(
                    http, Choice(data_id="data-1", run_id="run-b"), "train"
                )
            )

    asyncio.run(serve())


def test_an_unchanged_tick_sends_one_value(app: MadeUpApp) -> None:
    async def work(page: PageClient) -> None:
        first, second = [await page.ask(page.listener(**TICK)) for _ in range(2)]
        assert len(first) == 1
        assert first == second, "the browser fetches nothing more"
        assert first[0].startswith("train ")
        assert len(first[0]) < 50
        assert len(await page.ask(page.listener(**FETCH))) > 20, "the whole tab"

    on_open_page(app, work)


@pytest.mark.parametrize(
    ("ask", "opens", "times", "most"),
    [(TICK, 0, 100, 2), (FETCH, 0, 20, 10), (TICK, 1, 10, 300)],
)
def test_memory_is_flat(
    app: MadeUpApp, ask: dict[str, Any], opens: int, times: int, most: float
) -> None:
    """most: blocks of memory that each tick may leave behind, or each answer with a tab
    that changed (it was over 100 for each of its components), or each page that opens
    (it was 10,000: the configuration of the whole page).
    """

    async def work(page: PageClient) -> None:
        async def repeat(count: int) -> int:
            for _ in range(count):
                page.session = uuid.uuid4().hex if opens else page.session
                await page.ask(page.listener(**ask))
            gc.collect()
            return sys.getallocatedblocks()

        blocks = [
            await repeat(count) for count in (5 if opens else 30, times, times, times)
        ]
        assert (
            min(after - before for before, after in pairwise(blocks)) / times < most
        )  # one may hold what stays once

    on_open_page(app, work)


AppWith = Callable[..., MadeUpApp]


@pytest.fixture
def app_with(app: MadeUpApp) -> AppWith:
    """The app with runs in these states, named run-0, run-1 and so on, and no others."""

    def changed(*states: State, **changes: Any) -> MadeUpApp:
        for number, state in enumerate(states):
            add_run(app.workspace, f"run-{number}", state, **changes)
        app.end("run-b", State.STOPPED)
        for run_id in RUNS:
            app.delete_run(run_id)
        return app

    return changed


DONE_AND_QUEUED = (State.COMPLETED, State.QUEUED)


@pytest.mark.parametrize(
    ("states", "opened", "words"),
    [
        ([State.RUNNING], "run-0", "run-0:91"),
        *(
            ([state], "run-0", f"run-0:{state.value}")
            for state in State
            if not state.is_active
        ),
        *((DONE_AND_QUEUED, opened, "") for opened in ("", "gone")),
        *(
            ([*DONE_AND_QUEUED, State.RUNNING], opened, "run-2:91")
            for opened in ("", "gone", "run-2")
        ),
        ([*DONE_AND_QUEUED, State.RUNNING], "run-0", "run-0:completed run-2:91"),
    ],
)
def test_the_open_run_and_the_one_that_trains_are_named_once(
    app_with: AppWith, states: list[State], opened: str, words: str
) -> None:
    assert news(app_with(*states), opened) == words


@pytest.mark.parametrize(
    "progress", [None, Progress(phase="Loading the model", done=1, total=2)]
)
def test_before_its_first_step_it_has_only_a_state(
    app_with: AppWith, progress: Progress | None
) -> None:
    assert news(app_with(State.RUNNING, progress=progress), "run-0") == "run-0:running"


def test_they_are_signed_unless_the_tab_fails(
    app: MadeUpApp, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = Choice(data_id=DATA, run_id="run-b")
    assert page.signature_of("data", choice).split(" ")[2] == "run-b:91"
    monkeypatch.setattr(app.runs, "curve", None)
    assert len(page.signature_of("train", choice).split(" ")) == 2
