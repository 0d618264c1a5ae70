"""The questions of an evaluation: each answer of the held-out conversations, after its
true history.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.datasets.checks import duplicates
from backend.errors import RunProblem
from backend.records.rows import Message, Row, is_learned
from backend.runs.conversations import (
    Conversation,
    Tools,
    read_conversations,
    read_texts,
    read_tools,
)
from backend.text.conversation import content, said

Conversations = Sequence[Sequence[Message]]
Side = tuple[Sequence[Conversation], Sequence[Tools]]


@dataclass(frozen=True)
class Item:
    """One question with its expected answer. messages: the conversation up to the
    answer. tools: those the row offers. row: the conversation's number, from 0.
    cluster: the same for items that depend on each other; they count once together.
    rejected: of a pair, the worse answer.
    """

    messages: tuple[Mapping[str, Any], ...]
    expected: Message
    row: int
    cluster: int
    tools: tuple[Mapping[str, Any], ...] = ()
    rejected: Message | None = None

    @property
    def question(self) -> str:
        """The text of the last message before the answer."""
        return content(dict(self.messages[-1])) if self.messages else ""

    @property
    def answer(self) -> str:
        """The text that is expected; tool calls as JSON."""
        return said(self.expected)


def items_from(
    conversations: Conversations,
    limit: int | None = None,
    tools: Sequence[Sequence[Mapping[str, Any]] | None] = (),
) -> list[Item]:
    """The items of `conversations`, in their order: one for each learned assistant turn
    after a user's or a tool's. Conversations that say the same, or almost the same,
    form one cluster with all their answers. limit: items at most, taken from the
    conversations in order. tools: those that each conversation offers.
    """
    rows = [
        Row(line=i + 1, row=i + 1, messages=[dict(m) for m in chat])
        for i, chat in enumerate(conversations)
    ]
    cluster = clusters(rows)
    items = [
        Item(
            tuple(row.messages[:at]),
            message,
            number,
            cluster[number],
            tuple(tools[number] or ()) if tools else (),
        )
        for number, row in enumerate(rows)
        for at, message in _answers(row.messages)
    ]
    return items[:limit]


def clusters(rows: Sequence[Row]) -> list[int]:
    """The cluster of each row: one number for rows that say the same, or almost the
    same.
    """
    cluster = {row: row for row in range(len(rows))}
    for group in duplicates.find(rows).together:
        cluster |= dict.fromkeys(group, group[0])
    return list(cluster.values())


def count_items(conversations: Conversations) -> int:
    """How many items `items_from` makes; much quicker, since it compares no
    conversations.
    """
    return sum(1 for messages in conversations for _ in _answers(messages))


def _answers(messages: Sequence[Message]) -> Iterator[tuple[int, Message]]:
    """The learned answers to a user or a tool, with their positions."""
    for at, message in enumerate(messages):
        asked = at > 0 and messages[at - 1]["role"] in ("user", "tool")
        if asked and message["role"] == "assistant" and is_learned(message):
            yield at, message


def pairs_from(
    better: Conversations, worse: Conversations, limit: int | None = None
) -> list[Item]:
    """The items of preference pairs: one for the last answer of each. worse: the same
    conversations with the worse answers at their ends. Raises ValueError when they are
    not as many.
    """
    if len(better) != len(worse):
        raise ValueError(f"{len(better)} pairs have {len(worse)} worse answers.")
    last = {item.row: item for item in items_from(better)}
    return [replace(item, rejected=worse[row][-1]) for row, item in last.items()][
        :limit
    ]


def judging_items(folder: Path, limit: int | None = None) -> list[Item]:
    """The held-out items that the run in `folder` is judged on. Raises RunProblem for
    damaged files.
    """
    try:
        held_out, rejected = (
            read_conversations(folder, part) for part in ("held_out", "rejected")
        )
        if rejected:
            return pairs_from(held_out, rejected, limit)
        return items_from(held_out, limit, read_tools(folder, "held_out"))
    except (OSError, ValueError) as error:
        raise RunProblem(
            "The examples set aside for this run can't be read.",
            str(error),
            "Train again.",
        ) from error


def judging_texts(folder: Path, limit: int | None = None) -> list[str]:
    """The plain texts that judge the run in `folder`. Raises RunProblem for damaged
    files.
    """
    try:
        return read_texts(folder)[:limit]
    except (OSError, ValueError) as error:
        raise RunProblem(
            "The texts set aside for this run can't be read.",
            str(error),
            "Train again.",
        ) from error


def training_items(folder: Path) -> list[Item]:
    """The items that the run was trained on. Raises RunProblem for damaged files."""
    try:
        return items_from(
            read_conversations(folder, "train"), tools=read_tools(folder, "train")
        )
    except (OSError, ValueError) as error:
        raise RunProblem(
            "The examples of this run can't be read.", str(error), "Train again."
        ) from error


def fingerprint(train: Side, held_out: Side) -> str:
    """The SHA-256 of a split: equal for the same examples on the same sides."""
    sides = [
        [[chat, offered or None] for chat, offered in zip(*side, strict=True)]
        for side in (train, held_out)
    ]
    return hashlib.sha256(json.dumps(sides, sort_keys=True).encode()).hexdigest()
