"""Gives dotted names to what lies inside objects: {"item": {"question": "Open?"}} has
the column item.question.
"""

from typing import Any


def flat(value: dict[str, Any], lists: bool = True, depth: int = 8) -> dict[str, Any]:
    """The record without objects inside. lists: also those in lists; of several with
    the same name, their values are a list.
    """
    columns: dict[str, list[Any]] = {}
    for name, inner in value.items():
        objects = (
            [inner]
            if isinstance(inner, dict)
            else inner
            if lists and isinstance(inner, list)
            else []
        )
        if (
            not objects
            or not depth
            or not all(isinstance(item, dict) and item for item in objects)
        ):
            columns.setdefault(name, []).append(inner)
            continue
        for item in objects:
            for below, cell in flat(item, lists, depth - 1).items():
                columns.setdefault(f"{name}.{below}", []).append(cell)
    return {
        name: cells if len(cells) > 1 else cells[0] for name, cells in columns.items()
    }


def is_nested(value: Any) -> bool:
    """Whether a record has objects inside."""
    return isinstance(value, dict) and any(
        isinstance(inner, dict)
        or (isinstance(inner, list) and inner and isinstance(inner[0], dict))
        for inner in value.values()
    )
