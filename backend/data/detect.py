"""Which shape a file's examples have, told from their names and values, and which column is which field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.data.columns import guess
from backend.data.excerpt import excerpt
from backend.data.options import ReadOptions, RowFault
from backend.data.shapes import SHAPES, Columns, complete
from backend.errors import BadInput

Record = tuple[int, Any]  # line, and the row as read: a dict when all is well, a RowFault when it could not be read
ROLE_KEYS = ("role", "from", "speaker", "author")
_CHAT_BY_NAME = ("messages", "conversations")
_SIGNATURES = 1_000  # sets of columns whose mapping is remembered


@dataclass(frozen=True)
class Match:
    """A shape and where its fields are: {field: column}."""

    shape: str
    mapping: dict[str, str]


def match(record: Mapping[str, Any]) -> Match | None:
    """The shape that one row has by the names of its columns and, where they don't tell, by its values."""
    columns = Columns(record)
    extras = columns.find("system", "tools")
    pair = columns.find("chosen", "rejected")
    chat = _chat_column(record, columns)
    if len(pair) == 2:
        asked = {"messages": chat} if chat else _renamed(columns.find("asked"), "asked", "prompt")
        if asked.get("prompt") == columns.find("instruction").get("instruction"):
            asked |= columns.find("input")
        return Match("preference", {**asked, **pair, **extras})
    if chat:
        chat_mapping = {"messages": chat, **extras}
        label = columns.find("label")
        if label and _is_mark(record[label["label"]]):
            return Match("kto", {**chat_mapping, **label, **columns.find("completion")})
        items = record[chat]
        first = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
        return Match("sharegpt" if "from" in first and "role" not in first else "messages", chat_mapping)
    return _match_texts(record, columns)


def _match_texts(record: Mapping[str, Any], columns: Columns) -> Match | None:
    found = columns.find(
        "instruction", "input", "output", "history", "prompt", "completion", "label", "system", "tools"
    )
    marked = "label" in found and _is_mark(record[found["label"]])

    def only(*fields: str) -> dict[str, str]:
        return {name: found[name] for name in fields if name in found}

    if "instruction" in found and "output" in found:
        if marked:
            renamed = {"prompt": found["instruction"], "completion": found["output"]}
            return Match("kto", {**renamed, **only("input", "label", "system", "tools")})
        return Match("alpaca", only("instruction", "input", "output", "system", "history"))
    if "prompt" in found and "completion" in found:
        if marked:
            return Match("kto", only("prompt", "completion", "label", "system", "tools"))
        return Match("prompt_completion", only("prompt", "completion", "system", "tools"))
    pair = columns.find("question", "answer")
    text = columns.find("text")
    if "answer" in pair and "question" not in pair and text and text["text"] != pair["answer"]:
        pair["question"] = text["text"]
    if marked and len(pair) == 2 and pair["answer"] != found["label"]:
        return Match("kto", {"prompt": pair["question"], "completion": pair["answer"], **only("label", "system")})
    if len(pair) == 2 and pair["question"] != pair["answer"]:
        rest = columns.find("context", "system").items()
        return Match("question_answer", {**pair, **{name: c for name, c in rest if c not in pair.values()}})
    return Match("text", text) if text and not pair else None


def _renamed(found: dict[str, str], old: str, new: str) -> dict[str, str]:
    return {new: found[old]} if old in found else {}


def _chat_column(record: Mapping[str, Any], columns: Columns) -> str | None:
    named = columns.find("messages").get("messages")
    if named and (named in _CHAT_BY_NAME or _is_chat(record[named])):
        return named
    answers = columns.find("chosen", "rejected", "prompt", "completion").values()
    return next((c for c, value in record.items() if c not in answers and _is_chat(value)), None)


def _is_chat(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict) and any(key in value[0] for key in ROLE_KEYS)
    return isinstance(value, str) and value.startswith("[{") and any(f'"{key}"' in value[:2000] for key in ROLE_KEYS)


