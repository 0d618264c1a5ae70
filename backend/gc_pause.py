"""Creates millions of small objects fast."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_found_frozen = False


@contextmanager
def without_gc() -> Iterator[None]:
    """Pauses garbage collection, which would walk millions of new objects again and
    again. At the end, freezing and unfreezing moves them to the oldest generation;
    otherwise the collector would walk them all as young objects once it is back on.
    Whoever has frozen objects before keeps them frozen.
    """
    global _found_frozen
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            _found_frozen = (
                _found_frozen or gc.get_freeze_count() > 0
            )  # counting millions is slow
            if not _found_frozen:
                gc.freeze()
                gc.unfreeze()
            gc.enable()
