"""Signs in answers besides correctness: loops, copies, and the person's own phrases.
Pure text.
"""

from collections import Counter
from collections.abc import Sequence

_MOST = 0.5  # of the training answers must have a phrase for it to be the person's own
_LONGEST = 5  # words of a phrase
_PHRASES = 5
_LOOP = 3  # times in a row
_WORDS = 1000  # of an answer that are looked at
COMMON = {  # words that are nobody's own
    *(
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "do",
        "for",
        "from",
        "have",
        "i",
        "if",
        "in",
    ),
    *(
        "is",
        "it",
        "me",
        "my",
        "no",
        "not",
        "of",
        "on",
        "or",
        "our",
        "so",
        "that",
        "the",
        "then",
        "there",
        "this",
    ),
    *("to", "up", "us", "was", "we", "what", "will", "with", "you", "your"),
}


def repeats(answer: str) -> bool:
    """Whether the answer runs in a loop: a sentence or a run of words that follows
    itself three times or more. Looks at its last words; a model rarely leaves a loop.
    """
    words = answer.split()[-_WORDS:]
    for size in range(1, len(words) // _LOOP + 1):
        least = size * (_LOOP - 1) if size > 1 else 2 * _LOOP
        for at in range(
            size, len(words) - size, size
        ):  # a loop contains two of these places, one after the other
            if not words[at - size] == words[at] == words[at + size]:
                continue
            start = end = at
            while end < len(words) and words[end] == words[end - size]:
                end += 1
            while size < start < end and words[start - 1] == words[start - 1 - size]:
                start -= 1
            if end - start >= least:
                return True
    return False


def own_phrases(answers: Sequence[str]) -> list[str]:
    """Phrases of one to five words that stand in most of `answers`, the longest and
    most frequent first. A phrase within a longer one that is about as frequent is
    skipped, and so are phrases of common words only.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for answer in answers:
        words = answer.split()
        counts.update(
            {
                tuple(words[i : i + n])
                for n in range(1, _LONGEST + 1)
                for i in range(len(words) - n + 1)
            }
        )
    least = max(2, _MOST * len(answers))
    frequent = {
        run: n
        for run, n in counts.items()
        if n >= least
        and any(word.casefold().strip(".,;:!?\"'()") not in COMMON for word in run)
    }
    best = sorted(frequent, key=lambda run: (-len(run), -frequent[run]))
    kept: list[tuple[str, ...]] = []
    for run in best:
        if not any(
            _within(run, longer) and frequent[run] <= 1.1 * frequent[longer]
            for longer in kept
        ):
            kept.append(run)
    return [
        " ".join(run)
        for run in sorted(kept, key=lambda run: (-frequent[run], -len(run)))[:_PHRASES]
    ]


def share_with(phrase: str, answers: Sequence[str]) -> float:
    """The share of `answers` in which `phrase` stands, as whole words."""
    wanted = tuple(phrase.split())
    return (
        sum(_within(wanted, tuple(answer.split())) for answer in answers) / len(answers)
        if answers
        else 0.0
    )


def _within(run: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return any(
        words[at : at + len(run)] == run for at in range(len(words) - len(run) + 1)
    )
