"""Rows in a different language from the rest, and the languages that the model does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from backend.datasets.checks.issues import problem
from backend.datasets.checks.language import LANGUAGE_NAMES, count_languages, is_another
from backend.records.rows import Problem, Row
from backend.text.conversation import full_text, last_answer, question
from backend.text.excerpt import excerpt

_SAMPLE = 400  # rows, spread over the file
_SHARE = 0.3  # of the rows with a known language; below it there is no warning
_MIN_ROWS = 5  # rows
_USUAL = 0.7  # of the rows with a known language; below it the file is in several
_PARTS: tuple[tuple[str, Callable[[Row], str]], ...] = (("question", question), ("answer", last_answer))


def usual_language(rows: Sequence[Row]) -> str | None:
    """The language of most answers and texts; None where it is not clear."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    counts = count_languages(row.text or last_answer(row) for row in sample)
    usual, count = next(iter(counts.most_common(1)), (None, 0))
    return usual if count >= max(_MIN_ROWS, _USUAL * counts.total()) else None


def find(rows: Sequence[Row], model_languages: Sequence[str] | None) -> Iterator[Problem]:
    """Rows whose language differs from most, and common languages that the model does not know."""
    chats = [row for row in rows if row.text is None]
    sample = chats[:: max(1, len(chats) // _SAMPLE)]
    named: set[int] = set()
    for part, text in _PARTS:
        counts = count_languages(map(text, sample))
        usual, count = next(iter(counts.most_common(1)), ("", 0))
        if count < max(_MIN_ROWS, _USUAL * counts.total()):
            continue
        for row in chats:
            other = is_another(text(row), usual) if row.row not in named else None
            if other:
                named.add(row.row)
                message = f"The {part} is in {_named(other)}; in most examples it is in {_named(usual)}."
                yield problem(row, "other_language", message, excerpt(text(row)))
    yield from _unknown(rows, model_languages)


def _unknown(rows: Sequence[Row], model_languages: Sequence[str] | None) -> Iterator[Problem]:
    if not model_languages or not rows:
        return
    counts = count_languages(full_text(row) for row in rows[:: max(1, len(rows) // _SAMPLE)])
    foreign = [code for code, count in counts.most_common() if code not in model_languages and count >= _MIN_ROWS]
    share = sum(counts[code] for code in foreign) / max(counts.total(), 1)
    if share < _SHARE:
        return
    theirs, its = ", ".join(map(_named, foreign)), ", ".join(map(_named, model_languages))
    message = (
        f"About {share:.0%} of the text is in {theirs}; the model was made for {its}. "
        "It needs many more examples to learn this way; choose a model that knows the language."
    )
    yield problem(None, "language_mismatch", message)


def _named(code: str) -> str:
    return LANGUAGE_NAMES.get(code, code)
