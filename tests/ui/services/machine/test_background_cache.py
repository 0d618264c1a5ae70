"""Slow answers are computed in the background, each once."""

import threading
import time

import pytest

from ui.services.machine.background_cache import BackgroundCache


def waited_for(cache: BackgroundCache[int], key: str) -> int | None:
    """The value, once it is computed."""
    for _ in range(500):
        if (value := cache.get(key, lambda: 0)) is not None:
            return value
        time.sleep(0.01)
    return None


def broken() -> int:
    raise ValueError("no")


@pytest.fixture
def cache() -> BackgroundCache[int]:
    return BackgroundCache()


def test_get_returns_at_once_and_computes_each_value_once(
    cache: BackgroundCache[int],
) -> None:
    gate, calls = threading.Event(), []

    def compute() -> int:
        calls.append(1)
        gate.wait(10)
        return 7

    assert cache.get("a", compute) is None
    assert cache.get("a", compute) is None
    gate.set()
    assert (waited_for(cache, "a"), len(calls)) == (7, 1)


def test_a_failed_value_is_computed_again(cache: BackgroundCache[int]) -> None:
    cache.get("a", broken)
    with pytest.raises(ValueError, match="no"):
        waited_for(cache, "a")
    cache.get("a", lambda: 3)
    assert waited_for(cache, "a") == 3


def test_the_cache_does_not_grow_without_limit(cache: BackgroundCache[int]) -> None:
    for number in range(200):
        cache.get(str(number), lambda: 1)
        assert waited_for(cache, str(number)) == 1
    assert len(cache._values) < 100
    assert cache.get("199", lambda: 2) == 1


def test_neither_do_requests_that_come_faster_than_they_are_answered(
    cache: BackgroundCache[int],
) -> None:
    gate = threading.Event()
    cache.get("first", lambda: int(gate.wait(10)))
    for number in range(500):
        assert cache.get(str(number), lambda: 1) is None
    assert len(cache._values) < 100
    gate.set()
    assert waited_for(cache, "499") == 1
