"""Whoever only holds a connection open is cut off; whoever is answered is not."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from backend.serving import connections
from backend.serving.connections import Impatient


async def app(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(
        1.0
    )  # an answer takes longer than the patience with silent connections
    await PlainTextResponse("answered")(scope, receive, send)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    monkeypatch.setattr(connections, "MOST", 20)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", http=Impatient)
        )
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        yield int(bound.getsockname()[1])
        server.should_exit = True
        thread.join(10)


def connect(port: int, sent: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(sent)
    return made


def is_closed(connection: socket.socket) -> bool:
    with connection:
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_without_its_end_is_not_awaited(port: int, sent: bytes) -> None:
    assert is_closed(connect(port, sent))


def test_a_slow_answer_is_awaited_and_silence_keeps_nobody_out(port: int) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}/").text == "answered"
    silent = [connect(port, b"GET / HT") for _ in range(60)]
    time.sleep(1.0)
    assert httpx.get(f"http://127.0.0.1:{port}/").text == "answered"
    assert all(map(is_closed, silent))
