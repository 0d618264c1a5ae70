"""Which draft comes next: every way of asking in turn, and those that were dropped more rarely."""

from collections import Counter
from collections.abc import Sequence

from backend.drafts.draft import Draft
from backend.drafts.log import Log


def next_draft(drafts: Sequence[Draft], log: Log) -> Draft | None:
    """The next of `drafts` to decide; None when all are decided.

    The kind comes next that was shown least for how often it is kept: (kept + 1) / (shown + 2), so that the first
    decisions count at once and no kind ever disappears. Of that kind, the passage comes next that was decided about
    least."""
    waiting = [draft for draft in drafts if draft.id not in log.decided]
    decided = [draft for draft in drafts if draft.id in log.decided]
    shown, passages = Counter(draft.kind for draft in decided), Counter(draft.passage for draft in decided)
    kept = Counter(draft.kind for draft in decided if log.decided[draft.id])
    kinds = {kind: (shown[kind] + 1) * (shown[kind] + 2) / (kept[kind] + 1) for kind in {d.kind: 0 for d in waiting}}
    best = min(kinds, key=kinds.__getitem__, default="")
    return min((d for d in waiting if d.kind == best), key=lambda draft: passages[draft.passage], default=None)
