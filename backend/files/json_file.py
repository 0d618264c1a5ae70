"""A JSON object in a file: strict JSON, written atomically."""

import json
import math
from pathlib import Path
from typing import Any

from backend.files.atomic import retry_while_in_use, write_bytes


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises ValueError if it holds anything else, OSError
    if it can't be read.
    """
    data = loads(retry_while_in_use(path.read_bytes))
    if not isinstance(data, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return data


def read_if_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; {} without a readable one."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def loads(text: str | bytes) -> Any:
    """`json.loads` for a file that may be damaged: it raises nothing but ValueError,
    for too deep brackets too.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("too deep") from error


def value_of(text: str | bytes, default: Any = None) -> Any:
    """The value of JSON; `default` for a text that is none."""
    try:
        return loads(text)
    except ValueError:
        return default


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace the content of `path` with `data`, as `to_json` formats it. Raises
    OSError.
    """
    write_bytes(path, to_json(data))


def to_json(data: dict[str, Any]) -> bytes:
    """Strict ASCII JSON on one line: numpy scalars as numbers, NaN and infinity as
    null, paths as strings.
    """
    try:
        text = json.dumps(data, allow_nan=False, default=_to_builtin)
    except ValueError:
        text = json.dumps(
            _without_nan(json.loads(json.dumps(data, default=_to_builtin))),
            allow_nan=False,
        )
    return text.encode("ascii")


def _to_builtin(value: Any) -> Any:
    if hasattr(value, "item"):  # a numpy scalar or a tensor with one element
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
