"""Recognizes conversations in the records of a file, and turns them into examples."""

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from backend.datasets.chats.format import FORMATS, ChatFormat
from backend.datasets.chats.people import (
    WHOEVER_ANSWERS,
    ExampleMaker,
    WhoToImitate,
    at_pauses,
    by_opener,
    count_people,
    likely_to_answer,
    who_to_imitate,
)
from backend.datasets.chats.shape import message_rows, nested_messages
from backend.datasets.chats.threads import read_threads
from backend.datasets.convert.detect import ROLE_KEYS, Record, match
from backend.datasets.convert.messages import CONTENT_KEYS
from backend.datasets.convert.shapes import SPEAKERS
from backend.records.reading import RowFault
from backend.records.rows import PassedOver

_LOOKED_AT = 200  # records
_LONG, _FEW = (
    3,
    50,
)  # answers in an example, and examples, by which it is offered to divide them
_LISTED = 200  # people to choose from on the page


@dataclass(frozen=True)
class ChatExamples:
    """people: who writes, most messages first; imitate: whom the model learns to write
    like. records: one per example. passed: messages in none. note: how it was read;
    long: that few examples have many answers, or "".
    """

    people: tuple[str, ...]
    imitate: tuple[str, ...]
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
    """The examples in `records`. Raises WhoToImitate when it is unclear whom to
    imitate, BadInput when fewer than two people write.

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
    people, likely = count_people(read), likely_to_answer(parts)
    chosen = who_to_imitate(people, imitate, chat.title, likely)
    answers, roles = chosen, bool(chat.roles or chat.asker or chat.reply)
    if chosen == (WHOEVER_ANSWERS,):
        read, answers, roles = by_opener(parts), ("assistant",), True
    pairs = pairs or (unbounded and bool(chat.roles))
    ask = ("user",) if roles and "user" not in answers else None
    maker = ExampleMaker(answers, ask, chat.pauses, pairs, passed)
    examples = list(maker.examples(read))
    if not examples:
        raise WhoToImitate(
            chat.title, people, f"{_names(chosen)} never answers anybody."
        )
    note = _note(chat, chosen, maker, len(examples))
    replies = sum(
        m["role"] == "assistant" for _, made in examples for m in made["messages"]
    )
    long = f"{_count(replies, 'answer')} that follow each other became {_count(len(examples), 'example')}."
    long = long if replies >= _LONG * len(examples) and len(examples) < _FEW else ""
    return ChatExamples(
        tuple(name for name, _ in people[:_LISTED]),
        chosen,
        [*faults, *examples],
        passed,
        note,
        long,
    )


def _names(people: Sequence[str]) -> str:
    if WHOEVER_ANSWERS in people:
        return "whoever answers"
    return " and ".join(
        "the side that answers" if name == "assistant" else name[:60]
        for name in people[:5]
    )


def _note(
    chat: ChatFormat, chosen: Sequence[str], maker: ExampleMaker, count: int
) -> str:
    parts = [
        f"This is {chat.title}: {_count(maker.used, 'message')} became {_count(count, 'example')}, "
        f"in which the model learns to write like {_names(chosen)}."
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
