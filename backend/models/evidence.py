"""Published comparisons of fine-tuned models, stored in evidence.json as their authors
published them.

Each comparison trained all its models alike and ranked them on each task. Only results
after fine-tuning are stored, not the gain from it. A model that is listed without a
result came after the published places. Both comparisons used 10,000 examples a task, 4
epochs and LoRA of rank 64, which differs from training here: evidence, not a promise.
"""

import json
from pathlib import Path

from pydantic import Field

from backend.records.base import Record

_FILE = Path(__file__).with_name("evidence.json")


class Evidence(Record):
    """A model's result in one comparison. source: its title. date: year and month, ""
    where they are not known. models, tasks: how many it compared. places: how many of
    the best models it names. place: 1 is the best; None for a model that came after
    those. rank: the mean of the model's ranks on the tasks, lower is better; None where
    it was not published. interval: the 95% interval of `rank`.
    """

    source: str = Field(min_length=1)
    publisher: str = Field(min_length=1)
    url: str = Field(pattern=r"^https://[\w./-]+$")
    date: str = Field(pattern=r"^(20\d\d-(0[1-9]|1[0-2]))?$")
    models: int = Field(gt=1)
    tasks: int = Field(gt=0)
    places: int = Field(gt=0)
    place: int | None = None
    rank: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def standing(self) -> float:
        """The mean rank, else the place, else the place after the published ones: lower
        is better.
        """
        return self.rank or self.place or self.places + 1.0


def published() -> dict[str, tuple[Evidence, ...]]:
    """The results of each model by its id, the newest comparison first."""
    evidence: dict[str, tuple[Evidence, ...]] = {}
    comparisons = json.loads(_FILE.read_text("utf-8"))
    for comparison in sorted(
        comparisons, key=lambda comparison: comparison["date"], reverse=True
    ):
        for model_id, place in comparison.pop("results").items():
            margin = place.pop("margin", None)  # half the width of the interval
            if margin is not None and "rank" in place:
                place["interval"] = (
                    round(place["rank"] - margin, 2),
                    round(place["rank"] + margin, 2),
                )
            evidence[model_id] = (
                *evidence.get(model_id, ()),
                Evidence.model_validate({**comparison, **place}),
            )
    return evidence
