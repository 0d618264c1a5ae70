"""Checks against the chosen model: whether its template accepts a row, the row's
length, and what is learned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from backend.datasets.checks.issues import problem
from backend.errors import ApprenticeError
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.rows import Problem, Row, is_learned
from backend.tokens.token_counts import TokenCount, TokenCounter

VERY_LONG = 8192  # tokens (the guide's number)
_BATCH = 512  # rows tokenized at a time


@dataclass(slots=True)
class TokenTotals:
    """Totals over the usable rows. total, learned, pieces (rows that the trainer gets):
    after cutting or splitting into windows. longest: uncut. rejected, rejected_learned:
    of pairs with their rejected answers, prompts included. truncated: rows that are
    cut. documents: plain texts that become windows. lengths: uncut length by row
    number.
    """

    limits: LengthLimits = UNLIMITED
    total: int = 0
    learned: int = 0
    longest: int = 0
    rejected: int = 0
    rejected_learned: int = 0
    truncated: int = 0
    documents: int = 0
    pieces: int = 0
    lengths: dict[int, int] = field(default_factory=dict)

    def add(self, row: Row, count: TokenCount) -> None:
        """Counts one usable row."""
        parts = self.limits.spans(row, count.tokens)
        self.total += sum(end - start for start, end in parts)
        self.learned += sum(count.learned(start, end) for start, end in parts)
        self.longest = max(self.longest, count.tokens)
        self.truncated += parts[-1][1] < count.tokens
        self.documents += self.limits.windowed(row)
        self.pieces += len(parts)
        self.lengths[row.row] = count.tokens
        if count.rejected is not None:
            cut = min(
                count.rejected.tokens, self.limits.max_length or count.rejected.tokens
            )
            self.rejected += cut
            self.rejected_learned += count.rejected.learned(0, cut)
            self.longest = max(self.longest, count.rejected.tokens)

    def pieces_of(self, rows: Sequence[Row]) -> int:
        """How many rows the trainer gets for `rows`, which have been counted."""
        return sum(
            len(self.limits.spans(row, self.lengths.get(row.row, 1))) for row in rows
        )

    @property
    def sentence(self) -> str:
        """How long documents are split, "" when there are none."""
        conversations = len(self.lengths) - self.documents  # each is one piece
        return self.limits.sentence(self.documents, self.pieces - conversations)


def find(
    rows: Sequence[Row], counter: TokenCounter, totals: TokenTotals
) -> Iterator[Problem]:
    """Problems of `rows` with the model; usable rows are added to `totals`."""
    for at in range(0, len(rows), _BATCH):
        for row, count in zip(
            batch := rows[at : at + _BATCH], counter.count(batch), strict=True
        ):
            if isinstance(count, ApprenticeError):
                yield problem(
                    row,
                    "template_refuses",
                    " ".join(filter(None, (count.what, count.why))),
                )
                continue
            problems = list(_of_row(row, count, totals.limits))
            if all(p.severity != "error" for p in problems):
                totals.add(row, count)
            yield from problems


def _of_row(row: Row, count: TokenCount, limits: LengthLimits) -> Iterator[Problem]:
    whole, learned = count.tokens, count.learned()
    if not learned:
        message = "The model finds no answer to learn in this example: its format (chat template) marks none."
        if not any(map(is_learned, row.messages)):
            message = "Every answer of this example has the weight 0, so that nothing is learned from it."
        yield problem(row, "nothing_to_learn", message)
        return
    if count.skipped_turns:
        first = count.skipped_turns == 1 and row.messages[0]["role"] == "assistant"
        changed = (
            "the model's format (chat template) changes answers that others follow"
        )
        why = "nothing comes before the first of them" if first else changed
        many = (
            "1 answer is"
            if count.skipped_turns == 1
            else f"{count.skipped_turns} answers are"
        )
        yield problem(row, "turn_not_learned", f"{many} read but not learned: {why}.")
    if limits.windowed(row):
        return
    limit = limits.max_length or whole
    remaining = count.learned(0, limit)
    if not remaining:
        are_read = f"of its {whole:,} pieces of words (tokens) only the first {limit:,} are read"
        message = (
            f"This example is too long: {are_read}, and the answer comes after them."
        )
        yield problem(row, "answer_vanishes", message)
    elif whole > limit:
        lost = "the rest is cut off"
        if remaining < learned:
            lost = (
                f"{learned - remaining:,} of the {learned:,} in its answers are cut off"
            )
        message = f"This example is {whole:,} pieces of words (tokens) long; {limit:,} are read, and {lost}."
        yield problem(row, "too_long", message)
    if min(whole, limit) > VERY_LONG:
        message = f"This example is {whole:,} pieces of words (tokens) long. "
        yield problem(
            row,
            "very_long",
            f"{message}Above {VERY_LONG:,}, training takes much memory and time.",
        )
