"""No regular expression of the program takes more than seconds for a megabyte of one
sign, or of a few.
"""

import dataclasses
import importlib
import os
import pkgutil
import re
import signal
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

import backend
from backend.datasets.checks.patterns import WORD_LISTS, pattern

SEARCHED = (".checks", ".documents.markup", ".documents.passages", "backend.text.")
LENGTH, SECONDS = (
    20_000,
    0.15,
)  # what grows with the square of the length takes several times as long
SIGNS = [
    *" \t\n aA0-.<&{[()\"'`*_#@:/\\|=+,;!?>é日あ한🦙\u200b\0Ãâ", "a ", "a.", "<a", "a-", "1 ", "1.", "a@", "\n ", "\n>",
    "- ", "1-", "A ", "a\n", "Aa ", "<p>", "<p ", "<li ", "<br ", "<think>", "</think>", "-eyJ", "-sk-", "+1 ", ": ",
    "** ", "x: ", "abc.", '\\"',
]  # fmt: skip


def _all() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Every pattern that a module holds, by the module's name, and those of the table
    of checks.
    """
    for module in pkgutil.walk_packages(backend.__path__, "backend."):
        importlib.import_module(module.name)
    for name, loaded in [*sys.modules.items()]:
        if name.split(".")[0] in ("backend", "ui", "jobs"):
            yield from (
                (name, found)
                for value in [*vars(loaded).values()]
                for found in _inside(value)
            )
    yield from (
        ("backend.datasets.checks", pattern(name)) for name in WORD_LISTS["patterns"]
    )


def _inside(value: Any, depth: int = 4) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _inside(
            [getattr(value, field.name) for field in dataclasses.fields(value)], depth
        )
    elif depth and isinstance(value, dict | list | tuple | set | frozenset):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        yield from (found for part in parts for found in _inside(part, depth - 1))


def _stop(*_: object) -> None:
    raise TimeoutError


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no timer of processor time there")
def test_no_pattern_takes_long_for_a_long_run_of_signs() -> None:
    """Those in SEARCHED look for something in a whole text; the others read the
    beginning of a line.
    """
    slow = []
    every = {found: name for name, found in _all()}
    before = signal.signal(signal.SIGVTALRM, _stop)
    for (one, name), sign in product(every.items(), SIGNS):
        text: Any = sign * (LENGTH // len(sign)) + "\1"
        text = text.encode() if isinstance(one.pattern, bytes) else text
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            any(False for _ in one.finditer(text)) if any(
                part in name for part in SEARCHED
            ) else one.match(text)
        except TimeoutError:
            slow.append((name, one.pattern[:80], sign))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)
    assert len(every) > 200
    assert slow == []
