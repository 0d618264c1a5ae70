"""How a run's rows were divided, for the versions that follow it: data/division.jsonl.
A later version leaves each row on its side, also where its answer was edited or its
question only resembles the earlier one, so that no version is judged by rows that
another one learned from.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.datasets.checks import duplicates
from backend.datasets.split import ROLES, Role, Roles, Split, corrected_among
from backend.records.rows import Origin, Row
from backend.records.specs import Descent
from backend.runs import start
from backend.text.conversation import question

_PARTS = ("messages", "rejected", "tools", "text")  # of a row
_SEEN: tuple[Role, ...] = ("train", "choosing")


@dataclass(frozen=True)
class Divided:
    """A row and its side. gone: it was on that side in an earlier version, and is no
    longer among the examples.
    """

    side: Role
    row: Row
    gone: bool = False


def divided(
    rows: Sequence[Row],
    split: Split,
    before: Iterable[Divided] = (),
    *,
    continues: bool = False,
) -> list[Divided]:
    """The sides of rows, and of those of the version before that are no longer among
    them and may come back.

    continues: whether this version starts from the weights of the one before
    """
    choosing = {*split.validation} - {*split.judging}
    sides: list[tuple[Role, Collection[int]]] = [
        ("train", split.train), ("choosing", choosing), ("judging", split.judging),
    ]  # fmt: skip
    own = [
        Divided(side, rows[i]) for side, positions in sides for i in sorted(positions)
    ]
    present = {_text(entry.row) for entry in own}
    gone = [entry for entry in before if _text(entry.row) not in present]
    return [
        *own,
        *(
            replace(entry, gone=True)
            for entry in gone
            if continues or entry.side != "train"
        ),
    ]


@dataclass(frozen=True)
class Changes:
    """How examples differ from those of the version before: how many are new (or
    edited) or gone (or edited), how many are set aside because they, or near-copies of
    them, judged that version, and how many were set aside and are learned now: the
    answer to their question was corrected, or they are near-copies of one that is
    learned.
    """

    new: int
    gone: int
    judging: int
    moved: int


def changes(
    rows: Sequence[Row], before: Sequence[Divided], judging: int, train: Sequence[int]
) -> Changes:
    """The changes from one version to the next, which has `rows` and learns those at
    the positions `train`.
    """
    now, then = (
        Counter(map(_text, rows)),
        Counter(_text(entry.row) for entry in before if not entry.gone),
    )
    aside = {
        _text(entry.row) for entry in before if entry.side != "train" and not entry.gone
    }
    moved = sum(_text(rows[i]) in aside for i in train)
    return Changes((now - then).total(), (then - now).total(), judging, moved)


def held_out_digest(run_folder: Path) -> str:
    """A digest of the rows that the run set aside; "" where they are not known."""
    try:
        aside = sorted(
            _text(entry.row)
            for entry in read(run_folder)
            if entry.side != "train" and not entry.gone
        )
    except (OSError, ValueError):
        return ""
    return hashlib.sha256("\n".join(aside).encode("utf-8", "surrogatepass")).hexdigest()


def write(run_folder: Path, rows: Iterable[Divided]) -> None:
    """Raises OSError."""
    with _path(run_folder).open("w", encoding="utf-8") as file:
        for entry in rows:
            parts = {name: getattr(entry.row, name) for name in _PARTS}
            line: dict[str, Any] = {
                "side": entry.side,
                "origin": entry.row.origin,
                "gone": entry.gone,
            }
            line |= {name: part for name, part in parts.items() if part is not None}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(run_folder: Path) -> list[Divided]:
    """Raises OSError, and ValueError for a damaged file."""
    lines = _path(run_folder).read_text("utf-8").split("\n")
    return [
        _divided(number, json.loads(line))
        for number, line in enumerate(lines, 1)
        if line
    ]


def exists(run_folder: Path) -> bool:
    return _path(run_folder).is_file()


def roles(rows: Sequence[Row], before: Sequence[Divided]) -> Roles:
    """The roles of `rows` in a version after the one that was divided like `before`."""
    positions_of: dict[str, set[int]] = {
        "train": set(),
        "choosing": set(),
        "judging": set(),
    }
    for group in duplicates.find([*rows, *(entry.row for entry in before)]).together:
        now = [i for i in group if i < len(rows)]
        sides = {before[i - len(rows)].side for i in group if i >= len(rows)}
        if sides:
            positions_of[next(role for role in ROLES if role in sides)] |= {*now}
    return Roles(
        **{side: frozenset(positions) for side, positions in positions_of.items()}
    )


def unseen(rows: Sequence[Row], divisions: Iterable[Divided]) -> list[bool]:
    """For each of `rows`, whether no near-copy of it trained one of the runs with these
    divisions, or chose its checkpoint; of a corrected row, the question alone counts.
    """
    seen = [entry.row for entry in divisions if entry.side in _SEEN]
    resembling = {
        i
        for group in duplicates.find([*rows, *seen]).together
        if group[-1] >= len(rows)
        for i in group
    }
    corrected = [question(row) for row in seen if row.origin == "corrected"]
    resembling |= (
        corrected_among([row.messages for row in rows], corrected)
        if corrected
        else set()
    )
    return [i not in resembling for i in range(len(rows))]


@dataclass(frozen=True)
class NextVersion:
    """The next version of a trained model: what a new run takes over from the one
    before. first, parent: ids of runs; see `Descent`. folder: of the parent. weights:
    the folder with what it learned; None: the new run starts from the base model.
    before: how the parent's rows were divided.
    """

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
        return Descent(
            first=self.first, parent=self.parent, version=self.number, weights=digest
        )

    def write(
        self, run_folder: Path, descent: Descent, rows: Sequence[Row], split: Split
    ) -> None:
        """Writes the division and the weights for the new run, which has `rows`. Raises
        RunProblem, OSError.
        """
        write(run_folder, divided(rows, split, self.before, continues=self.continues))
        if self.weights:
            start.copy(self.folder, self.weights, run_folder, descent.weights)


def _divided(number: int, value: Any) -> Divided:
    side: Any = value.get("side") if isinstance(value, dict) else None
    if side not in ROLES:
        raise ValueError("A line holds no divided row.")
    parts = {name: value[name] for name in _PARTS if name in value}
    origin: Origin = "corrected" if value.get("origin") == "corrected" else "file"
    return Divided(
        side, Row(number, number, origin=origin, **parts), value.get("gone") is True
    )


def _text(row: Row) -> str:
    return json.dumps([getattr(row, name) for name in _PARTS])


def _path(run_folder: Path) -> Path:
    return run_folder / "data" / "division.jsonl"
