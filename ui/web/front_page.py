"""Remembers the page of a demo and its configuration: gradio 6.31 makes them anew in 50
ms for every request, and so anybody who asked again and again would slow the demo for
all. They are the same for all visitors.
"""

import asyncio

from gradio.utils import LRUCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/", "/config", "/config/")
_DECIDE = (
    b"host",
    b"x-forwarded-host",
    b"x-forwarded-proto",
)  # the address in the answer; gradio gets no others
_MOST = 20  # answers; whoever makes up addresses waits for one after the other


class FrontPage:
    """app: gradio."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._making = app, asyncio.Lock()
        self._known = LRUCache[object, list[Message]](_MOST)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request for one of PATHS, whatever else is in its address."""
        headers = [(name, value) for name, value in scope["headers"] if name in _DECIDE]
        key = scope["path"], scope["scheme"], tuple(headers)
        answer = self._known.get(key)
        if not answer:  # else it waits for nobody
            async with self._making:
                answer = self._known.get(key) or await self._make(
                    scope, headers, receive
                )
        if answer[0].get("status") == 200:  # an error is not remembered
            self._known[key] = answer
        for message in answer:
            await send(dict(message))  # to which headers may be added

    async def _make(
        self, scope: Scope, headers: list[tuple[bytes, bytes]], receive: Receive
    ) -> list[Message]:
        made: list[Message] = []

        async def keep(message: Message) -> None:
            made.append(message)

        await self._app(
            {**scope, "method": "GET", "query_string": b"", "headers": headers},
            receive,
            keep,
        )
        return made
