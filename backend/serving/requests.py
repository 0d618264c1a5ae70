"""Validated requests to the endpoint: the part of OpenAI's chat completions that one model can do. Format:
https://platform.openai.com/docs/api-reference/chat/create"""

import json
from dataclasses import dataclass
from typing import Any

from backend.errors import BadInput

MAX_ANSWER = 4096  # tokens
DEFAULT_ANSWER = 512
_ROLES = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
_UNSUPPORTED = ("tools", "functions", "stop", "response_format", "logprobs", "audio")


@dataclass(frozen=True)
class CompletionRequest:
    """messages: {role, content}. sampling: of `Sampling`. stream: piece by piece; with_usage: counts at its end."""

    messages: list[dict[str, str]]
    sampling: dict[str, Any]
    stream: bool
    with_usage: bool


def parse(body: bytes, instruction: str) -> CompletionRequest:
    """Read a request. instruction: the system message where the conversation has none, "" for none. Raises BadInput
    that says what is wrong."""
    try:
        asked = json.loads(body)
        json.dumps(asked, ensure_ascii=False).encode()  # lone surrogates are no text
    except (ValueError, RecursionError) as error:
        raise BadInput("The request is not JSON.", "", "Send a JSON object with messages.") from error
    if not isinstance(asked, dict):
        raise BadInput("The request is not a JSON object.", "", "Send a JSON object with messages.")
    unsupported = [name for name in _UNSUPPORTED if asked.get(name)] + (
        ["n"] if asked.get("n") not in (None, 1) else []
    )
    if unsupported:
        raise BadInput(f"{unsupported[0]} is not supported here.", "", f"Leave {unsupported[0]} out.")
    given = asked.get("messages")
    if not isinstance(given, list) or not given:
        raise BadInput("The request has no messages.", "", "Send a list of messages, each with role and content.")
    messages = [_message(number, message) for number, message in enumerate(given, 1)]
    if instruction and not any(message["role"] == "system" for message in messages):
        messages.insert(0, {"role": "system", "content": instruction})
    limit = asked.get("max_completion_tokens") or asked.get("max_tokens")
    sampling = {
        "max_new_tokens": _whole(limit, "max_tokens", 1, MAX_ANSWER, DEFAULT_ANSWER),
        "temperature": _number(asked.get("temperature"), "temperature", 0, 2, 0.0),
        "top_p": _number(asked.get("top_p"), "top_p", 0, 1, 0.95),
        "seed": _whole(asked.get("seed"), "seed", 0, 2**32 - 1, 0),
    }
    options = asked.get("stream_options")
    for name, value, kind in (("stream", asked.get("stream"), bool), ("stream_options", options, dict)):
        if value is not None and not isinstance(value, kind):
            raise BadInput(f"{name} is of another type than OpenAI's.", "", f"Remove {name}, or change it.")
    with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    return CompletionRequest(messages, sampling, bool(asked.get("stream")), with_usage)


def _message(number: int, message: Any) -> dict[str, str]:
    role = _ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
    if role is None:
        raise BadInput(f"Message {number} has no known role.", "", "Use system, user or assistant.")
    content = _text(message.get("content"))
    if content is None:
        raise BadInput(f"Message {number} has no text.", "This model reads only text.", "Send content as text.")
    return {"role": role, "content": content}


def _text(content: Any) -> str | None:
    """The text of a message, which may come in parts; None where there is anything else."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "".join(texts) if len(texts) == len(content) else None


def _number(given: Any, name: str, least: float, most: float, default: float) -> float:
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given <= most:
        raise BadInput(f"{name} is not a number from {least:g} to {most:g}.", "", f"Remove {name}, or change it.")
    return given


def _whole(given: Any, name: str, least: int, most: int, default: int) -> int:
    if isinstance(given, float) and not given.is_integer():
        raise BadInput(f"{name} is not a whole number.", "", f"Remove {name}, or change it.")
    return int(_number(given, name, least, most, default))
