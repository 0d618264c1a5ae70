"""Reads the conversations of records by their format: who said what, in which order."""

import re
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
WHOEVER_OPENED = "whoever opened it"  # instead of a name, which nothing says
_KIND = re.compile(r"t\d_")
_UNSET = ("", "0", "false", "no")
QUOTED = 200  # characters of a message that is in no example
EMPTY = "message without text or written by a program"
UNWANTED = "message marked as internal, deleted or written by a program"
BRANCH = "message of another version of a reply"
_INTERNAL, _PROGRAMS = frozenset(WORDS["internal"]), frozenset(WORDS["programs"])
NOTICES = frozenset(WORDS["notices"])  # of WhatsApp, which carry no mark
_FILE = re.compile(
    r"\w{3}-\d{8}-WA\d{4}\.\w{2,4} \([^()\n]{4,30}\)"
)  # IMG-20231231-WA0001.jpg (file attached)
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


def read_threads(
    records: Iterable[Record], chat: ChatFormat
) -> tuple[list[list[Post]], list[PassedOver]]:
    """The conversations in `records`, in the order of the file, and the messages that
    are in none.
    """
    groups: dict[Any, list[_Found]] = {}
    number, empty = 0, []
    for line, record in records:
        messages = 0
        for conversation in chat.conversations(record):
            number += 1
            places = [find(conversation, path) for path in chat.messages] or [
                [conversation]
            ]
            for message in (
                value
                for values in places
                for value in values
                if isinstance(value, dict)
            ):
                thread = first(message, chat.thread) if chat.thread else None
                key = (
                    number if chat.messages or chat.reply else 0,
                    str(thread) if thread is not None else "",
                )
                groups.setdefault(key, []).append(_Found(line, message, conversation))
                messages += 1
        if not messages:
            empty.append(PassedOver(EMPTY, "", line))
    if chat.parent and not chat.messages and not chat.thread:
        entries = [entry for group in groups.values() for entry in group]
        (_, _, roots), groups = _links(entries, chat), {}
        for entry in entries:
            groups.setdefault(roots[_key(entry.message, chat.id)], []).append(entry)
    reader = _Reader(chat, [entry for group in groups.values() for entry in group])
    for group in groups.values():
        reader.add(group)
    return reader.conversations, [*empty, *reader.passed]


class _Reader:
    def __init__(self, chat: ChatFormat, messages: list[_Found]) -> None:
        self.conversations: list[list[Post]] = []
        self.passed: list[PassedOver] = []
        self._chat = chat
        dates = (
            (first(entry.message, *chat.time) for entry in messages[:_DATES])
            if chat.time
            else ()
        )
        self._months_first = month_first(
            date for date in dates if isinstance(date, str)
        )
        self._names: dict[str, str] = {}
        for entry in messages if chat.name else ():
            key, name = (
                first(entry.message, *chat.author),
                first(entry.message, *chat.name),
            )
            if name is not None:
                shown = " ".join(str(name)[:_LONGEST_NAME].split())
                self._names.setdefault(
                    str(key if key is not None else name)[:_LONGEST_NAME].strip(), shown
                )
        self._programs: set[str] = set()
        authors = {self._author(entry) for entry in messages}
        programs = {author for author in authors if plain_name(author) in _PROGRAMS}
        if (
            len(authors - programs - {"", "system", "tool"}) > 1
        ):  # else it is one of the two sides
            self._programs = programs

    def add(self, group: list[_Found]) -> None:
        chat = self._chat
        if chat.parent and not (chat.leaf or chat.rank or chat.roles):
            branches = _branches(group, chat)
        else:
            branches = [_branch(group, chat) if chat.parent else group]
            followed = set(map(id, branches[0]))
            self._pass_over(
                BRANCH, *(entry for entry in group if id(entry) not in followed)
            )
        for branch in branches:
            posts = [post for post in map(self._post, branch) if post is not None]
            if (
                chat.time
                and not chat.parent
                and all(post.time is not None for post in posts)
            ):
                posts.sort(key=lambda post: post.time or 0)
            opening = (
                self._cleaned(str(first(branch[0].message, chat.opening) or "")).strip()
                if chat.opening
                else ""
            )
            if opening and opening not in (post.text for post in posts):
                posts.insert(
                    0,
                    Post(
                        "user" if chat.roles else WHOEVER_OPENED,
                        opening,
                        None,
                        branch[0].line,
                    ),
                )
            if (
                chat.reply
                and posts
                and (
                    reply := self._cleaned(
                        _piece(first(branch[0].message, chat.reply))
                    ).strip()
                )
            ):
                posts.append(Post("assistant", reply, None, branch[0].line))
            if posts:
                self.conversations.append(posts)

    def _post(self, entry: _Found) -> Post | None:
        chat, message = self._chat, entry.message
        author, text = self._author(entry), _own_words(self._text(message))
        if not (author and text and _is_wanted(message, chat)):
            self._pass_over(UNWANTED if author and text else EMPTY, entry)
            return None
        time = (
            seconds(first(message, *chat.time), self._months_first)
            if chat.time
            else None
        )
        return Post(author, text, time, entry.line)

    def _pass_over(self, why: str, *entries: _Found) -> None:
        self.passed += (
            PassedOver(why, excerpt(self._text(e.message), width=QUOTED), e.line)
            for e in entries
        )

    def _author(self, entry: _Found) -> str:
        if self._chat.reply:
            return "user"
        key = first(entry.message, *self._chat.author, *self._chat.name)
        if key is None or isinstance(key, (dict, list)):
            return ""
        if self._chat.asker:
            return (
                "user"
                if key == first(entry.conversation, self._chat.asker)
                else "assistant"
            )
        author = clean.meta(str(key)) if self._chat.markup == "meta" else str(key)
        author = " ".join(author[:_LONGEST_NAME].split())
        author = self._chat.roles.get(author.lower(), self._names.get(author, author))
        return "" if author in self._programs else author

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
    text = words.rstrip() if words and note.strip(" .>\n").lower() in NOTICES else text
    only = text.strip(" .\n\u200e")
    return "" if only.strip("<>").lower() in NOTICES or _FILE.fullmatch(only) else text


