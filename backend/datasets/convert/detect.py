"""Detects the shape of a record and the column of each field, from the column names and
the values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.datasets.convert.shapes import SPEAKERS, Columns, plain_name
from backend.datasets.convert.templates import conversation

# Line, and the record: usually a dict, a RowFault when it is unreadable.
Record = tuple[int, Any]
ROLE_KEYS = ("role", "from", "speaker", "author")
CHAT_BY_NAME = ("messages", "conversations")
# What was said before the question, which is another column.
_EARLIER = ("history", "chat_history")


@dataclass(frozen=True)
class Match:
    """A shape and the column of each of its fields."""

    shape: str
    mapping: dict[str, str]


def match(record: Mapping[str, Any]) -> Match | None:
    """The shape of one record, by its column names or, where they are ambiguous, by its
    values.
    """
    columns = Columns(record)
    extras = columns.find("system", "tools")
    pair = columns.find("chosen", "rejected")
    chat = _chat_column(record, columns)
    if len(pair) == 2:
        asking = columns.find("pair_prompt")
        prompt = (
            {"messages": chat}
            if chat
            else {"prompt": asking["pair_prompt"]}
            if asking
            else {}
        )
        if prompt.get("prompt") == columns.find("instruction").get("instruction"):
            prompt |= columns.find("input")
        return Match("preference", {**prompt, **pair, **extras})
    if asked := _asked(record, columns):
        return Match("prompt_completion", {**asked, **extras})
    if chat:
        chat_mapping = {"messages": chat, **extras}
        label = columns.find("label")
        if label and _is_mark(record[label["label"]]):
            return Match("kto", {**chat_mapping, **label, **columns.find("completion")})
        items = record[chat]
        first = (
            items[0]
            if isinstance(items, list) and items and isinstance(items[0], dict)
            else {}
        )
        return Match(
            "sharegpt" if "from" in first and "role" not in first else "messages",
            chat_mapping,
        )
    return _match_texts(record, columns)


def _asked(record: Mapping[str, Any], columns: Columns) -> dict[str, str]:
    """The prompt and the completion of a conversation that ends with a question, whose
    answer stands in another column, as in OpenAI's evals and stored completions; {} for
    anything else.
    """
    answer = columns.find("reference").get("reference")
    if answer is None or record[answer] is None or "prompt" in columns.find("prompt"):
        return {}
    chats = {
        name: value
        for name, value in record.items()
        if name != answer and isinstance(value, list) and value
    }
    last = {
        name: chat[-1] for name, chat in chats.items() if isinstance(chat[-1], dict)
    }
    prompt = next(
        (name for name, message in last.items() if message.get("role") == "user"), None
    )
    if prompt is None and is_chat(record[answer]):
        prompt = columns.find("question").get("question")
    return (
        {"prompt": prompt, "completion": answer} if prompt and prompt != answer else {}
    )


def _match_texts(record: Mapping[str, Any], columns: Columns) -> Match | None:
    instructed = ("instruction", "input", "output", "history")
    by_field = columns.find(
        *instructed, "prompt", "completion", "label", "system", "tools"
    )
    marked = "label" in by_field and _is_mark(record[by_field["label"]])
    pair = columns.find("question", "answer")

    def only(*fields: str) -> dict[str, str]:
        return {name: by_field[name] for name in fields if name in by_field}

    if "instruction" in by_field and "output" in by_field:
        if marked:
            renamed = {
                "prompt": by_field["instruction"],
                "completion": by_field["output"],
            }
            return Match(
                "kto", {**renamed, **only("input", "label", "system", "tools")}
            )
        return Match(
            "alpaca", only("instruction", "input", "output", "system", "history")
        )
    if "prompt" in by_field and "completion" in by_field:
        if marked:
            return Match(
                "kto", only("prompt", "completion", "label", "system", "tools")
            )
        return Match(
            "prompt_completion", only("prompt", "completion", "system", "tools")
        )
    about = (
        only("input")
        if "instruction" in by_field and pair.get("question") == by_field.get("input")
        else {}
    )
    if about:  # or else the instruction would be left out
        pair["question"] = by_field["instruction"]
    text = columns.find("text")
    beside = [
        cell
        for name, cell in record.items()
        if "." not in name and isinstance(cell, str)
    ]
    inside, longest = text.get("text", ""), max(map(len, beside), default=0)
    if (
        "." in inside
        and longest
        and (isinstance(record[inside], list) or len(str(record[inside])) < longest)
    ):
        text = {}  # of an object beside the text, such as a link
    if (
        "answer" in pair
        and "question" not in pair
        and text
        and isinstance(record[pair["answer"]], bool)
    ):
        return None  # whether a text is a reply
    if (
        text
        and "question" not in pair
        and any(str(record.get(key)).casefold() in SPEAKERS for key in ROLE_KEYS)
    ):
        return Match("text", text)  # one message of a conversation
    if (
        "answer" in pair
        and "question" not in pair
        and text
        and text["text"] != pair["answer"]
    ):
        pair = {"question": text["text"], **pair}
    if marked and len(pair) == 2 and pair["answer"] != by_field["label"]:
        return Match(
            "kto",
            {
                "prompt": pair["question"],
                "completion": pair["answer"],
                **about,
                **only("label", "system"),
            },
        )
    if len(pair) == 2 and pair["question"] != pair["answer"]:
        rest = columns.find("context", "system") | (
            {"context": about["input"]} if about else {}
        )
        return Match(
            "question_answer",
            {**pair, **{name: c for name, c in rest.items() if c not in pair.values()}},
        )
    return Match("text", text) if text and not pair else None


def _chat_column(record: Mapping[str, Any], columns: Columns) -> str | None:
    named = columns.find("messages").get("messages")
    if named and (
        named in CHAT_BY_NAME or is_chat(record[named]) or is_turns(record[named])
    ):
        return named
    answers = columns.find("chosen", "rejected", "prompt", "completion").values()
    rest = (
        column
        for column in record
        if column not in answers and plain_name(column) not in _EARLIER
    )
    return next((column for column in rest if is_chat(record[column])), None)


def is_turns(value: Any) -> bool:
    """Whether a conversation is a list of turns that each name its speakers, such as
    human and assistant.
    """
    turns = value if isinstance(value, list) and value else [None]
    return all(
        isinstance(turn, dict) and turn and SPEAKERS.keys() > turn.keys()
        for turn in turns
    )


def is_chat(value: Any) -> bool:
    """Whether a value is a conversation: a list of messages, its JSON, or a text with a
    template's marks.
    """
    if isinstance(value, list):
        return (
            bool(value)
            and isinstance(value[0], dict)
            and any(key in value[0] for key in ROLE_KEYS)
        )
    if not isinstance(value, str):
        return False
    if value.startswith("[{"):
        return any(f'"{key}"' in value[:2000] for key in ROLE_KEYS)
    return value.lstrip()[:1] in tuple("<[#B") and bool(
        conversation(value)
    )  # "Below is an instruction ..."


def _is_mark(value: Any) -> bool:
    return isinstance(value, bool) or (
        isinstance(value, str) and value.strip().lower() in ("true", "false")
    )
