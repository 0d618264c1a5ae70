"""Making millions of small objects quickly."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_gc() -> Iterator[None]:
    """No garbage collection while millions of small objects are made and kept: it would walk them again and again.

    At the end they are handed to the oldest generation at once (that is what freezing and unfreezing does), or the
    collector would walk them all as young ones as soon as it is on again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.unfreeze()
            gc.enable()
