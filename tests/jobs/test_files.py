"""Files are written byte for byte, on Windows too."""

from __future__ import annotations

import os
import runpy

import pytest

from jobs import files


def test_files_are_opened_in_binary_mode_where_the_system_knows_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_BINARY", 0x8000, raising=False)
    assert runpy.run_path(files.__file__)["BINARY"] == 0x8000
