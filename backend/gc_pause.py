"""Creates millions of small objects fast."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_found_frozen = False


@contextmanager
def without_gc() -> Iterator[None]:
    """Pauses garbage collection, which would walk millions of new objects again and again. At the end, freezing and
    unfreezing moves them to the oldest generation; otherwise the collector would walk them all as young objects once it
    is back on. Whoever has frozen objects before keeps them frozen."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not _frozen_by_others():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def _frozen_by_others() -> bool:
    """Whether other code has frozen objects. Counting millions is slow, so the answer is remembered."""
    global _found_frozen
    _found_frozen = _found_frozen or gc.get_freeze_count() > 0
    return _found_frozen
