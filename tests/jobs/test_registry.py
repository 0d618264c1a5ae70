"""Every kind of job that can be submitted has its function."""

from __future__ import annotations

import importlib
import importlib.util

import pytest

from backend.settings import PROJECT_ROOT
from jobs.registry import JOB_TYPES


@pytest.mark.parametrize("kind", JOB_TYPES)
def test_the_function_of_each_job_type_exists(kind: str) -> None:
    module, _, function = JOB_TYPES[kind].work.partition(":")
    found = importlib.util.find_spec(module)
    assert found is not None
    assert str(found.origin).startswith(str(PROJECT_ROOT))
    assert function == "run"


@pytest.mark.parametrize("kind", [kind for kind, found in JOB_TYPES.items() if found.follow_up])
def test_the_follow_up_of_each_job_type_exists(kind: str) -> None:
    follow_up = JOB_TYPES[kind].follow_up
    assert follow_up is not None
    module, _, function = follow_up[2].partition(":")
    assert follow_up[0] in JOB_TYPES
    assert callable(getattr(importlib.import_module(module), function))


def test_no_evaluation_takes_memory_from_a_training() -> None:
    assert JOB_TYPES["evaluate"].lane == JOB_TYPES["train"].lane


def test_the_computer_is_not_measured_while_the_model_is_unpacked() -> None:
    """Both start with the first start of the app, and the measured speed is stored for good."""
    assert JOB_TYPES["prepare"].lane == JOB_TYPES["calibrate"].lane
