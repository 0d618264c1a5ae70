"""Every kind of work that can be submitted is there to be done."""

from __future__ import annotations

import importlib.util

import pytest

from backend.settings import PROJECT_ROOT
from jobs.registry import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_work_of_a_kind_exists(kind: str) -> None:
    module, _, function = KINDS[kind].work.partition(":")
    found = importlib.util.find_spec(module)
    assert found is not None
    assert str(found.origin).startswith(str(PROJECT_ROOT))
    assert function == "run"
