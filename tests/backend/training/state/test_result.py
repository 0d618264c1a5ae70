"""A result that others see is on the disk."""

import os
from pathlib import Path
from typing import Any

import pytest

from backend.training.state import result


class Model:
    def save_pretrained(self, folder: Path, **_: Any) -> None:
        (folder / "model.safetensors").write_bytes(b"weights")


def test_files_of_a_result_are_flushed_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, flushed, fsync = tmp_path / "result" / "model", [], os.fsync

    def flush(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    with result.saved(Model(), tmp_path, target):
        pass
    assert ((target / "model.safetensors").stat().st_ino, False) in flushed
