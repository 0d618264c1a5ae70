"""Finds values inside a record by a path.

A path is a sequence of steps separated by ".". A step is a name, and may go on with
    []            each item of the list there
    [key=value]   the items whose `key` is `value`
    [@key]        the item whose position is the value of `key`, which stands beside the list
    *             instead of a name: every value of an object
    ~replies      instead of a name: the object itself, and all below it in its list `replies`
so that "mapping.*", "content[type=text].text" and "prompt.~replies" are paths.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_DEPTH = 200  # of replies below replies

Step = tuple[str, str, str]  # the kind of step, and up to two names


@lru_cache(maxsize=512)
def _steps(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for part in path.split("."):
        name, bracket, inside = part.partition("[")
        if inside.startswith("@"):
            steps.append(("chosen", name, inside[1:-1]))
        elif name == "*":
            steps.append(("values", "", ""))
        elif name.startswith("~"):
            steps.append(("below", name[1:], ""))
        elif name:
            steps.append(("name", name, ""))
        if bracket and not inside.startswith("@"):
            key, _, value = inside.rstrip("]").partition("=")
            steps.append(("items", key, value))
    return tuple(steps)


def find(record: Any, path: str) -> list[Any]:
    """The values at `path`, without those that are missing or null. A name that
    contains dots is found too.
    """
    if isinstance(record, dict) and path in record:
        return [] if record[path] is None else [record[path]]
    values = [record]
    for step in _steps(path):
        values = [
            value
            for outer in values
            for value in _follow(outer, step)
            if value is not None
        ]
    return values


def first(record: Any, *paths: str) -> Any:
    """The first value that is neither missing nor empty; None without one."""
    return next(
        (
            value
            for path in paths
            for value in find(record, path)
            if value not in ("", [], {})
        ),
        None,
    )


def _follow(value: Any, step: Step) -> Iterator[Any]:
    kind, name, wanted = step
    if kind == "items" and isinstance(value, list):
        yield from (
            item
            for item in value
            if not name or (isinstance(item, dict) and item.get(name) == wanted)
        )
    elif kind == "below":
        yield from _below(value, name, _DEPTH)
    elif isinstance(value, dict):
        if kind == "values":
            yield from value.values()
        elif kind == "chosen":
            items, at = value.get(name), value.get(wanted)
            yield (
                items[at]
                if isinstance(items, list)
                and isinstance(at, int)
                and 0 <= at < len(items)
                else None
            )
        elif kind == "name":
            yield value.get(name)


def _below(value: Any, name: str, depth: int) -> Iterator[Any]:
    if isinstance(value, dict):
        yield value
        replies = value.get(name)
        if isinstance(replies, list) and depth:
            for reply in replies:
                yield from _below(reply, name, depth - 1)
