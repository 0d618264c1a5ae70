"""What the page's tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


def in_loop(make: Callable[[], Made]) -> Made:
    """Makes gradio things inside a running event loop; outside one gradio opens loops and never closes them."""

    async def making() -> Made:
        return make()

    return asyncio.run(making())
