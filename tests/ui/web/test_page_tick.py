"""What an open page costs each second: a tick asks for one value, and the server's memory stays flat."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.records.units import MIB
from tests.ui.fake_services import FakeApp
from tests.ui.page_client import PageClient, page_in_process
from ui.services.selection import Choice

TICK: dict[str, Any] = {"event": "tick", "type": "timer"}
FETCH: dict[str, Any] = {"event": "change", "label": "A new signature of train"}
OPEN = {"The open step": "train"}


def on_open_page(folder: Path, work: Callable[[PageClient], Awaitable[None]]) -> None:
    """Does `work` in a page that is open on Train, where a run is watched."""

    async def serve() -> None:
        async with page_in_process(FakeApp(), folder) as http:
            await work(await PageClient.open(http, Choice(data_id="data-1", run_id="run-b")))

    asyncio.run(serve())


def test_an_unchanged_tick_sends_one_value(tmp_path: Path) -> None:
    async def work(page: PageClient) -> None:
        first, second = [await page.ask(page.listener(**TICK), **OPEN) for _ in range(2)]
        assert len(first) == 1
        assert first == second, "the browser fetches nothing more"
        assert first[0].startswith("train ")
        assert len(first[0]) < 50
        assert len(await page.ask(page.listener(**FETCH))) > 20, "the whole tab"

    on_open_page(tmp_path, work)


@pytest.mark.parametrize(("listener", "times", "allowed"), [(TICK, 2_000, 0.1), (FETCH, 60, 2.0)])
def test_memory_is_flat(tmp_path: Path, listener: dict[str, Any], times: int, allowed: float) -> None:
    """allowed: objects that each tick, or each answer with a tab that changed, may leave behind."""

    async def work(page: PageClient) -> None:
        async def repeat(count: int) -> tuple[int, int]:
            for _ in range(count):
                await page.ask(page.listener(**listener), **OPEN)
            gc.collect()
            return len(gc.get_objects()), psutil.Process().memory_info().rss

        objects, memory = await repeat(50)
        objects_after, memory_after = await repeat(times)
        assert (objects_after - objects) / times < allowed
        assert memory_after - memory < 8 * MIB, "25 KB a tick would be 50 MB"

    on_open_page(tmp_path, work)
