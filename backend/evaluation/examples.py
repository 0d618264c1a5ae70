"""The examples in a run's folder as items: those that judge, and those that it learns from."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from backend.errors import RunProblem
from backend.evaluation.items import Item, items_from, pairs_from
from backend.runs.conversations import Conversation, Tools, read_conversations, read_texts, read_tools


def judging_items(folder: Path, limit: int | None = None) -> list[Item]:
    """The held-out items that the run in `folder` is judged on. Raises RunProblem for damaged files."""
    try:
        held_out, rejected = (read_conversations(folder, part) for part in ("held_out", "rejected"))
        if rejected:
            return pairs_from(held_out, rejected, limit)
        return items_from(held_out, limit, read_tools(folder, "held_out"))
    except (OSError, ValueError) as error:
        raise RunProblem("The examples set aside for this run can't be read.", str(error), "Train again.") from error


def judging_texts(folder: Path, limit: int | None = None) -> list[str]:
    """The plain texts that judge the run in `folder`. Raises RunProblem for damaged files."""
    try:
        return read_texts(folder)[:limit]
    except (OSError, ValueError) as error:
        raise RunProblem("The texts set aside for this run can't be read.", str(error), "Train again.") from error


def training_items(folder: Path) -> list[Item]:
    """The items that the run was trained on. Raises RunProblem for damaged files."""
    try:
        return items_from(read_conversations(folder, "train"), tools=read_tools(folder, "train"))
    except (OSError, ValueError) as error:
        raise RunProblem("The examples of this run can't be read.", str(error), "Train again.") from error


Side = tuple[Sequence[Conversation], Sequence[Tools]]


def fingerprint(train: Side, held_out: Side) -> str:
    """The SHA-256 of a split: equal for the same examples on the same sides."""
    sides = [[[chat, offered or None] for chat, offered in zip(*side, strict=True)] for side in (train, held_out)]
    return hashlib.sha256(json.dumps(sides, sort_keys=True).encode()).hexdigest()
