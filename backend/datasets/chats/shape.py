"""Recognizes messages by their shape, wherever they lie: who speaks, what they say, and perhaps when and to whom."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.datasets.chats.clean import has_tags
from backend.datasets.chats.format import ChatFormat, Markup
from backend.datasets.convert.detect import match
from backend.datasets.convert.nested import flat
from backend.datasets.convert.shapes import plain_name
from backend.files.json_file import read_json

Message = Mapping[str, Any]  # flat

_WORDS = read_json(Path(__file__).with_name("words.json"))
# In the form of `plain_name`; the first that a file has is used. speaker: of those of an author, the ones that only
# dialogues use. needs_roles: they also name other things. long_thread: of conversations that go on for months.
_NAMES: dict[str, list[str]] = _WORDS["columns"]
_ROLES: dict[str, str] = {name: role for role, names in _WORDS["roles"].items() for name in names}
_SIDES = {
    **{
        name: {"true": "assistant", "false": "user", "1": "assistant", "0": "user"} for name in _NAMES["from_assistant"]
    },
    **{name: {"true": "user", "false": "assistant", "1": "user", "0": "assistant"} for name in _NAMES["from_user"]},
}
_LONGEST_NAME = 80  # characters
_LONGEST_TEXT = 500  # mean characters of a message, where nothing says which conversation it belongs to
_DEPTH, _LOOKED_AT = 8, 8  # objects in objects; items of a list


def nested_messages(records: Sequence[Mapping[str, Any]]) -> ChatFormat | None:
    """The format of records that are conversations, with messages somewhere inside; None where they are not."""
    found = [list(_messages(record, "", _DEPTH)) for record in records]
    counted = Counter(path for messages in found for path in {path for path, _ in messages})
    paths = dict.fromkeys(path for messages in found for path, _ in messages)
    places = [path for path in paths if 5 * counted[path] >= len(records)]
    inner = [messages for messages in found if any(path and path in places for path, _ in messages)]
    if not records or 2 * len(inner) < len(records) or max(map(len, inner)) < 2:
        return None
    messages = [message for there in found for path, message in there if path in places]
    chat = _described(messages, several=True)
    if chat is None:
        return None
    asker = _asker(records, messages, chat)
    authors = _values(chat.author[0], messages)
    sure = chat.roles or asker or len(set(authors)) < len(authors)
    if len(set(authors)) < 2 or not (sure or plain_name(chat.author[0]) not in _NAMES["needs_roles"]):
        return None
    asker = "" if chat.roles else asker
    chat = replace(chat, title="a file of conversations", messages=places, asker=asker)
    outside = _around(places)
    return replace(chat, records=outside, messages=[path.removeprefix(f"{outside}.") for path in places])


def _around(places: Sequence[str]) -> str:
    """The list of conversations inside a record that holds several; "" where it is one."""
    first = places[0].partition("[]")[0] + "[]"
    inside = {path.removeprefix(f"{first}.") for path in places if path.startswith(f"{first}.")}
    return first if len(inside) == len(places) and (len(inside) > 1 or "[]" in min(inside)) else ""


def _messages(value: Any, path: str, depth: int) -> Iterator[tuple[str, Message]]:
    """The path and the columns of each object that says who and what; of those inside each other, the inner ones."""
    if isinstance(value, list) and depth:
        for item in value[:_LOOKED_AT]:
            yield from _messages(item, f"{path}[]", depth - 1)
    elif isinstance(value, dict) and depth:
        own: dict[str, Any] = {}
        below: list[tuple[str, Message]] = []
        for name, inner in value.items():
            messages = list(_messages(inner, f"{path}.{name}" if path else name, depth - 1))
            below += messages
            if not (messages and isinstance(inner, dict)):
                own[name] = inner
        columns = flat(own, lists=False)
        if _texts(columns) and _authors([columns], weak=True):
            yield path, columns
        yield from below


def message_rows(records: Sequence[Message]) -> ChatFormat | None:
    """The format of a table with one message per row, None where the rows are something else: different people write
    in most conversations, or every speaker is a role such as user, or rows answer others, or a few speakers write
    short texts, and often; or each row is a message with its reply."""
    filled = Counter(name for record in records for name, value in record.items() if value not in (None, ""))
    columns = [name for name, count in filled.items() if 2 * count > len(records)]
    rows = [{name: record.get(name) for name in columns} for record in records]
    whole = match(records[0]) if records else None
    if replied := _replies(records) if whole is None or whole.shape == "text" else None:
        return replied
    chat = _described(rows) if len(records) > 1 else None
    if chat is None:
        return None
    (author,), (text,) = chat.author[:1], chat.text[:1]
    if whole is not None and whole.shape != "text" and author not in whole.mapping.values():
        return None  # each row is an example: a question and its answer, neither of which is the speaker's name
    threads = [column for column in _all(columns, "thread") if column not in (text, author, chat.id)]
    thread = next((column for column in threads if _has_dialogue(column, author, records)), "")
    id_, parent = _links(records)
    lengths = [len(value) for value in _values(text, records)]
    short = sum(lengths) <= _LONGEST_TEXT * len(lengths)
    few = len(set(_values(author, records))) <= max(2, len(records) / 4) and len(records) > 3
    log = (chat.time or plain_name(author) in _NAMES["speaker"]) and short and few
    if not (thread or chat.roles or log or parent):
        return None
    time = tuple(column for column in chat.time if column != thread)
    return replace(
        chat,
        thread=thread,
        never=_all([*filled], "hidden"),
        time=time,
        id=id_,
        parent=parent,
        opening=next((column for column in _all(columns, "opening") if thread and column != text), ""),
        pauses=bool(time and (not thread or plain_name(thread) in _NAMES["long_thread"])),
    )


def _described(messages: Sequence[Message], several: bool = False) -> ChatFormat | None:
    """The columns of messages: who, what, when. several: the text may be in another column in some of them."""
    columns = [*dict.fromkeys(name for message in messages for name in message)]
    texts = _texts({name: _first(name, messages) for name in columns})
    authors = [column for column in _authors(messages) if column not in texts[:1]]
    if not texts or not authors:
        return None
    author = next((column for column in authors if _role_values(column, messages)), authors[0])
    roles = _role_values(author, messages)
    names = [column for column in authors if column != author and not roles and _is_name_of(column, author)]
    used = texts if several else texts[:1]
    id_, parent = _links(messages)
    return ChatFormat(
        "a table with one message per row",
        author=tuple(authors) if several and not roles else (author,),
        name=tuple(names[:1]),
        roles=roles,
        text=tuple(f"{column}[]" if isinstance(_first(column, messages), list) else column for column in used),
        time=tuple(column for column in _all(columns, "time") if column not in (*used, author))[:1],
        id=id_,
        parent=parent,
        rank=next((column for column in columns if parent and plain_name(column) == "rank"), ""),
        only={column: [True, "true", "True", "1", 1] for column in _all(columns, "public")},
        never=_all(columns, "hidden"),
        markup=_markup(used[0], messages),
    )


def _replies(records: Sequence[Message]) -> ChatFormat | None:
    """The format of rows with a text and somebody's reply to it, such as reviews."""
    columns = [*dict.fromkeys(name for record in records for name in record)]
    wordy = [column for column in columns if any(map(_is_said, _values(column, records)))]
    replies = [column for column in wordy if _has_word(column, "reply")]
    texts = [column for column in _texts(dict.fromkeys(wordy, " a")) if column not in replies]
    replies = _texts(dict.fromkeys(replies, " a"))
    if not texts or not replies:
        return None
    title = f"a list of texts ({texts[0]}) with replies ({replies[0]})"
    return ChatFormat(title, text=texts[:1], reply=replies[0], author=())


