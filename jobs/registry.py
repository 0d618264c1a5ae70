"""The kinds of jobs: where their work is found, and in which lane they wait."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Lane = Literal["training", "light", "network"]
LANES: tuple[Lane, ...] = get_args(Lane)


class Kind(NamedTuple):
    """work: "package.module:function", loaded only in the worker; lane: one job at a time runs in each.

    lighter: whether its work, told that memory ran out, makes do with less in another attempt.
    secrets: environment variables that its process is given, though they are secret.
    """

    work: str
    lane: Lane
    lighter: bool = False
    secrets: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "noop": Kind("jobs.noop:run", "training", lighter=True),
    "train": Kind("backend.training.job:run", "training", lighter=True),
    "calibrate": Kind("backend.hardware.benchmark:run", "training"),
    "export": Kind("backend.export.job:run", "light"),
    "download": Kind("backend.models.download:run", "network", secrets=("HF_TOKEN",)),
    "prepare": Kind("backend.models.bundled:run", "light"),
}
