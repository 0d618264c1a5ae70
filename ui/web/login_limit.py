"""Keeps a password from being guessed: after too many wrong ones an address has to wait, or everybody has to."""

import time
from collections import deque

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WINDOW = 900.0  # seconds for which a wrong password counts
FROM_ONE, FROM_ALL = 10, 100  # wrong passwords in that time, of one address and of all
_RIGHT = 200  # gradio's answer to a right password; whatever else it answers counts as a wrong one


class LoginLimit:
    """ASGI middleware that answers a login with 429 while its address, or everybody, has to wait."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._wrong: deque[tuple[float, str]] = deque(maxlen=FROM_ALL)  # when, and from which address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") != "/login":
            await self.app(scope, receive, send)
            return
        address = str((scope.get("client") or ("", 0))[0])
        while self._wrong and time.monotonic() - self._wrong[0][0] > WINDOW:
            self._wrong.popleft()
        from_one = sum(sender == address for _, sender in self._wrong)
        if from_one >= FROM_ONE or len(self._wrong) >= FROM_ALL:
            why = "Too many wrong passwords. Wait a quarter of an hour, then try again."
            await PlainTextResponse(why, 429, {"retry-after": f"{WINDOW:.0f}"})(scope, receive, send)
            return
        self._wrong.append((time.monotonic(), address))  # counted before it is checked: many may arrive at once

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _RIGHT:
                self._wrong = deque((attempt for attempt in self._wrong if attempt[1] != address), maxlen=FROM_ALL)
            await send(message)

        await self.app(scope, receive, sending)
