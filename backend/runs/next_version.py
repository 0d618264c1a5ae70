"""The next version of a trained model: what a new run takes over from the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.split import Roles, Split
from backend.records.rows import Row
from backend.records.specs import Descent
from backend.runs import division, start
from backend.runs.division import Divided


@dataclass(frozen=True)
class NextVersion:
    """first, parent: ids of runs; see `Descent`. folder: of the parent. weights: the folder with what it learned;
    None: the new run starts from the base model. before: how the parent's rows were divided."""

    first: str
    parent: str
    number: int
    folder: Path
    weights: Path | None
    before: tuple[Divided, ...]

    @property
    def continues(self) -> bool:
        return self.weights is not None

    def descent(self) -> Descent:
        """Reads the weights. Raises OSError."""
        digest = start.digest(self.weights) if self.weights else ""
        return Descent(first=self.first, parent=self.parent, version=self.number, weights=digest)

    def roles(self, rows: Sequence[Row]) -> Roles:
        """The sides that `rows` keep."""
        return division.roles(rows, self.before)

    def write(self, run_folder: Path, descent: Descent, rows: Sequence[Row], split: Split) -> None:
        """Writes the division and the weights for the new run, which has `rows`. Raises RunProblem, OSError."""
        division.write(run_folder, division.divided(rows, split, self.before, continues=self.continues))
        if self.weights:
            start.copy(self.folder, self.weights, run_folder, descent.weights)
