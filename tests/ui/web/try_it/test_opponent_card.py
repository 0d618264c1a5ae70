"""The two lists of the models that can answer."""

from __future__ import annotations

from ui.services.results.opponents import BASE_MODEL, OWN, Listed, Opponent, Pair
from ui.web.try_it.opponent_card import LATEST, opponents

LATE, EARLY = (Opponent(name.lower(), name, "another trained model", True) for name in ("Late", "Early"))


def test_a_model_that_is_too_old_to_be_listed_stays_chosen() -> None:
    html = opponents(Listed([LATE], is_cut=True), Pair(EARLY, OWN), "")
    assert html.count('value="late"') == 2
    assert html.count('value="early" selected') == html.count('value="early"') == 1
    assert f"Comparing {EARLY.label} with {OWN.what}" in html


def test_that_older_models_are_left_out_is_said() -> None:
    assert LATEST in opponents(Listed([LATE], is_cut=True), Pair(), "")
    assert LATEST not in opponents(Listed([LATE]), Pair(), "")
    assert f"Comparing {BASE_MODEL.what} with" in opponents(Listed([LATE]), Pair(), "")
