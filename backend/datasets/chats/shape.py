"""Recognizes messages by their shape, wherever they lie: who speaks, what they say, and
perhaps when and to whom.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.datasets.chats.clean import has_tags
from backend.datasets.chats.format import WORDS, ChatFormat
from backend.datasets.chats.threads import says_internal
from backend.datasets.convert.detect import match
from backend.datasets.convert.nested import flat
from backend.datasets.convert.shapes import SPEAKERS, plain_name

Message = Mapping[str, Any]  # flat

# In the form of `plain_name`; the first that a file has is used. speaker: of those of
# an author, the ones that only dialogues use. needs_roles: they also name other things.
# long_thread: of conversations that go on for months.
_NAMES: dict[str, list[str]] = WORDS["columns"]
_ROLES: dict[str, str] = {
    **SPEAKERS,
    **{name: role for role, names in WORDS["roles"].items() for name in names},
}
_IF_TRUE = {
    **dict.fromkeys(_NAMES["from_assistant"], "assistant"),
    **dict.fromkeys(_NAMES["from_user"], "user"),
}
_LONGEST_NAME = 80  # characters
_LONGEST_TEXT = 500  # mean characters of a message, where nothing says which conversation it belongs to
_FEWEST_ANSWERS = 3
_DEPTH, _LOOKED_AT = 8, 8  # objects in objects; items of a list


def nested_messages(records: Sequence[Mapping[str, Any]]) -> ChatFormat | None:
    """The format of records that are conversations, with messages somewhere inside;
    None where they are not.
    """
    of_records = [list(_messages(record, "", _DEPTH)) for record in records]
    counted = Counter(
        path
        for there in of_records
        for path in dict.fromkeys(path for path, _ in there)
    )
    places = [path for path, count in counted.items() if 5 * count >= len(records)]
    inner = [
        there
        for there in of_records
        if any(path and path in places for path, _ in there)
    ]
    if not records or 2 * len(inner) < len(records) or max(map(len, inner)) < 2:
        return None
    messages = [
        message for there in of_records for path, message in there if path in places
    ]
    chat = _described(messages, several=True)
    authors = (
        [value for name in chat.author for value in _values(name, messages)]
        if chat
        else []
    )
    if chat is None or len(set(authors)) < 2:
        return None
    around = (
        places[0].partition("[]")[0] + "[]"
    )  # perhaps a list of conversations, of which a record holds several
    inside = [
        path.removeprefix(f"{around}.")
        for path in places
        if path.startswith(f"{around}.")
    ]
    if len(inside) == len(places) and (len(inside) > 1 or "[]" in inside[0]):
        chat, places = replace(chat, records=around), inside
    outer = [
        flat(conversation, lists=False)
        for record in records
        for conversation in chat.conversations(record)
    ]
    askers = {
        name: [value in authors for value in _values(name, outer)]
        for name in _all([*outer[0]], "asker")
    }
    asker = next(
        (name for name, writes in askers.items() if 2 * sum(writes) > len(writes)), ""
    )
    sure = chat.roles or asker or len(set(authors)) < len(authors)
    if not sure and plain_name(chat.author[0]) in _NAMES["needs_roles"]:
        return None
    title = "a file of conversations"
    return replace(
        chat, title=title, messages=places, asker="" if chat.roles else asker
    )


def _messages(value: Any, path: str, depth: int) -> Iterator[tuple[str, Message]]:
    """The path and the columns of each object that says who and what; of those inside
    each other, the inner ones.
    """
    if isinstance(value, list) and depth:
        for item in value[:_LOOKED_AT]:
            yield from _messages(item, f"{path}[]", depth - 1)
    elif isinstance(value, dict) and depth:
        own: dict[str, Any] = {}
        below: list[tuple[str, Message]] = []
        for name, inner in value.items():
            messages = list(
                _messages(inner, f"{path}.{name}" if path else name, depth - 1)
            )
            below += messages
            if not (messages and isinstance(inner, dict)):
                own[name] = inner
        columns = flat(own, lists=False)
        speaks = any(_own(name) in _IF_TRUE for name in columns) or any(
            columns[name] not in (None, "") for name in _named([*columns])
        )
        if speaks and _texts(columns):
            yield path, columns
        yield from below


def message_rows(records: Sequence[Message]) -> ChatFormat | None:
    """The format of a table with one message per row, None where the rows are something
    else: different people write in most conversations, or every speaker is a role such
    as user, or rows answer others, or a few speakers write short texts, and often; or
    each row is a message with its reply.
    """
    whole = match(records[0]) if records else None
    if replied := _replies(records) if whole is None or whole.shape == "text" else None:
        return replied
    chat = _described(records) if len(records) > 1 else None
    if chat is None:
        return None
    (author,), (text,) = chat.author[:1], chat.text[:1]
    if (
        whole is not None
        and whole.shape != "text"
        and author not in whole.mapping.values()
    ):
        return None  # each row is an example: a question and its answer, neither of which is the speaker's name
    columns = _columns(records, 0.5)
    threads = [
        column
        for column in _all(columns, "thread")
        if column not in (text, author, chat.id)
    ]
    threads = [
        column
        for column in threads
        if not chat.parent or len({*_values(column, records)}) > 1
    ]
    thread = next(
        (column for column in threads if _has_dialogue(column, author, records)), ""
    )
    lengths = [len(value) for value in _values(text, records)]
    short = sum(lengths) <= _LONGEST_TEXT * len(lengths)
    few = (
        len(set(_values(author, records))) <= max(2, len(records) / 4)
        and len(records) > 3
    )
    log = (chat.time or plain_name(author) in _NAMES["speaker"]) and short and few
    if not (thread or chat.roles or log or chat.parent):
        return None
    time = tuple(column for column in chat.time if column != thread)
    opening = next(
        (column for column in _all(columns, "opening") if thread and column != text), ""
    )
    pauses = bool(time and (not thread or plain_name(thread) in _NAMES["long_thread"]))
    return replace(chat, thread=thread, time=time, opening=opening, pauses=pauses)


def _described(messages: Sequence[Message], several: bool = False) -> ChatFormat | None:
    """The columns of messages: who, what, when. several: they may be in other columns
    in some of them.
    """
    every = _columns(messages)
    columns = every if several else _columns(messages, 0.5)
    texts = _texts({name: _first(name, messages) for name in columns})
    sides = [
        name
        for name in columns
        if _own(name) in _IF_TRUE and _role_values(name, messages)
    ]  # which say it best
    named = (name for name in _named(columns) if _can_be_names(name, messages))
    authors = [
        column for column in (*sides, *dict.fromkeys(named)) if column not in texts[:1]
    ]
    if not texts or not authors:
        return None
    author = next(
        (column for column in authors if _role_values(column, messages)), authors[0]
    )
    roles = _role_values(author, messages)
    names = [
        name
        for name in authors
        if name.lower().endswith("name") and not author.lower().endswith("name")
    ]
    used = texts if several else texts[:1]
    spoken = _values(used[0], messages)
    id_, parent = _links(messages)
    return ChatFormat(
        "a table with one message per row",
        author=authors if several and not roles else [author],
        name=[] if roles else names[:1],
        roles=roles,
        text=[
            f"{column}[]" if isinstance(_first(column, messages), list) else column
            for column in used
        ],
        time=[
            column for column in _all(columns, "time") if column not in (*used, author)
        ][:1],
        id=id_,
        parent=parent,
        rank="rank" if parent and "rank" in every else "",
        never=_all(every, "hidden"),
        only=dict.fromkeys(
            _all(
                [name for name in every if name not in _columns(messages, 0.5)], "call"
            ),
            (),
        ),
        internal=[
            column
            for column in every
            if column not in used and _tells_internal(column, messages)
        ],
        markup="html" if 2 * sum(map(has_tags, spoken)) > len(spoken) else "",
    )


def _tells_internal(column: str, messages: Sequence[Message]) -> bool:
    """Whether the cells of a column say which messages are internal: few different
    ones, by its name or their own.
    """
    cells, about = (
        {*_values(column, messages)},
        {*_own(column).split("_")} & {*_NAMES["about_public"]},
    )
    return (
        bool(about)
        and len(cells) <= _LOOKED_AT
        and any(says_internal(column, cell) for cell in cells)
    )


def _replies(records: Sequence[Message]) -> ChatFormat | None:
    """The format of rows with a text and somebody's reply to it, such as reviews."""
    cells = {
        column: [record.get(column) for record in records]
        for column in _columns(records)
    }
    first_texts = {
        column: next(
            (v for v in values if isinstance(v, str) and " " in v and _words_in(v)), ""
        )
        for column, values in cells.items()
    }
    named_reply = (
        name
        for name, text in first_texts.items()
        if text and _own(name) in _NAMES["reply"]
    )
    named = [*_texts(first_texts), *named_reply]
    replies = [
        name
        for name in named
        if not set(plain_name(name).split("_")).isdisjoint(_NAMES["reply"])
    ]
    texts = [name for name in named if name not in replies]
    if not texts or not replies:
        return None
    title = f"a list of texts ({texts[0]}) with replies ({replies[0]})"
    return ChatFormat(title, text=texts[:1], reply=replies[0], author=())