def _is_mark(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false"))


@dataclass
class Plan:
    """How the rows of one file are converted, and what was seen on the way.

    lenient: other names for the roles (human, gpt) are taken as meant. guessed: the mapping is a guess by content.
    used: the mapping over all rows. columns: every column seen. unread: keys inside messages that nothing takes.
    """

    shape: str
    mapping: dict[str, str]
    lenient: bool = False
    fixed: bool = False  # the mapping above holds for every row
    guessed: bool = False
    used: dict[str, str] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    _known: dict[tuple[str, ...], Match | None] = field(default_factory=dict)
    _first_lines: dict[str, int] = field(default_factory=dict)

    def mapping_for(self, record: dict[str, Any], line: int) -> Mapping[str, str]:
        """Where this row's fields are. Raises RowFault when it has another shape, or lacks what the shape needs."""
        signature = tuple(record)
        found = self._known.get(signature)
        if found is None:
            self.columns.update(dict.fromkeys(signature))
            found = self._match(record)
            if found is None:
                raise self._misfit(record)
            if len(self._known) < _SIGNATURES:
                self._known[signature] = found
            if found.shape == self.shape:
                self.used.update(found.mapping)
        first = self._first_lines.setdefault(found.shape, line)
        if found.shape != self.shape:
            raise self.mixed(found.shape, first)
        return found.mapping

    @property
    def only_messages(self) -> bool:
        """Whether rows are read from a column "messages" in the canonical form."""
        return self.shape == "messages" and not self.lenient and self.mapping.get("messages") == "messages"

    def _match(self, record: dict[str, Any]) -> Match | None:
        mine = {name: column for name, column in self.mapping.items() if column in record}
        if self.fixed:
            return Match(self.shape, mine) if complete(self.shape, mine) else match(record)
        found = match(record)
        if (found is None or found.shape != self.shape) and self.guessed and complete(self.shape, mine):
            return Match(self.shape, mine)
        return found

    def mixed(self, shape: str, line: int) -> RowFault:
        """The fault of a row of another shape, which was first seen on `line`."""
        return RowFault(
            "mixed_shapes",
            f"Two shapes are mixed in this file: {SHAPES[self.shape].title} (first on line "
            f"{self._first_lines.get(self.shape, 1)}) and {SHAPES[shape].title} (first on line {line}). "
            "This row has the second.",
            "Bring the two kinds of rows as two files, or rewrite one kind.",
        )

    def _misfit(self, record: dict[str, Any]) -> RowFault:
        wanted = {self.mapping.get(name, name) for group in SHAPES[self.shape].required for name in group[:1]}
        missing = sorted(wanted - set(record))
        return RowFault(
            "missing_field",
            f"This row lacks {' and '.join(map(repr, missing)) or 'what the other rows have'}.",
            "Add it, or leave this row out.",
            excerpt("has: " + ", ".join(record)),
        )


def make_plan(sample: Sequence[Record], options: ReadOptions) -> Plan:
    """The plan for a file that begins with `sample`: by `options` where they say it, else by what most rows show.

    Raises BadInput when the rows are no examples, or when the options name what is not there.
    """
    records = [value for _, value in sample if isinstance(value, dict) and value]
    if options.shape is not None or options.mapping:
        return _wanted(records, options)
    if not records and any(isinstance(value, RowFault) for _, value in sample):
        return Plan("messages", {"messages": "messages"})  # nothing could be read, and each row says why
    matches = [found for found in map(match, records) if found is not None]
    guessed = guess(records) if len(records) > max(1, 2 * len(matches)) else None
    if matches and guessed is None:
        votes = Counter(found.shape for found in matches)
        shape = votes.most_common(1)[0][0]
        mapping: dict[str, str] = {}
        for found in matches:
            if found.shape == shape:
                mapping.update({name: c for name, c in found.mapping.items() if name not in mapping})
        return Plan(shape, mapping, lenient=_is_lenient(records, shape, mapping))
    if guessed is None:
        columns = dict.fromkeys(column for record in records for column in record)
        raise BadInput(
            "No examples were found in this file.",
            "Its columns are: " + excerpt(", ".join(columns), width=300) + "."
            if columns
            else "Its rows have no named columns.",
            "An example is a conversation (messages), or a question with its answer. "
            "If these are here under other names, say which column is which.",
        )
    return Plan(guessed[0], guessed[1], fixed=True, guessed=True)


def _wanted(records: list[dict[str, Any]], options: ReadOptions) -> Plan:
    mapping = dict(options.mapping or {})
    shape = options.shape
    if shape is None:
        fitting = [name for name, s in SHAPES.items() if set(mapping) <= set(s.fields) and complete(name, mapping)]
        shape = fitting[0] if fitting else ""
    if shape not in SHAPES:
        raise BadInput(
            f"There is no shape {shape[:40]!r}." if shape else "These columns make no whole example.",
            "",
            "The shapes are: " + "; ".join(f"{name} ({', '.join(s.fields)})" for name, s in SHAPES.items()) + ".",
        )
    columns = dict.fromkeys(column for record in records for column in record)
    for name, column in mapping.items():
        if name not in SHAPES[shape].fields or column not in columns:
            known = SHAPES[shape].fields if name not in SHAPES[shape].fields else columns
            raise BadInput(
                f"{(name if name not in SHAPES[shape].fields else column)[:60]!r} is not here.",
                f"{SHAPES[shape].title} was asked for, with {column[:60]!r} as {name[:60]!r}.",
                f"Known are: {excerpt(', '.join(known), width=300)}.",
            )
    if not mapping:
        found = Columns(columns).find(*(name for name in SHAPES[shape].fields))
        asked = Columns(columns).find("asked")
        if shape in ("preference", "kto") and "prompt" not in found and asked:
            found["prompt"] = asked["asked"]
        mapping = found
    if not complete(shape, mapping):
        raise BadInput(
            f"The columns for {SHAPES[shape].title} are not all here.",
            "It needs " + " and ".join(" or ".join(group) for group in SHAPES[shape].required) + ".",
            f"Say which column is which; the columns are: {excerpt(', '.join(columns), width=300)}.",
        )
    return Plan(shape, mapping, fixed=True, lenient=shape == "sharegpt" or _is_lenient(records, shape, mapping))


def _is_lenient(records: list[dict[str, Any]], shape: str, mapping: dict[str, str]) -> bool:
    """Whether most rows speak of human and gpt (or the like) instead of user and assistant."""
    if shape != "messages":
        return True
    chats = [chat for record in records if isinstance(chat := record.get(mapping["messages"]), list)]
    roles = [message.get("role") for chat in chats for message in chat[:2] if isinstance(message, dict)]
    usual = sum(role in ("system", "user", "assistant", "tool", "developer") for role in roles)
    return 2 * usual < len(roles)
