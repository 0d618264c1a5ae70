"""Writing so that a crash, a full disk or a power cut leaves the old file or the new one, never half of one."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from backend.settings import sync

T = TypeVar("T")

BINARY = getattr(os, "O_BINARY", 0)  # Windows would write "\r\n"


def to_json(data: dict[str, Any]) -> bytes:
    """Strict JSON on one line, ASCII. Numpy numbers become numbers, NaN and infinities null, paths text."""
    try:
        text = json.dumps(data, allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_finite(json.loads(json.dumps(data, default=_plain))), allow_nan=False)
    return text.encode("ascii")


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):  # a numpy number or a tensor of one element
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises ValueError when it holds none, OSError when it can't be read."""
    data = json.loads(patiently(path.read_bytes))
    if not isinstance(data, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return data


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Put `data` in the place of `path` in one step, and see it on the disk. Raises OSError."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o600)
        try:
            write_all(descriptor, to_json(data))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        patiently(lambda: os.replace(temporary, path))
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync(path.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """os.write until all of `data` is written; one call may write only a part of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def patiently(action: Callable[[], T], tries: int = 50) -> T:
    """Do `action`; on Windows again for a second while another process has the file open."""
    for _ in range(tries - 1 if os.name == "nt" else 0):
        try:
            return action()
        except PermissionError:
            time.sleep(0.02)
    return action()