def _columns(messages: Sequence[Message], share: float = 0) -> list[str]:
    """Those that more than this share of the messages has filled."""
    filled = Counter(
        name
        for message in messages
        for name, value in message.items()
        if value not in (None, "")
    )
    return [name for name, count in filled.items() if count > share * len(messages)]


def _texts(columns: Message) -> list[str]:
    """Those that hold what is said, by their names."""
    with_words = [name for name, value in columns.items() if _words_in(value)]
    return [*dict.fromkeys([*_all(with_words, "text"), *_ending(with_words, "text")])]


def _words_in(value: Any) -> bool:
    if isinstance(value, list) and value:
        value = value[0].get("text") if isinstance(value[0], dict) else value[0]
    return isinstance(value, str) and any(character.isalpha() for character in value)


def _named(columns: Sequence[str]) -> list[str]:
    return [*_all(columns, "author"), *_ending(columns, "author")]


def _own(column: str) -> str:
    return plain_name(column.rpartition(".")[2])


def _all(columns: Sequence[str], kind: str) -> list[str]:
    by_name = {plain_name(column): column for column in reversed(columns)}
    by_name = {_own(column): column for column in reversed(columns)} | by_name
    return [by_name[name] for name in _NAMES[kind] if name in by_name]


def _ending(columns: Sequence[str], kind: str) -> list[str]:
    """The columns whose names end with one of these words, such as comment_author."""
    ends = _NAMES[f"ends_of_{kind}"]
    return [
        column
        for end in ends
        for column in columns
        if plain_name(column).endswith(f"_{end}")
    ]


