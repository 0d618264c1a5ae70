"""The figures that the proofs measured, as a table."""

from collections.abc import Sequence
from importlib import metadata
from typing import NamedTuple

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")


class Figure(NamedTuple):
    """proof: what is compared. case: its settings. measured, against: the figure, and the one to compare it with."""

    proof: str
    case: str
    measured: str
    against: str = ""


def table(figures: Sequence[Figure]) -> list[str]:
    """Lines with aligned columns, in the order of the figures; a proof is named once."""
    rows = [Figure("Proof", "Case", "Measured", "Against"), *figures]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines, before = [], ""
    for row in rows:
        cells = [row.proof if row.proof != before else "", row.case, row.measured]
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([*padded, row.against]).rstrip())
        before = row.proof
    return lines


def versions() -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)
