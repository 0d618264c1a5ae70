"""Converts a conversation, in the formats that files use, into canonical messages."""

import json
from typing import Any

from backend.datasets.convert.detect import ROLE_KEYS, is_turns
from backend.datasets.convert.shapes import ALIASES, ROLES, SPEAKERS
from backend.datasets.convert.templates import conversation
from backend.datasets.convert.tool_calls import calls_from, calls_in_text
from backend.records.reading import Limits, RowFault
from backend.records.rows import Message
from backend.text.excerpt import excerpt
from backend.text.strict_json import parse_text

_SYNONYMS = {
    "developer": "system",
    "function": "tool",
}  # OpenAI's newer and older names
CONTENT_KEYS = ("content", "value", "text", "message", "parts")  # parts: Gemini's
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_REASONING_PARTS = (
    "reasoning",
    "thinking",
    "redacted_thinking",
)  # OpenAI's, and Anthropic's
_CALL_KEYS = ("tool_calls", "function_call")
WEIGHT_KEYS = (
    "weight",
    "loss_weight",
)  # OpenAI's and Fireworks', and LLaMA-Factory's; 0: read, not learned
_COPIED = ("tool_call_id", "name")


def messages_from(value: Any, lenient: bool, unused_keys: set[str]) -> list[Message]:
    """Canonical messages from a list (or its JSON text). lenient: human, gpt, from and
    value are accepted too. Keys that are not used are added to `unused_keys`. Raises
    RowFault.
    """
    if isinstance(value, str):
        value = (not value.startswith("[{") and conversation(value)) or from_json(
            value, "conversation"
        )
    if value is None or value == []:
        raise RowFault(
            "empty_messages", "The conversation is empty.", "Remove this example."
        )
    if not isinstance(value, list):
        raise RowFault(
            "messages_not_a_list",
            "The conversation (messages) is not a list.",
            "",
            excerpt(str(value)),
        )
    if is_turns(value):  # each of a question and its answer
        value = [
            {"role": SPEAKERS[who], "content": text}
            for turn in value
            for who, text in turn.items()
        ]
    return [
        item  # already canonical, as nearly always
        if type(item) is dict
        and len(item) == 2
        and type(item.get("content")) is str
        and item.get("role") in ROLES
        else _message(item, number, lenient, unused_keys)
        for number, item in enumerate(value, 1)
    ]


def from_json(text: str, what: str) -> Any:
    """The value of JSON inside a text. what: its name for people. Raises RowFault."""
    try:
        return parse_text(text, Limits()) if text.strip() else None
    except RowFault as error:
        message = f"The {what} can't be read: its text is not valid JSON."
        raise RowFault("bad_json", message, "Correct it.", excerpt(text)) from error


def _message(item: Any, number: int, lenient: bool, unused_keys: set[str]) -> Message:
    if not isinstance(item, dict):
        what = f"Message {number} has no named fields, such as who speaks (role) and what is said (content)."
        raise RowFault("bad_message", what, "", excerpt(str(item)))
    keys = {key for key, value in item.items() if value is not None}
    role_key = next(
        (key for key in (ROLE_KEYS if lenient else ROLE_KEYS[:1]) if key in keys), None
    )
    content_key = next(
        (key for key in (CONTENT_KEYS if lenient else CONTENT_KEYS[:1]) if key in keys),
        None,
    )
    if role_key is None:
        what = f"Message {number} does not say who speaks (role)."
        fix = 'Write who speaks, as its role: "user" asks, "assistant" answers, "system" gives instructions.'
        raise RowFault("missing_role", what, fix, excerpt(str(item)))
    role = _role(item[role_key], number, lenient)
    message: Message = {"role": role}
    calls = None
    if role == "call":
        message["role"] = "assistant"
        calls = calls_in_text(item.get(content_key) if content_key else None, number)
        content = ""
    else:
        calls = calls_from(item, number) if keys.intersection(_CALL_KEYS) else None
        text, reasoning = _without_reasoning(
            item.get(content_key) if content_key else None
        )
        content = content_text(text, number, role, calls=bool(calls))
        reasoning = next(
            (item[key] for key in _REASONING_KEYS if isinstance(item.get(key), str)),
            reasoning,
        )
        if reasoning:
            message["reasoning_content"] = reasoning
    message["content"] = content
    if calls:
        message["tool_calls"] = calls
    message.update(
        {
            key: item[key]
            for key in _COPIED
            if key in keys and isinstance(item[key], str)
        }
    )
    used = (role_key, content_key, *_CALL_KEYS, *_COPIED, *_REASONING_KEYS)
    if weighted := keys.intersection(WEIGHT_KEYS):
        used = (
            *used,
            *(key for key in weighted if role != "assistant" or item[key] in (0, 1)),
        )
        if role == "assistant" and any(item[key] == 0 for key in weighted):
            message["weight"] = 0
    unused_keys.update(keys.difference(used))
    return message


