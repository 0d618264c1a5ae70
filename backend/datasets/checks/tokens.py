"""The rows as the chosen model sees them: does its template take them, how long are they, what is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from backend.datasets.checks.issues import problem
from backend.datasets.token_counts import Measure, Measurer
from backend.errors import ApprenticeError
from backend.records.lengths import UNLIMITED, Lengths
from backend.records.rows import Problem, Row

VERY_LONG = 8192  # tokens (the guide's number)
_BATCH = 512  # rows tokenised at a time


@dataclass(slots=True)
class Tokens:
    """Counts over the usable rows. total, learned and pieces (rows that the trainer gets): as trained, so cut or in
    windows; longest: uncut. worse and worse_learned: of the worse answers of pairs, their questions read again.
    truncated: rows that are cut. documents: rows that are plain texts and taken as windows.
    lengths: row number to its uncut length."""

    limits: Lengths = UNLIMITED
    total: int = 0
    learned: int = 0
    longest: int = 0
    worse: int = 0
    worse_learned: int = 0
    truncated: int = 0
    documents: int = 0
    pieces: int = 0
    lengths: dict[int, int] = field(default_factory=dict)

    def add(self, row: Row, measure: Measure) -> None:
        """Count one usable row."""
        parts = self.limits.spans(row, measure.tokens)
        self.total += sum(end - start for start, end in parts)
        self.learned += sum(measure.learned(start, end) for start, end in parts)
        self.longest = max(self.longest, measure.tokens)
        self.truncated += parts[-1][1] < measure.tokens
        self.documents += self.limits.windowed(row)
        self.pieces += len(parts)
        self.lengths[row.row] = measure.tokens
        if measure.worse is not None:
            cut = min(measure.worse.tokens, self.limits.max_length or measure.worse.tokens)
            self.worse += cut
            self.worse_learned += measure.worse.learned(0, cut)
            self.longest = max(self.longest, measure.worse.tokens)

    def pieces_of(self, rows: Sequence[Row]) -> int:
        """Rows that the trainer gets of `rows`, which are some of those counted."""
        return sum(len(self.limits.spans(row, self.lengths.get(row.row, 1))) for row in rows)

    @property
    def sentence(self) -> str:
        """What becomes of long documents, "" when there are none."""
        conversations = len(self.lengths) - self.documents  # each is one piece
        return self.limits.sentence(self.documents, self.pieces - conversations)


def find(
    rows: Sequence[Row], measurer: Measurer, tokens: Tokens, tick: Callable[[int], None] = lambda done: None
) -> Iterator[Problem]:
    """Problems of `rows` against the model; the usable ones are counted into `tokens`. tick: rows done so far."""
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        for row, measure in zip(batch, measurer.measure(batch), strict=True):
            if isinstance(measure, ApprenticeError):
                yield problem(row, "template_refuses", " ".join(filter(None, (measure.what, measure.why))))
                continue
            found = list(_of_row(row, measure, tokens.limits))
            if all(p.severity != "error" for p in found):
                tokens.add(row, measure)
            yield from found
        tick(min(start + _BATCH, len(rows)))


def _of_row(row: Row, measure: Measure, limits: Lengths) -> Iterator[Problem]:
    whole, learned = measure.tokens, measure.learned()
    if not learned:
        yield problem(
            row, "nothing_to_learn", "The model's template marks nothing in this row as an answer to learn."
        )
        return
    if measure.skipped_turns:
        message = (
            f"{measure.skipped_turns} of the answers are only read: the template writes earlier turns differently."
        )
        yield problem(row, "turn_not_learned", message)
    if limits.windowed(row):
        return
    limit = limits.max_length or whole
    kept = measure.learned(0, limit)
    if not kept:
        message = f"The row has {whole:,} tokens; cut at {limit:,} nothing of its answer is left."
        yield problem(row, "answer_vanishes", message)
    elif whole > limit:
        lost = (
            f"{learned - kept:,} of the {learned:,} learned tokens are cut off"
            if kept < learned
            else "the end is cut off"
        )
        message = f"The row has {whole:,} tokens, more than the {limit:,} allowed: {lost}."
        yield problem(row, "too_long", message)
    if min(whole, limit) > VERY_LONG:
        message = f"The row has {whole:,} tokens. Beyond {VERY_LONG:,} training needs much memory and time."
        yield problem(row, "very_long", message)
