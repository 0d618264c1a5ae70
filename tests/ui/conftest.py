"""Shared by the tests of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def in_loop(make: Callable[[], Made]) -> Made:
    """Builds gradio components inside a running event loop: outside one, gradio opens loops and never closes them.

    In a new thread, since this one may run a loop already (playwright's).
    """

    async def making() -> Made:
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(making())).result()
