"""Which policy applies where, and what it refuses."""

from __future__ import annotations

import pytest

from backend.errors import NotInDemo
from backend.hosting.policy import DEMO, HOME, Feature, chosen


@pytest.mark.parametrize(
    "environment", [{"APPRENTICE_DEMO": "1"}, {"SPACE_ID": "me/apprentice"}, {"SYSTEM": "spaces"}]
)
def test_a_demo_is_one_by_its_own_variable_or_those_of_a_space(environment: dict[str, str]) -> None:
    assert chosen(environment) is DEMO
    assert chosen({**environment, "APPRENTICE_DEMO": "1"}) is DEMO


def test_a_space_can_not_switch_the_demo_off() -> None:
    assert chosen({"APPRENTICE_DEMO": "0", "SPACE_ID": "me/apprentice"}) is DEMO


@pytest.mark.parametrize("environment", [{}, {"APPRENTICE_DEMO": "0"}, {"SPACE_ID": ""}, {"SYSTEM": "linux"}])
def test_at_home_everything_is_allowed(environment: dict[str, str]) -> None:
    policy = chosen(environment)
    assert policy is HOME
    for feature in Feature:
        policy.require(feature)
        assert policy.why_not(feature) == ""


@pytest.mark.parametrize("feature", Feature)
def test_what_a_demo_refuses_says_why_and_how_to_do_it_at_home(feature: Feature) -> None:
    with pytest.raises(NotInDemo) as refused:
        DEMO.require(feature)
    assert refused.value.what
    assert refused.value.why
    assert "your own computer" in refused.value.next
    assert "your own computer" in DEMO.why_not(feature)
