"""Checks of the whole file: its size, inconsistent system messages, the same question
everywhere, the language.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from backend.datasets.checks import language
from backend.datasets.checks.answers import SAME_EVERYWHERE
from backend.datasets.checks.issues import ISSUE_TYPES, numbered, problem
from backend.datasets.checks.patterns import WORD_LISTS
from backend.records.rows import Problem, Row, Severity
from backend.text.conversation import SYSTEM, content, last_answer, question
from backend.text.excerpt import excerpt
from backend.text.normalize import normalize

FEWEST = 2  # different examples; a single one would only be memorized
_FEW_CLAIMS = 0.01  # share of the answers
_FEW_WITHOUT = 0.1  # share of the examples; so many are of another source
FEW = 50  # different examples; with fewer, a model may learn nothing (the guide)


def find(rows: Sequence[Row], languages: Sequence[str] | None) -> Iterator[Problem]:
    """Problems of the file. rows: the usable ones. languages: ISO 639-1 codes."""
    yield from same_everywhere(rows)
    yield from health_claims(rows)
    yield from language.find(rows, languages)


def size(rows: int, distinct: int, pieces: int) -> Iterator[Problem]:
    """The guide's rule: 200 to 2,000 good examples; 50 may teach nothing; beyond 10,000
    little is gained. rows: the usable ones, also those that are set aside later.
    distinct: how many of them differ. pieces: how many rows documents become in
    training, 0 for conversations.
    """
    count, what = pieces or distinct, "piece" if pieces else "different example"
    usable = f"There are {'only ' * (count < FEW)}{count:,} {what}s that can be used."
    if not count:
        yield problem(
            None,
            "too_few",
            "There is no example to learn from: none in this file can be used.",
        )
    elif count == 1:
        yield problem(
            None,
            "too_few",
            "All examples are the same." if rows > 1 else "There is only one example.",
        )
    elif count < 10:
        yield problem(
            None,
            "too_few",
            f"{usable} The model may only learn them by heart, and that can't be checked.",
        )
    elif count < FEW:
        yield problem(
            None,
            "too_few",
            f"{usable} With fewer than {FEW}, the model may learn nothing.",
        )
    elif count < 200:
        yield problem(
            None,
            "too_few",
            f"{usable} That can work; with 200 or more it usually does.",
        )
    elif count > 10_000:
        yield problem(
            None,
            "too_many",
            f"{usable} Above 10,000, each further example adds little.",
        )
    elif count > 2_000:
        yield problem(
            None,
            "too_many",
            f"{usable} Above 2,000, better examples help more than more examples.",
        )


def same_everywhere(rows: Sequence[Row]) -> Iterator[Problem]:
    """The same question or answer in every row: usually the wrong column was used for
    it.
    """
    chats = [row for row in rows if row.messages and row.rejected is None]
    for part, text, says in (
        ("input", question, "asks the same question"),
        ("answer", last_answer, "has the same answer"),
    ):
        first = normalize(text(chats[0])) if len(chats) >= SAME_EVERYWHERE else ""
        if first and all(normalize(text(row)) == first for row in chats):
            column = says.rpartition(" ")[2]
            message = f"Every example {says}. Probably the wrong column was used as the {column}."
            yield problem(None, f"same_{part}_everywhere", message, excerpt(first))


def health_claims(rows: Sequence[Row]) -> Iterator[Problem]:
    """Answers on which people rely; a few in a large file are no warning."""
    chats = [row for row in rows if row.messages]
    if found := [chats[n] for n in of_health(list(map(last_answer, chats)))]:
        many = (
            "An answer speaks" if len(found) == 1 else f"{len(found):,} answers speak"
        )
        where = (
            f"example{'s' * (len(found) > 1)} {numbered([row.row for row in found])}"
        )
        message = f"{many} of allergens or health ({where}). {ISSUE_TYPES['health_claims'].message}"
        yield problem(None, "health_claims", message, excerpt(last_answer(found[0])))


def of_health(answers: Sequence[str]) -> list[int]:
    """Which answers speak of allergens or health; [] where they are a few of many."""
    words = WORD_LISTS["health"]
    home = WORD_LISTS["household"]  # dust in a bed is in no food
    lower = enumerate(map(str.lower, answers))
    found = [
        n
        for n, low in lower
        if any(map(low.__contains__, words)) and not any(map(low.__contains__, home))
    ]
    return found if len(found) >= _FEW_CLAIMS * len(answers) else []


def system_messages(rows: Sequence[Row]) -> Iterator[Problem]:
    """Rows with a system message where most have none, or without one where most have
    one.
    """
    chats = [row for row in rows if row.messages]
    having = [has_system(row) for row in chats]
    with_system, total = sum(having), len(chats)
    if with_system in (0, total):
        return
    most_have = with_system * 2 >= total
    meant: Severity | None = (
        "note" if min(with_system, total - with_system) > _FEW_WITHOUT * total else None
    )
    only = "" if most_have else "only "
    rest = f"{only}{with_system:,} of the {total:,} examples have some. A mixture confuses the model."
    for row, has in zip(chats, having, strict=True):
        if has != most_have:
            message = f"This example has {'' if has else 'no '}instructions (system message); {rest}"
            yield problem(row, "system_inconsistent", message, severity=meant)


def has_system(row: Row) -> bool:
    """Whether the row has a system message."""
    return any(m["role"] in SYSTEM for m in row.messages)


def usual_system(rows: Sequence[Row]) -> str | None:
    """The most common system message, None when no row has one."""
    counts = Counter(
        content(m) for row in rows for m in row.messages[:1] if m["role"] in SYSTEM
    )
    return counts.most_common(1)[0][0] if counts else None


def most_common_instruction(rows: Sequence[Row]) -> str:
    """The most common system message if at least half of the conversations start with
    one, else "".
    """
    chats = [row for row in rows if row.messages]
    return (
        (usual_system(chats) or "")
        if 2 * sum(map(has_system, chats)) >= len(chats)
        else ""
    )