def _first(column: str, messages: Sequence[Message]) -> Any:
    return next(
        (
            value
            for message in messages
            if (value := message.get(column)) not in (None, "", [])
        ),
        None,
    )


def _values(column: str, messages: Sequence[Message]) -> list[str]:
    return [
        str(value).strip()
        for message in messages
        if (value := message.get(column)) not in (None, "")
    ]


def _can_be_names(column: str, messages: Sequence[Message]) -> bool:
    if any(
        isinstance(message.get(column), (dict, list, bool, float))
        for message in messages
    ):
        return False
    values = _values(column, messages)
    return len(set(values)) > 1 and max(map(len, values)) <= _LONGEST_NAME


def _role_values(column: str, messages: Sequence[Message]) -> dict[str, str]:
    """The role of each value of the column, if all of them are roles and both sides
    occur; else {}. In a dialogue with a system, the system answers.
    """
    role_of = _ROLES
    if yes := _IF_TRUE.get(_own(column)):
        no = "user" if yes == "assistant" else "assistant"
        role_of = {"true": yes, "1": yes, "false": no, "0": no}
    values = {value.lower() for value in _values(column, messages)}
    roles = {
        value: role_of[plain_name(value)]
        for value in values
        if plain_name(value) in role_of
    }
    if set(roles.values()) == {"user", "system"} and len(roles) == len(values):
        return {
            value: role.replace("system", "assistant") for value, role in roles.items()
        }
    return (
        roles
        if {"user", "assistant"}.issubset(roles.values()) and len(roles) == len(values)
        else {}
    )


def _links(messages: Sequence[Message]) -> tuple[str, str]:
    """The column with a message's id, and that with the id of the message that it
    answers; ("", "") without.
    """
    columns = _columns(messages)
    for parent in (
        name
        for name in columns
        if any(word in plain_name(name) for word in _NAMES["parent"])
    ):
        answered = {value.rpartition("_")[2] for value in _values(parent, messages)}
        for column in columns if answered else ():
            ids = {value.rpartition("_")[2] for value in _values(column, messages)}
            if (
                column != parent
                and len(ids) == len(messages)
                and 2 * len(ids & answered) >= len(answered)
            ):
                return column, parent
    for column in columns:  # "ab.1" answers "ab"
        ids = {*_values(column, messages)}
        answers = sum(value.rpartition(".")[0] in ids for value in ids)
        if len(ids) == len(messages) and _FEWEST_ANSWERS <= answers >= len(ids) / 10:
            return column, column
    return "", ""


def _has_dialogue(thread: str, author: str, records: Sequence[Message]) -> bool:
    """Whether most rows belong to a conversation with more than one author."""
    speakers: dict[str, set[str]] = {}
    counted = Counter[str]()
    for record in records:
        key = str(record.get(thread))
        speakers.setdefault(key, set()).add(str(record.get(author)))
        counted[key] += 1
    return 2 * sum(
        counted[key] for key, names in speakers.items() if len(names) > 1
    ) > len(records)
