"""Each function against values that others have published, and what it is for against a
simulation.
"""

import math
import random

import pytest

from backend.statistics import (
    VERDICT_AT,
    cluster_bootstrap,
    detectable_gain,
    e_value,
    least_provable_gain,
    mcnemar_exact,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_newcombe_1998(
    successes: int, n: int, low: float, high: float
) -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table
    I, method 3.
    """
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_at_its_ends() -> None:
    assert (wilson_interval(0, 0), wilson_interval(24, 24)[1]) == ((0.0, 1.0), 1.0)
    low, high = wilson_interval(5, 10, confidence=0.99)
    assert low < wilson_interval(5, 10)[0] < wilson_interval(5, 10)[1] < high
    for wrong in [(3, 2), (-1, 2)]:
        with pytest.raises(ValueError, match="interval"):
            wilson_interval(*wrong)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (1, 7, 0.0703),  # Fagerland et al. 2013, table 6: airway hyper-responsiveness
        (6, 0, 0.03125),
        (5, 0, 0.0625),
        (0, 0, 1.0),
        (10, 10, 1.0),
    ],
)
def test_mcnemar_agrees_with_published_values(
    only_a: int, only_b: int, p: float
) -> None:
    assert mcnemar_exact(only_a, only_b) == pytest.approx(p, abs=5e-5)
    assert mcnemar_exact(only_b, only_a) == mcnemar_exact(only_a, only_b)


def test_mcnemar_takes_thousands_of_items() -> None:
    assert 0 < mcnemar_exact(2400, 2600) < 0.01


@pytest.mark.parametrize(
    ("n", "gain"), [(5, None), (6, 1.0), (10, 0.6), (24, 0.25), (50, 0.12), (100, 0.06)]
)
def test_the_least_provable_gain_is_six_items(n: int, gain: float | None) -> None:
    assert least_provable_gain(n) == gain


@pytest.mark.parametrize(("n", "gain"), [(24, 0.41), (50, 0.23), (100, 0.15)])
def test_the_detectable_gain_leaves_one_case_in_five(n: int, gain: float) -> None:
    assert detectable_gain(n) == pytest.approx(gain, abs=0.011)


def test_copies_and_single_clusters_say_nothing_new() -> None:
    assert detectable_gain(5) is None
    assert cluster_bootstrap([1.0, 1.0], [0.0, 0.0], "aa") == (1.0, -math.inf, math.inf)
    scores = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    once = cluster_bootstrap(scores, [0.0] * 6, "abcdef")
    assert cluster_bootstrap(scores * 10, [0.0] * 60, "abcdef" * 10) == pytest.approx(
        once
    )
    assert cluster_bootstrap(scores, [0.0] * 6, "abcdef") == once


@pytest.mark.slow
def test_the_bootstrap_covers_the_true_difference_as_often_as_it_says() -> None:
    draw, covered = random.Random(1), 0
    for trial in range(120):
        differences = [draw.gauss(0.2, 1.0) for _ in range(40)]
        _, low, high = cluster_bootstrap(differences, [0.0] * 40, range(40), seed=trial)
        covered += low <= 0.2 <= high
    assert 105 <= covered <= 120


@pytest.mark.parametrize(
    ("wins", "losses", "value"),
    [(0, 0, 1.0), (1, 0, 1.0), (7, 0, 16.0), (8, 0, 256 / 9)],
)
def test_the_e_value_of_few_votes(wins: int, losses: int, value: float) -> None:
    assert e_value(wins, losses) == pytest.approx(value)
    assert e_value(losses, wins) == e_value(wins, losses)


def test_blind_tests_between_equal_models_give_few_false_verdicts_under_any_number_of_looks() -> (
    None
):
    """10,000 blind tests of 60 votes, looked at after each vote: at most 5 % may ever
    reach a verdict.
    """
    draw = random.Random(0)
    reached = [
        [e_value(wins, n - wins) >= VERDICT_AT for wins in range(n + 1)]
        for n in range(61)
    ]
    false = 0
    for _ in range(10_000):
        wins = 0
        for n in range(1, 61):
            wins += draw.random() < 0.5
            if reached[n][wins]:
                false += 1
                break
    assert 0 < false <= 500


def test_a_clear_preference_is_found() -> None:
    draw, found = random.Random(0), 0
    for _ in range(300):
        votes = [draw.random() < 0.85 for _ in range(60)]
        found += any(
            e_value(sum(votes[:n]), n - sum(votes[:n])) >= VERDICT_AT
            for n in range(1, 61)
        )
    assert found > 280
