"""What a model drafted and the person decided, as lines of JSON in the dataset's
folder. Lines are only added, so that a crash loses at most the last one, which is then
not read.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backend.drafts.draft import Draft
from backend.errors import WorkspaceProblem
from backend.files.disk_errors import disk_words

FILE = "drafts.jsonl"
DROPPED = ""  # in place of an edit's id


@dataclass(frozen=True, slots=True)
class Wording:
    """How a column of a table is asked about, as the person wrote it; no ways leave it
    out. edit: with which all rows were kept at once; DROPPED where they are decided one
    by one.
    """

    ways: tuple[str, ...]
    answer: str
    edit: str = DROPPED


@dataclass
class Log:
    """drafted: by models. decided: drafts with the edit that keeps each, or DROPPED, in
    order. wordings: of columns of a table, by their keys. order: what was decided,
    "decided DRAFT" or "worded COLUMN", with the edit, the last one last. looked_at:
    numbers of the passages that a model has drafted questions about.
    """

    drafted: list[Draft] = field(default_factory=list)
    decided: dict[str, str] = field(default_factory=dict)
    wordings: dict[str, Wording] = field(default_factory=dict)
    order: dict[str, str] = field(default_factory=dict)
    looked_at: set[int] = field(default_factory=set)

    def _read(self, about: str, value: Any) -> None:
        """One line. Raises KeyError, TypeError or ValueError for a damaged one."""
        kind, _, name = about.partition(" ")
        if kind == "drafted":
            self.looked_at.add(int(name))
            if value is None:
                self.looked_at.remove(int(name))
                self.drafted = [
                    draft for draft in self.drafted if draft.passage != int(name)
                ]
            self.drafted += [Draft(**draft) for draft in value or ()]
            return
        decisions: dict[str, Any] = self.wordings if kind == "worded" else self.decided
        decision, edit = value, value
        if decisions is self.wordings and value is not None:
            decision, edit = (
                Wording(tuple(value["ways"]), value["answer"], value["edit"]),
                value["edit"],
            )
        decisions.pop(name, None)
        self.order.pop(about, None)
        if value is not None:
            decisions[name], self.order[about] = decision, str(edit)


def read_log(folder: Path, edits: Collection[str]) -> Log:
    """The log in a dataset's folder, without damaged lines and without what was kept by
    edits that were undone since. edits: ids of those that stand.
    """
    log = Log()
    for line in (
        (folder / FILE).read_bytes().splitlines() if (folder / FILE).is_file() else ()
    ):
        try:
            ((about, value),) = json.loads(line).items()
            log._read(about, value)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    log.decided = {
        name: edit for name, edit in log.decided.items() if not edit or edit in edits
    }
    log.wordings = {
        key: each
        for key, each in log.wordings.items()
        if not each.edit or each.edit in edits
    }
    log.order = {
        about: edit for about, edit in log.order.items() if not edit or edit in edits
    }
    return log


def write_log(
    folder: Path, about: str, value: str | Wording | Sequence[Draft] | None
) -> None:
    """Adds a line. about: "drafted PASSAGE", with what a model drafted; "decided
    DRAFT", with the edit that keeps it or DROPPED; "worded COLUMN", with a Wording.
    None takes a decision, or the drafts, back. Raises WorkspaceProblem.
    """
    line = json.dumps({about: value}, ensure_ascii=False, default=asdict)
    try:
        with (folder / FILE).open("ab") as file:
            file.write(
                f"\n{line}".encode("utf-8", "surrogatepass")
            )  # a line that a crash cut ends here
    except OSError as error:
        raise WorkspaceProblem(
            "Your decision could not be saved.", *disk_words(error)
        ) from error


def next_draft(drafts: Sequence[Draft], log: Log) -> Draft | None:
    """The next of `drafts` to decide, every way of asking in turn; None when all are
    decided.

    The kind comes next that was shown least for how often it is kept: (kept + 1) /
    (shown + 2), so that the first decisions count at once and no kind ever disappears.
    Of that kind, the passage comes next that was decided about least.
    """
    waiting = [draft for draft in drafts if draft.id not in log.decided]
    decided = [draft for draft in drafts if draft.id in log.decided]
    shown, passages = (
        Counter(draft.kind for draft in decided),
        Counter(draft.passage for draft in decided),
    )
    kept = Counter(draft.kind for draft in decided if log.decided[draft.id])
    kinds = {
        kind: (shown[kind] + 1) * (shown[kind] + 2) / (kept[kind] + 1)
        for kind in {d.kind: 0 for d in waiting}
    }
    best = min(kinds, key=kinds.__getitem__, default="")
    return min(
        (d for d in waiting if d.kind == best),
        key=lambda draft: passages[draft.passage],
        default=None,
    )
