"""From scores to conclusions: intervals, comparisons, and one verdict."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from backend.records.evaluation import AgainstPrompt, Comparison, Verdict
from backend.statistics import (
    SIGNIFICANT,
    cluster_bootstrap,
    cluster_means,
    mcnemar_exact,
    wilson_interval,
)

MARGIN = 0.1  # stated beforehand: a prompt that is at most this much worse or better does the same job
Scores = Mapping[str, Sequence[float]]  # by system, one for each item
FEWEST = 6  # clusters; with fewer no result could be proved (see statistics.least_provable_gain)


def compare(
    a: str,
    b: str,
    scores: Scores,
    clusters: list[int],
    *,
    graded: bool,
    largest: float = 1.0,
) -> Comparison:
    """Whether `a` scores better than `b`. Raises ValueError for no items.

    clusters: of each item; with right and wrong answers, one is won by the system that
    has more of its items right graded: whether scores may have any value, instead of 0
    and 1
    largest: the largest possible difference
    """
    difference, low, high = cluster_bootstrap(scores[a], scores[b], clusters)
    mean = {name: cluster_means(scores[name], clusters) for name in (a, b)}
    count = len(mean[a])
    if graded:
        p, shown, better = (
            None,
            count >= FEWEST and (low > 0 or high < 0),
            difference > 0,
        )
    else:
        wins = sum(mean[a][cluster] > mean[b][cluster] for cluster in mean[a])
        losses = sum(mean[a][cluster] < mean[b][cluster] for cluster in mean[a])
        p = mcnemar_exact(wins, losses)
        shown, better = p <= SIGNIFICANT, wins > losses
        unseen = 1 - SIGNIFICANT ** (
            1 / count
        )  # so often could differ what differed in none of `count` clusters
        low, high = min(low, difference - unseen), max(high, difference + unseen)
    verdict: Verdict = (
        "no_difference_shown" if not shown else "better" if better else "worse"
    )
    interval = max(-largest, low), min(largest, high)
    return Comparison(
        a=a, b=b, difference=difference, interval=interval, p=p, verdict=verdict
    )


def against_prompt(comparisons: Sequence[Comparison]) -> AgainstPrompt:
    """How the tuned model stands against the base with its best prompt, given its
    comparisons with each prompt.
    """
    if not comparisons:
        return "not_measured"
    if all(compared.verdict == "better" for compared in comparisons):
        return "better"
    hardest = min(comparisons, key=lambda compared: compared.difference)
    within = hardest.interval[0] >= -MARGIN and hardest.interval[1] <= MARGIN
    return "as_good" if within or hardest.verdict == "worse" else "not_shown"


def mean_score(
    scores: Sequence[float], clusters: Sequence[int], *, graded: bool
) -> tuple[float, float, float]:
    """A system's score and its 95% interval: (score, low, high). Graded: the mean of
    clusters, as in `Comparison`. Right or wrong: the share of right items, which people
    can count; its interval is as wide as for as many items as there are clusters, since
    items of one cluster are alike.
    """
    if graded:
        return cluster_bootstrap(scores, [0.0] * len(scores), clusters)
    share, count = fmean(scores), len(set(clusters))
    return (share, *wilson_interval(round(share * count), count))