def says_internal(column: str, value: Any) -> bool:
    """Whether a cell, such as "Internal note", or No for public, says that the asker
    does not see a message.
    """
    named, words = ({*plain_name(text).split("_")} for text in (column, str(value)))
    internal = words & _INTERNAL or (
        named & _INTERNAL and words & {"true", "yes", "1", "ja", "y"}
    )
    return bool(
        internal or ("public" in named and words & {"false", "no", "0", "nein", "n"})
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


def _branch(group: list[_Found], chat: ChatFormat) -> list[_Found]:
    """The messages from the first to the last one, where answers form a tree; all of
    them where nothing says so.
    """
    by_id, parents, _ = _links(group, chat)
    if "" in by_id or not parents:
        return group
    leaf = _key(group[0].conversation, chat.leaf) if chat.leaf else ""
    if leaf not in by_id:
        leaf = (
            _best_leaf(by_id, parents, chat)
            if chat.rank
            else _key(group[-1].message, chat.id)
        )
    path: list[_Found] = []
    while leaf in by_id:
        path.append(by_id[leaf])
        leaf = parents.get(leaf, "")
    return path[::-1]


def _branches(group: list[_Found], chat: ChatFormat) -> list[list[_Found]]:
    """A conversation for each message that nobody answers, from the first that no other
    one has; all as one where most do not say what they answer. One that does not say so
    answers the first.
    """
    by_id, parents, _ = _links(group, chat)
    if len(by_id) < len(group) or 2 * len(parents) < len(group) - 1:
        return [group]
    branches: dict[str, list[_Found]] = {}  # by the id of their last message
    root = next(key for key in by_id if key not in parents)
    for key, entry in by_id.items():
        parent = parents.get(key, root)
        branches[key] = branches.pop(parent, [by_id[parent]]) if key != root else []
        branches[key].append(entry)
    return list(branches.values())


def _links(
    group: list[_Found], chat: ChatFormat
) -> tuple[dict[str, _Found], dict[str, str], dict[str, str]]:
    """The messages by their ids, and for each the id of what it answers, if that is
    there, and of the first message of its tree. Of answers in a circle the first one
    answers nothing.
    """
    by_id = {_key(entry.message, chat.id): entry for entry in group}
    ups = {key: _key(entry.message, chat.parent) for key, entry in by_id.items()}
    if (
        chat.parent == chat.id
    ):  # the id of an answer begins with that of what it answers
        ups = {key: key.rpartition(".")[0] for key in by_id}
    parents = {key: up for key, up in ups.items() if up in by_id}
    roots: dict[str, str] = {}
    for at in by_id:
        path: dict[str, None] = {}
        while at in parents and at not in roots and at not in path:
            path[at] = None
            at = parents[at]
        if at in path:
            del parents[at]
        roots.update(dict.fromkeys([*path, at], roots.get(at, at)))
    return by_id, parents, roots


def _key(value: Any, path: str) -> str:
    """The id at a path as text, "" for none: exports write the same id as a number here
    and as a text there, and Reddit's say of what kind they are (t1_).
    """
    key = first(value, path)
    return "" if key is None else _KIND.sub("", str(key))


def _best_leaf(
    by_id: dict[str, _Found], parents: dict[str, str], chat: ChatFormat
) -> str:
    children: dict[str, list[str]] = {}
    for key, entry in by_id.items():
        if _is_wanted(entry.message, chat):
            children.setdefault(parents.get(key, ""), []).append(key)

    def rank(key: str) -> float:
        value = first(by_id[key].message, chat.rank)
        return value if isinstance(value, (int, float)) else float("inf")

    at = ""
    while children.get(at):
        at = min(children[at], key=rank)
    return at
