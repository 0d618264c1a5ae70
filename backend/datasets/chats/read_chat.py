"""Recognizes conversations in the records of a file, and turns them into examples."""

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from backend.datasets.chats.format import FORMATS, ChatFormat
from backend.datasets.chats.people import (
    ROLES,
    WHOEVER_ANSWERS,
    ExampleMaker,
    NobodyAnswers,
    at_pauses,
    by_opener,
    chosen_people,
    in_words,
    likely_to_answer,
    propose,
    who_writes,
)
from backend.datasets.chats.shape import message_rows, nested_messages
from backend.datasets.chats.threads import Post, read_threads
from backend.datasets.convert.detect import ROLE_KEYS, Record, match
from backend.datasets.convert.messages import CONTENT_KEYS
from backend.datasets.convert.shapes import SPEAKERS
from backend.errors import BadInput
from backend.records.reading import RowFault
from backend.records.rows import PassedOver, Proposal

_LOOKED_AT = 200  # records
# Answers in an example, and examples, by which it is offered to divide them.
_LONG, _FEW = 3, 50
_LISTED = 200  # people to choose from on the page


@dataclass(frozen=True)
class ChatExamples:
    """people: who writes, most messages first; imitate: whom the model learns to write
    like. guess: that nobody said so, or ""; proposals: then, whom else it could be.
    records: one per example. passed: messages in none. note: how it was read; long:
    that few examples have many answers, or "".
    """

    people: tuple[str, ...]
    imitate: tuple[str, ...]
    guess: str
    proposals: Sequence[Proposal]
    records: list[Record]
    passed: list[PassedOver]
    note: str
    long: str


def chat_format(sample: Sequence[Record]) -> ChatFormat | None:
    """The format of the conversations that a file starts with; None if it contains
    something else.
    """
    records = [record for _, record in sample if isinstance(record, dict) and record]
    first = records[:_LOOKED_AT]
    for chat in FORMATS:
        if records and 2 * sum(map(chat.fits, first)) > len(first):
            return chat
    if 2 * sum(map(_needs_no_reading, first)) >= len(first):
        return None
    return nested_messages(first) or message_rows(records)


def _needs_no_reading(record: dict[str, Any]) -> bool:
    """Whether a record is an example as training files have it: its messages have a
    known role and a content.
    """
    matched = match(record)
    if matched is None or matched.shape == "text":
        return False
    chat = record.get(matched.mapping.get("messages", ""))
    first = chat[0] if isinstance(chat, list) and chat else None
    if not isinstance(first, dict) or not first:
        return True
    speaker = any(
        str(first.get(key)).casefold() in (*SPEAKERS, "developer", "function")
        for key in ROLE_KEYS
    )
    return speaker and any(key in first for key in CONTENT_KEYS)


def read_chat(
    records: Iterator[Record], chat: ChatFormat, imitate: Sequence[str], pairs: bool
) -> ChatExamples:
    """The examples in `records`. Raises BadInput when fewer than two people write, and
    NobodyAnswers.

    imitate: the people that the user chose, () for none
    pairs: each answer ends an example
    """
    faults: list[Record] = []

    def readable() -> Iterator[Record]:
        for line, record in records:
            if isinstance(record, RowFault):
                faults.append((line, record))
            else:
                yield line, record

    read, passed = read_threads(readable(), chat)
    # without time or an id of the conversation, nothing says where one ends
    unbounded = (
        not chat.messages and not chat.thread and not chat.time and not chat.parent
    )
    if (
        unbounded
    ):  # what can't be read may have been the question of an answer, so it divides
        unread = [line for line, _ in faults]
        read = [
            [*part]
            for posts in read
            for _, part in groupby(posts, lambda post: bisect(unread, post.line))
        ]
    parts = (
        [part for posts in read for part in at_pauses(posts)] if chat.pauses else read
    )
    people = who_writes(read)
    if len(people) < 2:
        writes = f"only {people[0][:60]} writes" if people else "nobody writes"
        raise BadInput(
            f"This is not a conversation: {writes} in it.",
            f"It was read as {chat.title}; an example needs what one person asks and what another one answers.",
            "Choose a file that has both sides.",
        )
    chosen = chosen_people(people, imitate, chat.title)
    roles = ROLES.issuperset(people) and "assistant" in people
    sides = [chosen] if chosen else [("assistant",)] if roles else _sides(people, parts)
    pairs = pairs or (unbounded and bool(chat.roles))
    with_roles = bool(chat.roles or chat.asker)
    for side in sides:
        anybody = side == (WHOEVER_ANSWERS,)
        answers = ("assistant",) if anybody else side
        ask = ("user",) if (with_roles or anybody) and "user" not in answers else None
        maker = ExampleMaker(answers, ask, chat.pauses, pairs, [*passed])
        if examples := [*maker.examples(by_opener(parts) if anybody else read)]:
            break
    else:
        never = f"{in_words(sides[0])} never answers anybody."
        raise NobodyAnswers(never[0].upper() + never[1:], chat.title, people)
    guessed = not chosen and not roles
    guess = f"Read so that the model learns to write like {in_words(side)}; everyone else asks."
    note = _note(chat, side, maker, len(examples))
    replies = sum(
        m["role"] == "assistant" for _, made in examples for m in made["messages"]
    )
    long = f"{_count(replies, 'answer')} that follow each other became {_count(len(examples), 'example')}."
    long = long if replies >= _LONG * len(examples) and len(examples) < _FEW else ""
    return ChatExamples(
        people[:_LISTED],
        side,
        guess if guessed else "",
        propose(people, side) if guessed else (),
        [*faults, *examples],
        maker.passed,
        note,
        long,
    )


def _sides(
    people: Sequence[str], parts: Sequence[Sequence[Post]]
) -> list[tuple[str, ...]]:
    """Who may be meant to answer, most likely first."""
    likely = "assistant" if "assistant" in people else likely_to_answer(parts)
    return [(name,) for name in (likely, *people, WHOEVER_ANSWERS) if name]


def _note(
    chat: ChatFormat, chosen: Sequence[str], maker: ExampleMaker, count: int
) -> str:
    parts = [
        f"This is {chat.title}: {_count(maker.used, 'message')} became {_count(count, 'example')}, "
        f"in which the model learns to write like {in_words(chosen)}."
    ]
    if maker.pairs:
        parts.append("Each question with its answer is one example.")
    if chat.pauses:
        answers = (
            ""
            if WHOEVER_ANSWERS in chosen
            else "; an answer may come up to three days later"
        )
        parts.append(f"A new conversation begins after a pause of six hours{answers}.")
    for why, times in Counter(part.why for part in maker.passed).items():
        parts.append(
            f"Skipped: {_count(times, 'message')}{why.removeprefix('message')}."
        )
    return " ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)
