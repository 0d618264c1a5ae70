"""What the page's tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def in_loop(make: Callable[[], Made]) -> Made:
    """Makes gradio things inside a running event loop; outside one gradio opens loops and never closes them. In a
    thread of its own, since this one may have a loop already (playwright's)."""

    async def making() -> Made:
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(making())).result()
