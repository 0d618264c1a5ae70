"""Who writes in a file's conversations, whom the model should learn to write like, and
the examples that follow: the people to imitate answer, everyone else asks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from backend.datasets.chats.threads import QUOTED, Post
from backend.datasets.convert.detect import Record
from backend.errors import BadInput
from backend.records.rows import Message, PassedOver, Proposal
from backend.text.excerpt import excerpt

WHOEVER_ANSWERS = (
    "*"  # instead of a name: everyone except whoever starts the conversation
)
ROLES = frozenset({"user", "assistant", "system", "tool"})
_SHOWN, _PROPOSED = 12, 4
# Seconds after which a message begins a new conversation; an answer, too.
PAUSE, LATE = 6 * 3600, 3 * 24 * 3600
ALONE = "message with nothing to answer or without an answer"
ANSWERS = (
    10  # at most in one example, so that years of messages do not become a single one
)


class NobodyAnswers(BadInput):
    """None of those whom the user chose answers in a file. people: who writes in it."""

    def __init__(self, what: str, title: str, people: Sequence[str]) -> None:
        listed = ", ".join(name[:60] for name in people[:_SHOWN])
        more = f" and {len(people) - _SHOWN:,} more" if len(people) > _SHOWN else ""
        super().__init__(
            what,
            f"This is {title}, with messages of {listed}{more}.",
            "Choose one of them, or several who answer for the same side (on the command line: --imitate NAME; "
            f"'{WHOEVER_ANSWERS}' for everyone who answers).",
        )
        self.people = tuple(people)


def who_writes(conversations: Iterable[Sequence[Post]]) -> tuple[str, ...]:
    """Who writes, most messages first."""
    counted = Counter(post.author for posts in conversations for post in posts)
    return tuple(
        name for name, _ in counted.most_common() if name not in ("system", "tool")
    )


def likely_to_answer(conversations: Iterable[Sequence[Post]]) -> str:
    """Who answers most; "" where nobody does."""
    answers = Counter(
        post.author
        for posts in conversations
        for post in posts
        if post.author != posts[0].author and post.author not in ROLES
    )
    return max(answers, key=lambda name: answers[name], default="")


def chosen_people(
    names: Sequence[str], chosen: Sequence[str], title: str
) -> tuple[str, ...]:
    """The people that the user chose, as the file writes them; WHOEVER_ANSWERS stays.
    Raises NobodyAnswers.

    names: who writes
    title: what the file was read as
    """
    if WHOEVER_ANSWERS in chosen:
        return (WHOEVER_ANSWERS,)
    by_name = {name.casefold(): name for name in names}
    for name in chosen:
        if name.casefold() not in by_name:
            unknown = f"There is nobody named {name[:60]!r}."
            raise NobodyAnswers(unknown, title, names)
    return tuple(by_name[name.casefold()] for name in chosen)


def propose(people: Sequence[str], imitate: Sequence[str]) -> list[Proposal]:
    """Whom the model could learn to write like: those whom it does, then the others.

    people: who writes, most messages first
    imitate: people, or WHOEVER_ANSWERS
    """
    others = [(name,) for name in people if name not in imitate]
    sides = [tuple(imitate), *others[: _PROPOSED - 2], (WHOEVER_ANSWERS,)]
    return [
        Proposal(f"learn to write like {in_words(side)}", {"imitate": [*side]})
        for side in dict.fromkeys(sides)
    ]


def in_words(people: Sequence[str]) -> str:
    """People in a sentence."""
    if WHOEVER_ANSWERS in people:
        return "whoever answers"
    return " and ".join(
        "the side that answers" if name == "assistant" else name[:60]
        for name in people[:5]
    )


def by_opener(read: Iterable[list[Post]]) -> list[list[Post]]:
    """The conversations with "user" for the author of the first message, and
    "assistant" for everyone else.
    """
    return [
        [
            replace(p, author="user" if p.author == own[0].author else "assistant")
            for p in own
        ]
        for own in read
    ]


def at_pauses(posts: list[Post]) -> Iterator[list[Post]]:
    """The conversations in messages of months: a long pause begins a new one."""
    starts = [
        at
        for at, (before, post) in enumerate(pairwise(posts), 1)
        if _paused(before, post)
    ]
    return (posts[a:b] for a, b in pairwise([0, *starts, len(posts)]))


def _paused(before: Post, post: Post, least: int = PAUSE) -> bool:
    return (
        before.time is not None
        and post.time is not None
        and post.time - before.time >= least
    )


@dataclass
class ExampleMaker:
    """Makes examples and counts the messages it skips. imitate: who answers. ask: who
    asks; None: everyone else. pauses: a long pause begins a new conversation. pairs:
    each question with its answer is an example, because nothing says where a
    conversation ends, or as the person chose. passed: messages that are in no example.
    """

    imitate: Sequence[str]
    ask: Sequence[str] | None = None
    pauses: bool = False
    pairs: bool = False
    passed: list[PassedOver] = field(default_factory=list)
    used: int = 0

    def examples(self, conversations: Iterable[Sequence[Post]]) -> Iterator[Record]:
        """A record with `messages` per example, with the line of its first message."""
        for posts in conversations:
            self._pass_over(post for post in posts if not self._side(post))
            for part in self._parts([post for post in posts if self._side(post)]):
                yield from self._example(part)

    def _pass_over(self, posts: Iterable[Post]) -> None:
        self.passed += (
            PassedOver(ALONE, excerpt(post.text, width=QUOTED), post.line)
            for post in posts
        )

    def _side(self, post: Post) -> str:
        if post.author in self.imitate:
            return "assistant"
        if post.author == "system":
            return "system"
        return "user" if self.ask is None or post.author in self.ask else ""

    def _parts(self, posts: list[Post]) -> Iterator[list[Post]]:
        part: list[Post] = []
        answers, side = 0, ""
        for post in posts:
            before, side = side, self._side(post)
            answered, answers_now = before == "assistant", side == "assistant"
            least = LATE if answers_now else PAUSE
            paused = bool(part) and self.pauses and _paused(part[-1], post, least)
            full = answered and answers >= (1 if self.pairs else ANSWERS)
            if part and (paused or side == "system" or (full and not answers_now)):
                yield part
                part, answers, answered = [], 0, False
            answers += answers_now and not answered
            part.append(post)
        if part:
            yield part

    def _example(self, part: list[Post]) -> Iterator[Record]:
        sides = [self._side(post) for post in part]
        asked = sides.index("user") if "user" in sides else len(part)
        end = len(part) - [*reversed(sides), "assistant"].index("assistant")
        wanted = [
            at < end and (at >= asked or side == "system")
            for at, side in enumerate(sides)
        ]
        if asked >= end:
            wanted = [False] * len(part)
        self.used += sum(wanted)
        self._pass_over(
            post for post, is_in in zip(part, wanted, strict=True) if not is_in
        )
        messages: list[Message] = []
        for post, side, is_in in zip(part, sides, wanted, strict=True):
            if is_in and messages and messages[-1]["role"] == side:
                messages[-1]["content"] += "\n" + post.text
            elif is_in:
                messages.append({"role": side, "content": post.text})
        if messages:
            yield part[0].line, {"messages": messages}
