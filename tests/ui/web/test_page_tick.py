"""What an open page costs each second: a tick asks for one value, and the server's memory stays flat."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.ui.made_up_app import MadeUpApp
from tests.ui.page_client import PageClient, page_in_process
from ui.services.selection import Choice

TICK: dict[str, Any] = {"event": "tick", "type": "timer"}
FETCH: dict[str, Any] = {"event": "change", "label": "Signature of train"}


def on_open_page(app: MadeUpApp, work: Callable[[PageClient], Awaitable[None]]) -> None:
    """Does `work` in a page that is open on Train, where a run is watched."""

    async def serve() -> None:
        async with page_in_process(app, app.workspace.exports) as http:
            await work(await PageClient.open(http, Choice(data_id="data-1", run_id="run-b"), "train"))

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
    ("listener", "times", "allowed"),
    [(TICK, 500, 2), pytest.param(TICK, 2_000, 0.5, marks=pytest.mark.slow), (FETCH, 60, 10)],
)
def test_memory_is_flat(app: MadeUpApp, listener: dict[str, Any], times: int, allowed: float) -> None:
    """allowed: blocks of memory that each tick, or each answer with a tab that changed, may leave behind.

    Before, it was over a hundred for each component of the answer.
    """

    async def work(page: PageClient) -> None:
        async def repeat(count: int) -> int:
            for _ in range(count):
                await page.ask(page.listener(**listener))
            gc.collect()
            return sys.getallocatedblocks()

        blocks = await repeat(50)
        assert (await repeat(times) - blocks) / times < allowed

    on_open_page(app, work)
