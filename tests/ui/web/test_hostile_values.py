"""Values that only a program sends: refused in one line of the log, without a traceback in the terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.ui.fake_services import FakeApp
from tests.ui.page_client import PageClient, page_in_process
from ui.services.selection import Choice

HOSTILE: list[Any] = [
    None,
    {},
    [[[]]],
    "x" * 5000,
    1e308,
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
]


def test_no_value_puts_a_traceback_into_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused = 0

    async def send() -> None:
        nonlocal refused
        async with page_in_process(FakeApp(), tmp_path) as http:
            page = await PageClient.open(http, Choice(), "start")
            for number, listener in enumerate(page.handlers()):
                value = HOSTILE[number % len(HOSTILE)]
                refused += not (await page.send(listener, [value] * len(listener["inputs"])))["success"]

    asyncio.run(send())
    assert refused, "some values are refused"
    assert "Traceback" not in capfd.readouterr().err
