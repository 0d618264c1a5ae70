"""Who writes in a file's conversations, and whom the model should learn to write like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from backend.datasets.chats.threads import Post
from backend.errors import BadInput

WHOEVER_ANSWERS = "*"  # instead of a name: everyone except whoever starts the conversation
QUESTION = "Which of these people should the model learn to write like?"
ROLES = frozenset({"user", "assistant", "system", "tool"})
_SHOWN = 12


class WhoToImitate(BadInput):
    """It is unclear which side of the conversations the model should learn.

    title: what the file is. people: each with the number of their messages, most messages first. because: a sentence
    on why the user's choice was not enough.
    """

    def __init__(self, title: str, people: Sequence[tuple[str, int]], because: str = "") -> None:
        listed = ", ".join(f"{name[:60]} ({count:,})" for name, count in people[:_SHOWN])
        more = f" and {len(people) - _SHOWN:,} more" if len(people) > _SHOWN else ""
        super().__init__(
            QUESTION,
            f"{because} This is {title}, with messages of {listed}{more}.".lstrip(),
            "Choose one of them, or several who answer for the same side (on the command line: --imitate NAME; "
            f"'{WHOEVER_ANSWERS}' for everyone who answers).",
        )
        self.title, self.people = title, tuple(people)


def count_people(conversations: Iterable[Sequence[Post]]) -> list[tuple[str, int]]:
    """Each person with the number of their messages, most messages first."""
    counted = Counter(post.author for posts in conversations for post in posts)
    return [person for person in counted.most_common() if person[0] not in ("system", "tool")]


def who_to_imitate(people: Sequence[tuple[str, int]], chosen: Sequence[str], title: str) -> tuple[str, ...]:
    """The people to learn from: `chosen`, or the assistant where all authors are roles. WHOEVER_ANSWERS stays.

    Raises WhoToImitate when that is not clear, BadInput when fewer than two people write.
    """
    names = [name for name, _ in people]
    if len(names) < 2:
        raise BadInput(
            "This is not a conversation: "
            + (f"only {names[0][:60]} writes in it." if names else "nobody writes in it."),
            f"It was read as {title}; an example needs what one person asks and what another one answers.",
            "Choose a file that has both sides.",
        )
    if WHOEVER_ANSWERS in chosen:
        return (WHOEVER_ANSWERS,)
    by_name = {name.casefold(): name for name in names}
    for name in chosen:
        if name.casefold() not in by_name:
            raise WhoToImitate(title, people, f"There is nobody named {name[:60]!r}.")
    if chosen:
        return tuple(by_name[name.casefold()] for name in chosen)
    if ROLES.issuperset(names) and "assistant" in names:
        return ("assistant",)
    raise WhoToImitate(title, people)
