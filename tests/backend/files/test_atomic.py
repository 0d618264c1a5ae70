"""A text that takes the place of another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.files import atomic


def test_two_may_replace_the_same_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_written = threading.Barrier(2, timeout=10)
    monkeypatch.setattr(atomic, "sync", lambda _: both_written.wait())
    place = tmp_path / "device.json"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda text: atomic.replace_text(place, text), ["one", "two"]))
    assert place.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [place]
