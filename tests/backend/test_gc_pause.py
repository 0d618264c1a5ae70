"""The garbage collector is paused, and what others have frozen stays frozen."""

import gc

import pytest

from backend import gc_pause


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that change what is frozen, which do nothing."""
    found: list[str] = []
    monkeypatch.setattr(gc_pause, "_found_frozen", False)
    for name in ("freeze", "unfreeze"):
        monkeypatch.setattr(gc, name, lambda name=name: found.append(name))
    return found


def pause_twice() -> None:
    for _ in range(2):
        with gc_pause.without_gc():
            assert not gc.isenabled()
        assert gc.isenabled()


def test_new_objects_become_old(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 0)
    pause_twice()
    assert calls == ["freeze", "unfreeze"] * 2


def test_what_others_froze_stays_frozen_and_counts_once(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Millions take a tenth of a second to count."""
    counted: list[int] = []
    monkeypatch.setattr(gc, "get_freeze_count", lambda: counted.append(1) or 1_000_000)
    pause_twice()
    assert (calls, len(counted)) == ([], 1)
