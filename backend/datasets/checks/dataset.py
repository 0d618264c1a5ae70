"""The file as a whole: how many rows, system messages in some only, one question everywhere, the language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from backend.datasets.checks.answers import SAME_EVERYWHERE
from backend.datasets.checks.issues import problem
from backend.datasets.checks.language import NAMES, count_languages
from backend.datasets.checks.normalize import normalize
from backend.datasets.checks.structure import SYSTEM
from backend.datasets.conversation import content, question, whole
from backend.datasets.excerpt import excerpt
from backend.records.rows import Problem, Row

_LANGUAGE_SAMPLE = 400  # rows, spread over the file
_LANGUAGE_SHARE = 0.3  # of the count_languages rows, before it is worth a word
_LEAST_RECOGNISED = 5  # rows


def find(
    rows: Sequence[Row], model_languages: Sequence[str] | None, distinct: int, pieces: int = 0
) -> Iterator[Problem]:
    """Problems of the file; `rows` are those that can be used. distinct: how many of them are different; pieces: what
    they are trained as, where they are documents."""
    yield from size(pieces or distinct, "piece" if pieces else "different row")
    yield from same_input(rows)
    yield from languages(rows, model_languages)


def size(count: int, what: str = "row") -> Iterator[Problem]:
    """The guide's rule: 200 to 2,000 good examples; 50 may teach nothing; beyond 10,000 little is gained."""
    usable = f"There is only 1 {what}" if count == 1 else f"There are {'only ' * (count < 50)}{count:,} {what}s"
    usable += " that can be used."
    if count < 10:
        yield problem(None, "too_few", f"{usable} That is too few to learn from or to test with.")
    elif count < 50:
        yield problem(None, "too_few", f"{usable} Fewer than 50 may teach the model nothing.")
    elif count < 200:
        yield problem(None, "too_few", f"{usable} It can work; 200 to 2,000 is what usually does.")
    elif count > 10_000:
        yield problem(None, "too_many", f"{usable} Beyond 10,000 each further row brings little.")
    elif count > 2_000:
        yield problem(None, "too_many", f"{usable} From 2,000 on, better rows help more than more rows.")


def same_input(rows: Sequence[Row]) -> Iterator[Problem]:
    """One question in every row: usually the wrong column was taken for the question."""
    chats = [row for row in rows if row.text is None and row.rejected is None]
    first = normalize(question(chats[0])) if chats else ""
    if len(chats) >= SAME_EVERYWHERE and first and all(normalize(question(row)) == first for row in chats):
        message = "Every row asks the same question. Probably the wrong column was taken for the question."
        yield problem(None, "same_input_everywhere", message, excerpt(first))


def system_messages(rows: Sequence[Row]) -> Iterator[Problem]:
    """Rows that differ from most in having, or not having, a system message."""
    chats = [row for row in rows if row.messages]
    having = [has_system(row) for row in chats]
    with_system, total = sum(having), len(chats)
    if with_system in (0, total):
        return
    most_have = with_system * 2 >= total
    only = "" if most_have else "only "
    rest = f"{only}{with_system:,} of the {total:,} rows have one. A mixture makes the model unsure of itself."
    for row, has in zip(chats, having, strict=True):
        if has != most_have:
            yield problem(row, "system_inconsistent", f"This row has {'a' if has else 'no'} system message; {rest}")


def has_system(row: Row) -> bool:
    """True when the row has a system message."""
    messages = row.messages
    return bool(messages) and (messages[0]["role"] in SYSTEM or any(m["role"] in SYSTEM for m in messages))


def usual_system(rows: Sequence[Row]) -> str | None:
    """The system message that most rows have, None when no row has one."""
    found = Counter(content(m) for row in rows for m in row.messages[:1] if m["role"] in SYSTEM)
    return found.most_common(1)[0][0] if found else None


def languages(rows: Sequence[Row], model_languages: Sequence[str] | None) -> Iterator[Problem]:
    """Languages in which enough rows plainly are and that the model was not made for."""
    if not model_languages or not rows:
        return
    step = max(1, len(rows) // _LANGUAGE_SAMPLE)
    found = count_languages(whole(row) for row in rows[::step])
    foreign = [
        code for code, count in found.most_common() if code not in model_languages and count >= _LEAST_RECOGNISED
    ]
    share = sum(found[code] for code in foreign) / max(found.total(), 1)
    if share < _LANGUAGE_SHARE:
        return
    theirs = ", ".join(NAMES.get(code, code) for code in foreign)
    its = ", ".join(NAMES.get(code, code) for code in model_languages)
    message = (
        f"DatasetInfo {share:.0%} of the text is in {theirs}; the model was made for {its}. "
        "It can learn, but needs many more examples: choose a model that knows the language."
    )
    yield problem(None, "language_mismatch", message)
