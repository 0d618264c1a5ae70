"""Turns conversations into examples: the people to imitate answer, everyone else asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from backend.datasets.chats.threads import Post
from backend.datasets.convert.detect import Record
from backend.records.rows import Message

PAUSE = 6 * 3600  # seconds after which a message begins a new conversation, unless it answers
ANSWERS = 10  # at most in one example, so that years of messages do not become a single one


def by_opener(conversations: Iterable[Sequence[Post]], pauses: bool) -> Iterator[list[Post]]:
    """The conversations with "user" for the author of the first message, and "assistant" for everyone else.

    pauses: after a long pause somebody else may begin.
    """
    for posts in conversations:
        part: list[Post] = []
        opener = ""
        for post in posts:
            if part and pauses and _paused(part[-1], post):
                yield part
                part = []
            opener = opener if part else post.author
            part.append(replace(post, author="user" if post.author == opener else "assistant"))
        yield part


def _paused(before: Post, post: Post) -> bool:
    return before.time is not None and post.time is not None and post.time - before.time >= PAUSE


@dataclass
class ExampleMaker:
    """Makes examples and counts the messages it skips. imitate: who answers. ask: who asks; None: everyone else.

    pauses: a long pause begins a new conversation. pairs: each question with its answer is an example by itself,
    because nothing says where a conversation ends. alone: messages skipped because nobody answers, or nobody asked.
    """

    imitate: Sequence[str]
    ask: Sequence[str] | None = None
    pauses: bool = False
    pairs: bool = False
    alone: int = 0
    used: int = 0

    def examples(self, conversations: Iterable[Sequence[Post]]) -> Iterator[Record]:
        """A record with `messages` per example, with the line of its first message."""
        for posts in conversations:
            for part in self._parts([post for post in posts if self._side(post)]):
                yield from self._example(part)

    def _side(self, post: Post) -> str:
        if post.author in self.imitate:
            return "assistant"
        if post.author == "system":
            return "system"
        return "user" if self.ask is None or post.author in self.ask else ""

    def _parts(self, posts: list[Post]) -> Iterator[list[Post]]:
        part: list[Post] = []
        answers = 0
        for post in posts:
            before = part[-1] if part else None
            asks = self._side(post) != "assistant"
            answered = before is not None and self._side(before) == "assistant"
            most = 1 if self.pairs else ANSWERS
            paused = before is not None and self.pauses and _paused(before, post)
            begins = self._side(post) == "system" or paused or (answered and answers >= most)
            if before is not None and asks and begins:
                yield part
                part, answers = [], 0
            answers += not asks and not (part and answered)
            part.append(post)
        if part:
            yield part

    def _example(self, part: list[Post]) -> Iterator[Record]:
        messages: list[Message] = []
        counts: list[int] = []
        for post in part:
            role = self._side(post)
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] += "\n" + post.text
                counts[-1] += 1
            else:
                messages.append({"role": role, "content": post.text})
                counts.append(1)
        first = next((at for at, message in enumerate(messages) if message["role"] == "user"), len(messages))
        last = max((at for at, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
        kept = [at for at in range(len(messages)) if first <= at <= last or (at < first and at == 0)]
        kept = [at for at in kept if at >= first or messages[at]["role"] == "system"]
        if first > last:
            self.alone += sum(counts)
            return
        self.used += sum(counts[at] for at in kept)
        self.alone += sum(counts) - sum(counts[at] for at in kept)
        yield part[0].line, {"messages": [messages[at] for at in kept]}
