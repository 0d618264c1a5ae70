"""Recognizes tables with one message per row: who speaks, what they say, and to which conversation it belongs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.datasets.chats.format import ChatFormat
from backend.datasets.convert.detect import match
from backend.datasets.convert.shapes import plain_name
from backend.files.json_file import read_json

_WORDS = read_json(Path(__file__).with_name("words.json"))
# In the form of `plain_name`; the first that a file has is used. speaker: of those of an author, the ones that only
# dialogues use. long_thread: of conversations that go on for months.
_NAMES: dict[str, list[str]] = _WORDS["columns"]
_ROLES: dict[str, str] = {name: role for role, names in _WORDS["roles"].items() for name in names}
_LONGEST_NAME = 80  # characters
_LONGEST_TEXT = 500  # mean characters of a message, where nothing says which conversation it belongs to


def message_rows(records: Sequence[Mapping[str, Any]]) -> ChatFormat | None:
    """The format of a table with one message per row, None where the rows are something else: different people write
    in most conversations, or every speaker is a role such as user, or a few speakers write short texts, and often."""
    filled = Counter(name for record in records for name, value in record.items() if value not in (None, ""))
    columns = [name for name, count in filled.items() if 2 * count > len(records)]
    texts = (name for name in _all(columns, "text") if any(isinstance(record.get(name), str) for record in records))
    text = next(texts, None)
    authors = [column for column in _all(columns, "author") if column != text and _can_be_names(column, records)]
    if len(records) < 2 or text is None or not authors:
        return None
    author = next((column for column in authors if _role_values(column, records)), authors[0])
    whole = match(records[0])
    if whole is not None and whole.shape != "text" and author not in whole.mapping.values():
        return None  # each row is an example: a question and its answer, neither of which is the speaker's name
    threads = [column for column in _all(columns, "thread") if column not in (text, author)]
    thread = next((column for column in threads if _has_dialogue(column, author, records)), "")
    time = next((column for column in _all(columns, "time") if column not in (text, author, thread)), "")
    roles = _role_values(author, records)
    lengths = [len(value) for value in _values(text, records)]
    short = sum(lengths) <= _LONGEST_TEXT * len(lengths)
    few = 4 * len(set(_values(author, records))) <= len(records)
    log = (time or plain_name(author) in _NAMES["speaker"]) and short and few
    if not (thread or roles or log):
        return None
    return ChatFormat(
        "a table with one message per row",
        thread=thread,
        author=(author,),
        roles=roles,
        text=(text,),
        time=(time,) if time else (),
        pauses=bool(time and (not thread or plain_name(thread) in _NAMES["long_thread"])),
    )


def _all(columns: Sequence[str], kind: str) -> list[str]:
    by_name = {plain_name(column): column for column in reversed(columns)}
    return [by_name[name] for name in _NAMES[kind] if name in by_name]


def _values(column: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(value).strip() for record in records if (value := record.get(column)) not in (None, "")]


def _can_be_names(column: str, records: Sequence[Mapping[str, Any]]) -> bool:
    if any(isinstance(record.get(column), (dict, list, bool, float)) for record in records):
        return False
    values = _values(column, records)
    return len(set(values)) > 1 and max(map(len, values)) <= _LONGEST_NAME


def _role_values(column: str, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The role of each value of the column, if all of them are roles and both sides occur; else {}."""
    values = {value.lower() for value in _values(column, records)}
    roles = {value: _ROLES[plain_name(value)] for value in values if plain_name(value) in _ROLES}
    both = {"user", "assistant"}.issubset(roles.values())
    return roles if both and len(roles) == len(values) else {}


def _has_dialogue(thread: str, author: str, records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether most rows belong to a conversation with more than one author."""
    speakers: dict[str, set[str]] = {}
    counted = Counter[str]()
    for record in records:
        key = str(record.get(thread))
        speakers.setdefault(key, set()).add(str(record.get(author)))
        counted[key] += 1
    return 2 * sum(counted[key] for key, names in speakers.items() if len(names) > 1) > len(records)