def _has_word(column: str, kind: str) -> bool:
    return not set(plain_name(column).split("_")).isdisjoint(_NAMES[kind])


def _is_said(text: str) -> bool:
    return " " in text and any(character.isalpha() for character in text)


def _texts(columns: Message) -> list[str]:
    """Those that hold what is said, by their names."""
    said = [name for name, value in columns.items() if _words_in(value)]
    return [*dict.fromkeys([*_all(said, "text"), *_ending(said, "text")])]


def _words_in(value: Any) -> bool:
    if isinstance(value, list) and value:
        value = value[0].get("text") if isinstance(value[0], dict) else value[0]
    return isinstance(value, str) and any(character.isalpha() for character in value)


def _authors(messages: Sequence[Message], weak: bool = False) -> list[str]:
    """Those that say who speaks: which side first. weak: a single message is enough."""
    columns = [*dict.fromkeys(name for message in messages for name in message)]
    sides = [name for name in columns if plain_name(name.rpartition(".")[2]) in _SIDES]
    named = [*_all(columns, "author"), *_ending(columns, "author")]
    if weak:
        return [name for name in (*sides, *named) if _values(name, messages)]
    sides = [name for name in sides if _role_values(name, messages)]
    return [*sides, *dict.fromkeys(name for name in named if _can_be_names(name, messages))]


