"""Recognizes messages in records by the names of their columns: who speaks, what they
say, and perhaps when and in which conversation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from backend.datasets.chats.clean import has_tags
from backend.datasets.chats.format import WORDS, ChatFormat
from backend.datasets.chats.threads import is_about_visibility, key_of
from backend.datasets.convert.detect import match
from backend.datasets.convert.nested import flat
from backend.datasets.convert.shapes import SPEAKERS, plain_name

Message = Mapping[str, Any]  # flat

# In the form of `plain_name`; the first that a file has is used. speaker: of those of
# an author, the ones that only dialogues use.
_NAMES: dict[str, list[str]] = WORDS["columns"]
_ROLES: dict[str, str] = {
    **SPEAKERS,
    **{name: role for role, names in WORDS["roles"].items() for name in names},
}
_WHO = ("from_assistant", "from_user", "author")
_LONGEST_NAME = 80  # characters
_LONGEST_TEXT = (
    500  # mean characters of a message where nothing else says that it is one
)
_DEPTH, _LOOKED_AT = 8, 8  # objects in objects; items of a list


def nested_messages(records: Sequence[Message]) -> ChatFormat | None:
    """The format of records that are conversations, with messages somewhere inside;
    None where they are not.
    """
    inside = [[*_messages(record, "", _DEPTH)] for record in records]
    counted = Counter(path for it in inside for path in dict(it))
    places = [path for path in counted if path and 5 * counted[path] >= len(records)]
    talks = [[own for path, own in there if path in places] for there in inside]
    if 2 * sum(map(bool, talks)) < len(records) or max(map(len, talks), default=0) < 2:
        return None
    messages = [*chain.from_iterable(talks)]
    chat = _described(messages)
    authors = _cells(chat.author[0], messages) if chat else []
    if chat is None or not (chat.roles or chat.time or len({*authors}) < len(authors)):
        return None
    around = places[0].partition("[]")[0] + "[]."  # perhaps a list of conversations
    below = [path.removeprefix(around) for path in places if path.startswith(around)]
    if len(below) == len(places) and (len(below) > 1 or "[]" in below[0]):
        chat, places = replace(chat, records=around[:-1]), below
    return replace(
        chat, title="a file of conversations", messages=places, id="", parent=""
    )


def _messages(value: Any, path: str, depth: int) -> Iterator[tuple[str, Message]]:
    """The path and the columns of each object that says who and what, and has no such
    object inside.
    """
    if isinstance(value, list) and depth:
        for item in value[:_LOOKED_AT]:
            yield from _messages(item, f"{path}[]", depth - 1)
    elif isinstance(value, dict) and depth:
        inside = [
            message
            for name, inner in value.items()
            for message in _messages(inner, f"{path}.{name}".strip("."), depth - 1)
        ]
        own = flat(value, lists=False)
        if (
            not inside
            and _columns("text", messages=[own])
            and _columns(*_WHO, messages=[own])
        ):
            yield path, own
        yield from inside


def message_rows(records: Sequence[Message]) -> ChatFormat | None:
    """The format of a table with one message per row; None where the rows are something
    else: nothing says which conversation they belong to, and no few people write short
    texts, and often.
    """
    whole = match(records[0]) if len(records) > 1 else None
    chat = _described(records)
    if chat is None or len(records) < 2:
        return None
    author, text = chat.author[0], chat.text[0]
    if whole and whole.shape != "text" and author not in whole.mapping.values():
        return None  # each row is an example: a question and its answer
    threads = (name for name in _columns("thread", messages=records) if name != chat.id)
    thread = next((it for it in threads if _has_dialogue(it, author, records)), "")
    texts, authors = _cells(text, records), _cells(author, records)
    short = sum(map(len, texts)) <= _LONGEST_TEXT * len(texts)
    few = len({*authors}) <= max(2, len(records) / 4)
    dialogue = chat.time or plain_name(author) in _NAMES["speaker"]
    if not (thread or chat.roles or chat.parent or (dialogue and short and few)):
        return None
    time = tuple(column for column in chat.time if column != thread)
    pauses = bool(time and (not thread or plain_name(thread) in _NAMES["long_thread"]))
    return replace(chat, thread=thread, time=time, pauses=pauses)


def _described(messages: Sequence[Message]) -> ChatFormat | None:
    """The columns of messages: who, what, when."""
    texts = [
        name for name in _columns("text", messages=messages) if _is_said(name, messages)
    ]
    named = [
        name for name in _columns(*_WHO, messages=messages) if name not in texts[:1]
    ]
    roles = {name: found for name in named if (found := _role_values(name, messages))}
    authors = [*roles, *(name for name in named if _are_names(name, messages))]
    if not texts or not authors:
        return None
    said = _cells(texts[0], messages)
    id_, parent = _links(messages)
    used = (*texts, authors[0])
    times = [name for name in _columns("time", messages=messages) if name not in used]
    return ChatFormat(
        "a table with one message per row",
        author=authors[:1],
        roles=roles.get(authors[0], {}),
        text=[path for name in texts for path in (name, f"{name}[]")],
        time=times[:1],
        id=id_,
        parent=parent,
        internal=[
            name
            for name in dict.fromkeys(chain.from_iterable(messages))
            if name not in used and is_about_visibility(name)
        ],
        markup="html" if 2 * sum(map(has_tags, said)) > len(said) else "",
    )


def _columns(*kinds: str, messages: Sequence[Message]) -> list[str]:
    """The columns that most messages have filled and that are named like this, best
    first: the whole name, the last part of a dotted one, or its end, such as
    comment_author.
    """
    filled = Counter(
        name
        for message in messages
        for name, cell in message.items()
        if cell not in (None, "")
    )
    most = [name for name, count in filled.items() if 2 * count > len(messages)]
    wanted = [name for kind in kinds for name in _NAMES[kind]]
    ends = [f"_{end}" for kind in kinds for end in _NAMES.get(f"ends_of_{kind}", ())]
    ranks: dict[str, int] = {}
    for column in most:
        names = (plain_name(column), plain_name(column.rpartition(".")[2]))
        places = [wanted.index(name) for name in names if name in wanted]
        if not places and names[0].endswith(tuple(ends)):
            places = [len(wanted)]
        ranks |= {column: min(places)} if places else {}
    return sorted(ranks, key=lambda column: ranks[column])


def _cells(column: str, messages: Sequence[Message]) -> list[str]:
    """The filled cells of a column as texts."""
    cells = (message.get(column) for message in messages)
    return [str(cell).strip() for cell in cells if cell not in (None, "")]


def _is_said(column: str, messages: Sequence[Message]) -> bool:
    """Whether a column has texts, or lists of them, with words."""
    first = next((cell for it in messages if (cell := it.get(column))), "")
    first = first[0] if isinstance(first, list) else first
    first = first.get("text") if isinstance(first, dict) else first
    return isinstance(first, str) and any(map(str.isalpha, first))


def _are_names(column: str, messages: Sequence[Message]) -> bool:
    """Whether the cells may name people: short, and of several."""
    if any(isinstance(it.get(column), (dict, list, bool, float)) for it in messages):
        return False
    names = _cells(column, messages)
    return len({*names}) > 1 and max(map(len, names)) <= _LONGEST_NAME


def _role_values(column: str, messages: Sequence[Message]) -> dict[str, str]:
    """The role of each value of the column, if all of them are roles and both sides
    occur; else {}.
    """
    values = {value.lower() for value in _cells(column, messages)}
    roles = {value: _ROLES.get(plain_name(value), "?") for value in values}
    own = plain_name(column.rpartition(".")[2])
    for kind, yes, no in (
        ("from_assistant", "assistant", "user"),
        ("from_user", "user", "assistant"),
    ):
        if own in _NAMES[kind]:
            said = {"true": yes, "1": yes, "false": no, "0": no}
            roles = {value: said.get(value, "?") for value in values}
    sides = {*roles.values()}
    return roles if {"user", "assistant"} <= sides and "?" not in sides else {}


def _links(messages: Sequence[Message]) -> tuple[str, str]:
    """The column with a message's id, and that with the id of the message that it
    answers; ("", "") without.
    """
    columns = [*dict.fromkeys(chain.from_iterable(messages))]
    for parent in columns:
        if not any(word in plain_name(parent) for word in _NAMES["parent"]):
            continue
        answered = {key_of(message, parent) for message in messages} - {""}
        for column in columns if answered else ():
            ids = {key_of(message, column) for message in messages} - {""}
            known = 2 * len(ids & answered) >= len(answered)
            if column != parent and len(ids) == len(messages) and known:
                return column, parent
    return "", ""


def _has_dialogue(thread: str, author: str, records: Sequence[Message]) -> bool:
    """Whether most rows belong to a conversation with more than one author."""
    authors: dict[str, list[str]] = defaultdict(list)
    for record in records:
        authors[str(record.get(thread))].append(str(record.get(author)))
    talks = sum(len(there) for there in authors.values() if len({*there}) > 1)
    return 2 * talks > len(records)
