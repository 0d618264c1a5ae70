"""Statistics for comparing two models on the same few examples. Standard library only.

    wilson_interval       a share of right answers
    mcnemar_exact         right or wrong, two models on the same items
    cluster_bootstrap     graded scores, two models on the same items
    least_provable_gain   the smallest gain that so many items can prove at all
    detectable_gain       the smallest gain that they will usually prove
    e_value               votes that are looked at while they come in

Items that depend on each other (near-duplicates, the answers of one conversation) form
one cluster and count once.
"""

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist, fmean, quantiles

SIGNIFICANT = 0.05  # two-sided
VERDICT_AT = 20.0  # the e-value at which votes decide: wrong in at most 1 of 20 comparisons, however often one looks
_RESAMPLES = 10_000


def wilson_interval(
    successes: int, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval (low, high) for the share behind `successes` out of `n`; (0, 1) when
    n is 0. Wilson (1927), doi:10.1080/01621459.1927.10502953. Not for votes that are
    still coming in: see `e_value`. Raises ValueError unless 0 <= successes <= n and 0 <
    confidence < 1.
    """
    if not 0 <= successes <= n or not 0 < confidence < 1:
        raise ValueError(
            f"no interval for {successes} of {n} at confidence {confidence}"
        )
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, z2 = successes / n, z * z
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return low, high


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """The two-sided exact p-value that two models are equally often right on the same
    items.

    only_a, only_b: items that only the one, only the other got right; items on which
    both agree say nothing. It is the binomial test of `only_a` out of both against one
    half (McNemar 1947, doi:10.1007/BF02295996; exact form as in Fagerland et al. 2013,
    doi:10.1186/1471-2288-13-91). Raises ValueError for negative counts.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError("counts can't be negative")
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, float(Fraction(2 * tail, 2**n)))


def least_provable_gain(n: int) -> float | None:
    """The smallest gain (a share of `n` items) that `mcnemar_exact` can prove; None
    where none can be. Six items won and none lost is the first result with p <= 0.05
    (0.031), so it is 6/n, and nothing below six items.
    """
    fewest = next(
        wins for wins in range(1, 64) if mcnemar_exact(wins, 0) <= SIGNIFICANT
    )
    return fewest / n if n >= fewest else None


@lru_cache(maxsize=256)
def detectable_gain(n: int, worse: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest gain (a share) that `n` items prove in a share `power` of all cases;
    None where no gain is. worse: the share of items that the better model gets wrong
    although the other one gets them right. Exact: the power of `mcnemar_exact` over the
    trinomial of items won, lost and unchanged, to a tenth of a point.
    """
    points = range(1, int(1000 * (1 - 2 * worse)) + 1)  # thousandths
    at = bisect_left(
        points, power, key=lambda point: _power(n, point / 1000 + worse, worse)
    )
    return points[at] / 1000 if at < len(points) else None


def _power(n: int, won: float, lost: float) -> float:
    """How often the better model is shown to be better."""
    same, total = 1 - won - lost, 0.0
    for losses in range(n + 1):
        for wins in range(losses + 1, n - losses + 1):
            if mcnemar_exact(wins, losses) <= SIGNIFICANT:
                ways = math.comb(n, wins) * math.comb(n - wins, losses)
                total += (
                    ways
                    * won**wins
                    * lost**losses
                    * max(0.0, same) ** (n - wins - losses)
                )
    return total


def cluster_bootstrap(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[object], seed: int = 0
) -> tuple[float, float, float]:
    """The mean difference a - b of paired scores and its 95% interval: (difference,
    low, high).

    Percentile bootstrap with 10,000 resamples (Efron 1979, doi:10.1214/aos/1176344552).
    With one cluster nothing follows for other items: the interval is infinite. Raises
    ValueError for no items and for lists of different lengths.

    a, b: the score of each item
    clusters: the cluster of each item; whole clusters are drawn, and each counts once,
    with the mean of its items seed: the same one gives the same interval
    """
    if not a or not len(a) == len(b) == len(clusters):
        raise ValueError(
            "scores and clusters need one entry for each item, and at least one item"
        )
    means = list(
        cluster_means(
            [of_a - of_b for of_a, of_b in zip(a, b, strict=True)], clusters
        ).values()
    )
    if len(means) < 2:
        return means[0], -math.inf, math.inf
    draw = random.Random(seed)  # noqa: S311 (no secret)
    resampled = [fmean(draw.choices(means, k=len(means))) for _ in range(_RESAMPLES)]
    low, *_, high = quantiles(resampled, n=40, method="inclusive")
    return fmean(means), low, high


def cluster_means(
    scores: Sequence[float], clusters: Sequence[object]
) -> dict[object, float]:
    """The mean score of each cluster."""
    grouped: dict[object, list[float]] = {}
    for score, cluster in zip(scores, clusters, strict=True):
        grouped.setdefault(cluster, []).append(score)
    return {cluster: fmean(of_items) for cluster, of_items in grouped.items()}


def e_value(wins: int, losses: int) -> float:
    """The evidence against "both are preferred equally often"; ties are left out. A
    verdict is due at VERDICT_AT.

    It may be looked at after every vote: under equal preference it reaches 20 in at
    most one of 20 comparisons, no matter when one stops (Ville's inequality). It is the
    likelihood of the votes averaged over all preferences from 0 to 1, over their
    likelihood at one half: 2^n / ((n + 1) C(n, wins)). (Uniform mixture: Ville 1939;
    Ramdas et al. 2023, doi:10.1214/23-STS894.) Raises ValueError for negative counts.
    """
    if wins < 0 or losses < 0:
        raise ValueError("counts can't be negative")
    n = wins + losses
    return float(Fraction(2**n, (n + 1) * math.comb(n, wins)))