def _all(columns: Sequence[str], kind: str) -> list[str]:
    by_name = {plain_name(column): column for column in reversed(columns)}
    by_name |= {plain_name(column.rpartition(".")[2]): column for column in reversed(columns)} | by_name
    return [by_name[name] for name in _NAMES[kind] if name in by_name]


def _ending(columns: Sequence[str], kind: str) -> list[str]:
    """The columns whose names end with one of these words, such as comment_author."""
    ends = _NAMES[f"ends_of_{kind}"]
    return [column for end in ends for column in columns if plain_name(column).endswith(f"_{end}")]


def _first(column: str, messages: Sequence[Message]) -> Any:
    return next((value for message in messages if (value := message.get(column)) not in (None, "", [])), None)


def _values(column: str, messages: Sequence[Message]) -> list[str]:
    return [str(value).strip() for message in messages if (value := message.get(column)) not in (None, "")]


def _can_be_names(column: str, messages: Sequence[Message]) -> bool:
    if any(isinstance(message.get(column), (dict, list, bool, float)) for message in messages):
        return False
    values = _values(column, messages)
    return len(set(values)) > 1 and max(map(len, values)) <= _LONGEST_NAME


def _is_name_of(column: str, author: str) -> bool:
    """Whether a column shows the name of whom another one identifies."""
    return column.endswith(("name", "Name")) and not author.endswith(("name", "Name"))


def _role_values(column: str, messages: Sequence[Message]) -> dict[str, str]:
    """The role of each value of the column, if all of them are roles and both sides occur; else {}. In a dialogue with
    a system, the system answers."""
    known = _SIDES.get(plain_name(column.rpartition(".")[2]), _ROLES)
    values = {value.lower() for value in _values(column, messages)}
    roles = {value: known[plain_name(value)] for value in values if plain_name(value) in known}
    if set(roles.values()) == {"user", "system"} and len(roles) == len(values):
        return {value: role.replace("system", "assistant") for value, role in roles.items()}
    both = {"user", "assistant"}.issubset(roles.values())
    return roles if both and len(roles) == len(values) else {}


def _asker(records: Sequence[Mapping[str, Any]], messages: Sequence[Message], chat: ChatFormat) -> str:
    """The column of the conversations, or of a list of them, that names one of those who write in them; "" without."""
    inside = [inner for record in records for inner in record.values() if isinstance(inner, list)]
    lists = [item for inner in inside for item in inner if isinstance(item, dict)]
    authors = {value for name in chat.author for value in _values(name, messages)}
    for outer in ([flat(dict(record), lists=False) for record in level] for level in (records, lists) if level):
        for column in _all([*outer[0]], "asker"):
            values = _values(column, outer)
            if 2 * len(values) > len(outer) and 2 * sum(value in authors for value in values) > len(values):
                return column
    return ""


def _links(messages: Sequence[Message]) -> tuple[str, str]:
    """The column with a message's id, and that with the id of the message that it answers; ("", "") without."""
    columns = [*dict.fromkeys(name for message in messages for name in message)]
    for parent in (name for name in columns if any(word in plain_name(name) for word in _NAMES["parent"])):
        answered = {value.rpartition("_")[2] for value in _values(parent, messages)}
        for column in columns if answered else ():
            ids = {value.rpartition("_")[2] for value in _values(column, messages)}
            if column != parent and len(ids) == len(messages) and 2 * len(ids & answered) >= len(answered):
                return column, parent
    return "", ""


def _markup(column: str, messages: Sequence[Message]) -> Markup:
    texts = _values(column, messages)
    return "html" if 2 * sum(map(has_tags, texts)) > len(texts) else ""


def _has_dialogue(thread: str, author: str, records: Sequence[Message]) -> bool:
    """Whether most rows belong to a conversation with more than one author."""
    speakers: dict[str, set[str]] = {}
    counted = Counter[str]()
    for record in records:
        key = str(record.get(thread))
        speakers.setdefault(key, set()).add(str(record.get(author)))
        counted[key] += 1
    return 2 * sum(counted[key] for key, names in speakers.items() if len(names) > 1) > len(records)
