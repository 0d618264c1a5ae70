"""A system's score and the interval that goes with it, for items that are alike."""

import pytest

from backend.evaluation.verdict import compare, mean_score

CLUSTERS = [0] * 10 + [1, 2, 3, 4, 5]  # ten near-copies and five others


@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("scores", [[1.0] * 10 + [0.0] * 5, [0.0] * 10 + [1.0] * 5])
def test_a_score_lies_within_its_interval(scores: list[float], graded: bool) -> None:
    score, low, high = mean_score(scores, CLUSTERS, graded=graded)
    assert 0 <= low <= score <= high <= 1
    assert high - low >= 0.4, "six clusters say little"


def test_scores_count_each_cluster_once_if_graded() -> None:
    scores = {"tuned": [0.9] * 10 + [0.3] * 5, "base": [0.1] * 15}
    found = {name: mean_score(one, CLUSTERS, graded=True)[0] for name, one in scores.items()}
    assert found["tuned"] == pytest.approx((0.9 + 5 * 0.3) / 6)
    compared = compare("tuned", "base", scores, CLUSTERS, graded=True)
    assert compared.difference == pytest.approx(found["tuned"] - found["base"])
    assert mean_score([1.0] * 10 + [0.0] * 5, CLUSTERS, graded=False)[0] == pytest.approx(10 / 15)
