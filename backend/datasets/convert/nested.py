"""Gives dotted names to what lies inside objects: {"item": {"question": "Open?"}} has the column item.question."""

from typing import Any

_DEPTH = 8


def flat(value: dict[str, Any], lists: bool = True, depth: int = _DEPTH) -> dict[str, Any]:
    """The record without objects inside. lists: also those in lists; of several with the same name, their values are a
    list."""
    columns: dict[str, Any] = {}
    for name, inner in value.items():
        objects = [inner] if isinstance(inner, dict) else inner if lists and isinstance(inner, list) else []
        if not objects or not depth or not all(isinstance(item, dict) and item for item in objects):
            columns[name] = inner
            continue
        for item in objects:
            for below, cell in flat(item, lists, depth - 1).items():
                column = f"{name}.{below}"
                if column not in columns:
                    columns[column] = cell
                elif objects is not inner or len(objects) > 1:
                    before = columns[column]
                    columns[column] = [*(before if isinstance(before, list) else [before]), cell]
    return columns


def is_nested(value: Any) -> bool:
    """Whether a record has objects inside."""
    return isinstance(value, dict) and any(
        isinstance(inner, dict) or (isinstance(inner, list) and inner and isinstance(inner[0], dict))
        for inner in value.values()
    )
