"""Reads the conversations of records by their format: who said what, in which order."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from backend.datasets.chats import clean
from backend.datasets.chats.format import WORDS, ChatFormat
from backend.datasets.chats.paths import find, first
from backend.datasets.chats.times import month_first, seconds
from backend.datasets.convert.detect import Record
from backend.datasets.convert.shapes import plain_name
from backend.records.rows import PassedOver
from backend.text.excerpt import excerpt
from backend.text.normalize import whole_letters

_MARKUP: dict[str, Callable[[str], str]] = {
    "": whole_letters,
    "html": clean.html,
    "meta": clean.meta,
}
_LONGEST_NAME = 200  # characters
_KIND = re.compile(r"t\d_")
_UNSET = ("", "0", "false", "no")
QUOTED = 200  # characters of a message that is in no example
EMPTY = "message without text or written by a program"
UNWANTED = "message marked as internal, deleted or written by a program"
BRANCH = "message of another version of a reply"
_INTERNAL, _FLAGS, _VISIBILITY = (
    frozenset(WORDS[kind]) for kind in ("internal", "flags", "visibility")
)
_YES, _NO = ("true", "yes", "1", "ja", "y"), ("false", "no", "0", "nein", "n")
NOTICES = frozenset(WORDS["notices"])  # of WhatsApp, which carry no mark
_DATES = 500  # looked at for the order of day and month


@dataclass(frozen=True, slots=True)
class Post:
    """One message. author: a name, or "user", "assistant", "system"; time: in seconds,
    None if unknown.
    """

    author: str
    text: str
    time: float | None
    line: int


@dataclass(slots=True)
class _Found:
    line: int
    message: dict[str, Any]
    conversation: dict[str, Any]
    number: int  # of the conversation, where messages lie inside


def read_threads(
    records: Iterable[Record], chat: ChatFormat
) -> tuple[list[list[Post]], list[PassedOver]]:
    """The conversations in `records`, in the order of the file, and the messages that
    are in none.
    """
    groups: dict[tuple[int, str], list[_Found]] = defaultdict(list)
    number, empty = 0, []
    for line, record in records:
        talks = chat.conversations(record)
        messages = [
            _Found(line, message, talk, number * bool(chat.messages))
            for number, talk in enumerate(talks, number + 1)
            for message in _messages(talk, chat)
        ]
        number += len(talks)
        for entry in messages:
            thread = first(entry.message, chat.thread) if chat.thread else ""
            groups[entry.number, str(thread)].append(entry)
        if not messages:
            empty.append(PassedOver(EMPTY, "", line))
    reader = _Reader(chat, [entry for group in groups.values() for entry in group])
    for group in groups.values():
        reader.add(group)
    return reader.conversations, [*empty, *reader.passed]


def _messages(talk: Any, chat: ChatFormat) -> list[dict[str, Any]]:
    places = [find(talk, path) for path in chat.messages] or [[talk]]
    return [value for place in places for value in place if isinstance(value, dict)]


class _Reader:
    def __init__(self, chat: ChatFormat, messages: list[_Found]) -> None:
        self.conversations: list[list[Post]] = []
        self.passed: list[PassedOver] = []
        self._chat = chat
        dates = (first(entry.message, *chat.time) for entry in messages[:_DATES])
        self._months_first = month_first(
            date for date in dates if isinstance(date, str)
        )
        self._names: dict[str, str] = {}  # by their ids
        for entry in messages if chat.name else ():
            key = first(entry.message, *chat.author)
            if (name := first(entry.message, *chat.name)) is not None:
                self._names.setdefault(_name(name if key is None else key), _name(name))

    def add(self, group: list[_Found]) -> None:
        branches = _branches(group, self._chat) if self._chat.parent else [group]
        followed = {id(entry) for branch in branches for entry in branch}
        for entry in group:
            if id(entry) not in followed:
                self._pass_over(BRANCH, entry)
        for branch in branches:
            posts = [post for entry in branch if (post := self._post(entry))]
            if not self._chat.parent and all(post.time is not None for post in posts):
                posts.sort(key=lambda post: post.time or 0)
            if posts:
                self.conversations.append(posts)

    def _post(self, entry: _Found) -> Post | None:
        author, text = self._author(entry), _own_words(self._text(entry.message))
        if not (author and text and _is_wanted(entry.message, self._chat)):
            self._pass_over(UNWANTED if author and text else EMPTY, entry)
            return None
        time = seconds(first(entry.message, *self._chat.time), self._months_first)
        return Post(author, text, time, entry.line)

    def _pass_over(self, why: str, entry: _Found) -> None:
        text = excerpt(self._text(entry.message), width=QUOTED)
        self.passed.append(PassedOver(why, text, entry.line))

    def _author(self, entry: _Found) -> str:
        key = first(entry.message, *self._chat.author, *self._chat.name)
        if key is None or isinstance(key, (dict, list)):
            return ""
        if self._chat.asker:
            asks = key == first(entry.conversation, self._chat.asker)
            return "user" if asks else "assistant"
        author = _name(clean.meta(str(key)) if self._chat.markup == "meta" else key)
        return self._chat.roles.get(author.lower(), self._names.get(author, author))

    def _text(self, message: dict[str, Any]) -> str:
        said = (
            self._chat.joint.join(filter(None, map(_piece, find(message, path))))
            for path in self._chat.text
        )
        return next(
            (text for each in said if (text := self._cleaned(each).strip())), ""
        )

    def _cleaned(self, text: str) -> str:
        markup = self._chat.markup
        return (
            clean.slack(text, self._names)
            if markup == "slack"
            else _MARKUP[markup](text)
        )


def _name(value: Any) -> str:
    return " ".join(str(value)[:_LONGEST_NAME].split())


def _piece(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _own_words(text: str) -> str:
    """A message without what a program added, or "" for what it wrote instead: that it
    was edited or deleted.
    """
    words, _, note = text.rpartition("<")
    if note.strip(" .>\n").lower() in NOTICES:
        text = words.rstrip()
    return "" if text.strip(" .\n\u200e<>").lower() in NOTICES else text


def is_about_visibility(column: str) -> bool:
    """Whether a column may say that the asker does not see a message."""
    words = {*plain_name(column).split("_")}
    return not words.isdisjoint({*_INTERNAL, *_FLAGS, *_VISIBILITY, "public"})


def says_internal(column: str, value: Any) -> bool:
    """Whether a cell, such as "Internal note", or No for public, says that the asker
    does not see a message.
    """
    named, words = ({*plain_name(text).split("_")} for text in (column, str(value)))
    said = str(value).strip().lower()
    return bool(
        (named & (_INTERNAL | _FLAGS) and said in _YES)
        or ("public" in named and said in _NO)
        or (named & _VISIBILITY and words & _INTERNAL)
    )


def _is_wanted(message: dict[str, Any], chat: ChatFormat) -> bool:
    unset = all(
        str(first(message, path) or "").lower() in _UNSET for path in chat.never
    )
    if not unset or any(
        says_internal(path, first(message, path)) for path in chat.internal
    ):
        return False
    return all(
        value in allowed
        for path, allowed in chat.only.items()
        for value in find(message, path)
    )


def _branches(group: list[_Found], chat: ChatFormat) -> list[list[_Found]]:
    """The conversations where answers form a tree: the one that the person chose, the
    one of the lowest ranks, or else one for each message that nobody answers, from the
    first one that is in no other.
    """
    by_id = {key_of(entry.message, chat.id): entry for entry in group}
    ups = {key: key_of(entry.message, chat.parent) for key, entry in by_id.items()}
    parents = {key: up for key, up in ups.items() if up in by_id}
    if len(by_id) < len(group) or not parents:
        return [group]  # nothing says what they answer
    known = set[str]()
    for at in by_id:  # of answers in a circle the first one answers nothing
        path: dict[str, None] = {}
        while at in parents and at not in known and at not in path:
            path[at] = None
            at = parents[at]
        if at in path:
            del parents[at]
        known.update(path)

    def branch(at: str, used: set[str]) -> list[_Found]:
        path = [by_id[at]]
        while at not in used and (up := parents.get(at)):
            used.add(at)
            path.append(by_id[at := up])
        return path[::-1]

    if chat.leaf:
        leaf = key_of(group[0].conversation, chat.leaf)
        return [branch(leaf if leaf in by_id else [*by_id][-1], set())]
    answered, used = {*parents.values()}, set[str]()
    leaves = [key for key in by_id if key not in answered]
    if chat.rank:
        paths = (branch(leaf, set()) for leaf in leaves)
        return [min(paths, key=lambda path: [_rank(it.message, chat) for it in path])]
    return [branch(leaf, used) for leaf in leaves]


def _rank(message: dict[str, Any], chat: ChatFormat) -> float:
    rank = first(message, chat.rank) if _is_wanted(message, chat) else None
    return rank if isinstance(rank, (int, float)) else float("inf")


def key_of(value: Any, path: str) -> str:
    """The id at a path as text, "" for none: exports write the same id as a number here
    and as a text there, and Reddit's say of what kind they are (t1_).
    """
    key = first(value, path)
    return "" if key is None else _KIND.sub("", str(key))