def _role(role: Any, number: int, lenient: bool) -> str:
    if isinstance(role, str):
        lower = role.strip().lower()
        name = lower if lower in ROLES else _SYNONYMS.get(role)
        if name is None and lenient:
            name = _SYNONYMS.get(lower) or ALIASES.get(lower)
        if name is not None:
            return name
    likely = ALIASES.get(str(role).strip().lower()) or str(role).strip().lower()
    raise RowFault(
        "unknown_role",
        f"Message {number} has the speaker (role) {excerpt(str(role), width=40)!r}, which is not known.",
        f"Write {likely!r} instead."
        if likely in ROLES
        else "Write who speaks: user, assistant, system or tool.",
        excerpt(str(role)),
    )


def _without_reasoning(content: Any) -> tuple[Any, str]:
    """The content without the thinking parts, and those parts."""
    parts = content if isinstance(content, list) else []
    thoughts = [
        part
        for part in parts
        if isinstance(part, dict) and part.get("type") in _REASONING_PARTS
    ]
    if not thoughts:
        return content, ""
    texts = (part.get("thinking") or part.get("text") or "" for part in thoughts)
    answer = [part for part in content if part not in thoughts]
    return answer or None, "\n".join(
        text for text in texts if isinstance(text, str) and text
    )


def system_text(value: Any) -> Any:
    """Instructions as a text, where they are parts: Gemini's object of parts, or a list
    of parts.
    """
    if isinstance(value, dict) and "parts" in value:
        value = value["parts"]
    return (
        content_text(value, 0, "system", calls=False)
        if isinstance(value, list) and value
        else value
    )


def as_json(value: Any) -> str:
    """The JSON of an object or several, as in an answer with what was pulled out of a
    text, or was marked in it; "" if they are messages, or parts or spans of a text, or
    something else.
    """
    items = value if isinstance(value, list) else [value]
    data = items and (all(map(_is_record, items)) or _is_marked(value))
    return json.dumps(value, ensure_ascii=False) if data else ""


def _is_marked(value: Any) -> bool:
    """Whether a value lists what was marked in a text: each with its place, as lists or
    as objects.
    """
    items = value if isinstance(value, list) and value else [None]
    cells = [
        list(item.values())
        if isinstance(item, dict)
        else item
        if isinstance(item, list)
        else ()
        for item in items
    ]
    return all(
        sum(type(cell) is int for cell in own) > 1
        and any(isinstance(c, str) for c in own)
        for own in cells
    )


def _is_record(item: Any) -> bool:
    if not isinstance(item, dict) or not item or "answer_start" in item:
        return False
    is_message = not item.keys().isdisjoint(ROLE_KEYS) and not item.keys().isdisjoint(
        CONTENT_KEYS
    )
    is_text = str(item.get("type")).endswith("text") and not item.keys().isdisjoint(
        CONTENT_KEYS
    )
    is_part = is_text or item.keys() <= {"type", "text", "content", "parts"}
    return not (is_message or is_part)


def content_text(content: Any, number: int, role: str, calls: bool) -> str:
    """The text of a message, "" if it only calls tools. Parts of type text are joined.
    Raises RowFault.
    """
    if isinstance(content, str):
        return content
    if role == "assistant" and isinstance(content, dict) and (text := as_json(content)):
        return text
    if content is None:
        if calls:
            return ""
        raise RowFault(
            "content_null",
            f"Message {number} ({role}) has no text (content).",
            "Add it, or remove this example.",
        )
    if isinstance(content, list) and content:
        return "\n".join(_part(part, number) for part in content)
    raise RowFault(
        "content_not_text",
        f"What message {number} ({role}) says (content) is not text.",
        "Put it in quotes, or remove this example.",
        excerpt(str(content)),
    )


def _part(part: Any, number: int) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type", "text") if isinstance(part, dict) else type(part).__name__
    if isinstance(part, dict) and kind in ("text", "input_text", "output_text"):
        for key in ("text", "value"):  # OpenAI's name, and LLaMA-Factory's
            if isinstance(part.get(key), str):
                return str(part[key])
    raise RowFault(
        "content_not_text",
        f"Message {number} contains something other than text ({excerpt(str(kind), width=30)!r}); "
        "only text can be learned.",
        "Remove this part, or remove this example.",
        excerpt(str(part)),
    )
