"""Validated requests to the endpoint. Which fields are honoured stands in
requests.json; any other one is an error with its name. Formats:
https://platform.openai.com/docs/api-reference
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.chat.engine import Sampling
from backend.errors import BadInput
from backend.files.json_file import loads, read_json
from backend.records.base import Record
from backend.text.schemas import check_schema, in_order

DEFAULT_ANSWER = 512  # tokens
PATHS = CHAT, COMPLETIONS, RESPONSES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
)
_LIMIT = {CHAT: "max_tokens", COMPLETIONS: "max_tokens", RESPONSES: "max_output_tokens"}
_ROLES = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_SKIP_THOUGHT = {"chat_template_kwargs": {"enable_thinking": False}}
_TEXTS = ("text", "input_text", "output_text")  # types of a message's parts


class _Field(Record):
    """A line of requests.json."""

    kind: str = "any"
    least: float = 0
    most: float = 1e15
    cap: int = 0
    only: list[Any] | None = None
    everywhere: bool = False
    tools: bool = False


_TABLE = read_json(Path(__file__).with_suffix(".json"))
_FIELDS = {
    path: {name: _Field(**rule) for name, rule in _TABLE[path].items()}
    for path in _LIMIT
}


class BadField(BadInput):
    """A field that can't be honoured. field: its name."""

    def __init__(self, field: str, why: str, next: str = "") -> None:  # noqa: A002
        super().__init__(f"{field} {why}", "", next or f"Remove {field}, or change it.")
        self.field = field


@dataclass(frozen=True)
class Abilities:
    """What can be asked. name: of the model. instruction: for conversations without
    one. schema: of answers where a request asks for no form. trained: of the examples'
    answers. whole: whether llama.cpp's server answers. tools: whether the model's template has tools. skips_thought:
    whether the thought before an answer can be turned off. marks: texts that this
    server would read as control tokens.
    """

    name: str
    instruction: str = ""
    schema: dict[str, Any] | None = None
    trained: dict[str, Any] | None = None
    whole: bool = True
    tools: bool = False
    skips_thought: bool = False
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A valid request. body: for the server. functions: one must be called; of several,
    the answer names it.
    """

    path: str
    body: dict[str, Any]
    functions: tuple[str, ...] = ()


def parse(path: str, content: bytes, able: Abilities) -> Asked:
    """Read a request. Raises BadField, BadInput."""
    try:
        given = loads(content)
        json.dumps(given, ensure_ascii=False).encode()  # lone surrogates are no text
        return _asked(path, given, able)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            "The request is not JSON.", "", "Send a JSON object with messages."
        ) from error


def _asked(path: str, given: Any, able: Abilities) -> Asked:
    if not isinstance(given, dict):
        raise BadInput(
            "The request is not a JSON object.", "", "Send a JSON object with messages."
        )
    given, functions = _with_forced_function(path, given, able)
    fields = _FIELDS[path]
    given = {name: value for name, value in given.items() if value is not None}
    body = {
        name: _valid(name, value, fields.get(name), able)
        for name, value in given.items()
    }
    body = {
        name: value for name, value in body.items() if fields[name].kind != "ignored"
    }
    for needed in {"messages", "prompt", "input"} & fields.keys() - body.keys():
        raise BadField(needed, "is missing.", next=f"Send {needed}.")
    if path != COMPLETIONS:
        for name in ("messages", "input", "instructions", "tools"):
            # llama.cpp's server reads control tokens out of a message's text.
            text = json.dumps(body.get(name, ""), ensure_ascii=False)
            if mark := next((mark for mark in able.marks if mark in text), None):
                raise BadField(
                    name,
                    f"contains {mark}, which controls this model.",
                    next="Write it differently.",
                )
        _complete(body, able)
    limit = body.pop("max_completion_tokens", None) or body.get(_LIMIT[path])
    # As Try asks: for the likeliest token, and for each one's probability, which shows
    # whether the numbers are valid.
    random = body.get("temperature", 0) > 0
    body |= {} if random else {"top_k": 1}
    if body.get("logprobs"):
        body["top_logprobs"] = body.get("top_logprobs") or 1
    else:
        body |= {
            "n_probs": 1,
            "post_sampling_probs": random and body.get("top_p", Sampling.top_p) < 1,
        }
    return Asked(
        path,
        {**body, "model": able.name, _LIMIT[path]: limit or DEFAULT_ANSWER},
        functions,
    )


def _valid(name: str, value: Any, field: _Field | None, able: Abilities) -> Any:
    if field is None:
        raise BadField(name, "is not supported here.", next=f"Leave {name} out.")
    if not (field.everywhere or able.whole) and value != {"type": "text"}:
        raise BadField(
            name,
            "needs llama.cpp's server, which can't run this model.",
            next=f"Leave {name} out.",
        )
    if field.tools and not able.tools and value != []:
        raise BadField(
            name, "needs a model that learned to call tools.", next=f"Leave {name} out."
        )
    if field.only is not None and value not in field.only:
        raise BadField(name, f"can only be {json.dumps(field.only[0])} here.")
    if field.kind in ("number", "whole"):
        return _number(name, value, field)
    if field.kind == "messages":
        return (
            value
            if name == "input" and isinstance(value, str)
            else _messages(name, value, able)
        )
    if name == "tools" and isinstance(value, list):
        for tool in value:
            _schema_format(
                "tools", [part.get("parameters") for part in _functions(tool)]
            )
    if field.kind == "format":
        return _format(name, value)
    if field.kind == "form":  # of /v1/responses
        if not isinstance(value, dict) or set(value) - {"format"}:
            raise BadField(name, "can only have a format here.")
        return _format(f"{name}.format", value.get("format") or {"type": "text"})
    texts = isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(text, str) for text in value)
    )
    kinds = {"text": str, "flag": bool, "list": list, "object": dict}
    if (field.kind == "texts" and not texts) or not isinstance(
        value, kinds.get(field.kind, object)
    ):
        raise BadField(name, "is of another type than OpenAI's.")
    return value


def _number(name: str, value: Any, field: _Field) -> float | int:
    whole = field.kind == "whole"
    right = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and field.least <= value <= field.most
    )
    if not right or (whole and value != int(value)):
        most = f" to {field.most:.0f}" if field.most < _Field().most else " on"
        raise BadField(
            name,
            f"is not a {'whole ' if whole else ''}number from {field.least:g}{most}.",
        )
    return min(int(value), field.cap or int(value)) if whole else value


def _messages(name: str, value: Any, able: Abilities) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise BadField(
            name,
            "is not a list of messages.",
            next="Send a list of messages, each with role and content.",
        )
    return [
        _message(f"{name}[{number}]", message, able)
        for number, message in enumerate(value)
    ]


def _message(name: str, message: Any, able: Abilities) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise BadField(name, "is not a message.", next="Send role and content.")
    calls = (
        bool(message.get("tool_calls"))
        or message.get("role") == "tool"
        or "call_id" in message
    )
    if calls and not able.tools:
        raise BadField(
            name, "needs a model that learned to call tools.", next="Leave it out."
        )
    if "call_id" in message:  # an item of /v1/responses: a call, or what it returned
        return message
    role = _ROLES.get(str(message.get("role")))
    if role is None:
        raise BadField(
            f"{name}.role", "is unknown.", next="Use system, user or assistant."
        )
    text = _text(message.get("content"))
    if text is None and not calls:
        raise BadField(
            f"{name}.content",
            "is not text.",
            next="Send content as text: this model reads nothing else.",
        )
    more = {
        key: message[key] for key in ("tool_calls", "tool_call_id") if message.get(key)
    }
    return {"role": role, "content": text or "", **more}


def _text(content: Any) -> str | None:
    """The text of a message, which may come in parts; None where there is anything
    else.
    """
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [
        part["text"]
        for part in content
        if isinstance(part, dict)
        and part.get("type", "text") in _TEXTS
        and isinstance(part.get("text"), str)
    ]
    return "".join(texts) if len(texts) == len(content) else None


def _format(name: str, value: Any) -> dict[str, Any]:
    """A response_format, in which every keyword of a schema counts."""
    given = value if isinstance(value, dict) else {}
    kind, described = given.get("type"), given.get("json_schema", given)
    if kind in ("text", "json_object"):
        return {"type": kind}
    schema = (
        described.get("schema")
        if kind == "json_schema" and isinstance(described, dict)
        else None
    )
    if not isinstance(schema, dict):
        raise BadField(
            name, "is not of the type text, json_object, or json_schema with a schema."
        )
    return _schema_format(f"{name}.schema", schema)


def _schema_format(name: str, schema: Any) -> dict[str, Any]:
    try:
        check_schema(schema)
    except BadInput as error:
        raise BadField(name, error.what) from error
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _with_forced_function(
    path: str, given: dict[str, Any], able: Abilities
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A function that must be called is a form of the answer: llama.cpp's server forces
    none. A template with tools shows which there are; a model without one can have no
    choice.
    """
    tools, choice = given.get("tools") or [], given.get("tool_choice")
    if path != CHAT or not able.whole or not isinstance(tools, list) or choice is None:
        return given, ()
    functions = [function for tool in tools for function in _functions(tool)]
    if not all(
        isinstance(function.get("name"), str) and function["name"]
        for function in functions
    ):
        raise BadField(
            "tools", "has a function without a name.", next="Give each function a name."
        )
    named = next((function.get("name", "") for function in _functions(choice)), None)
    chosen = [function for function in functions if named in (None, function["name"])]
    if choice not in ("auto", "none") and not (
        chosen and (named or choice == "required")
    ):
        raise BadField(
            "tool_choice",
            "is not auto or none, and asks for no function that is in tools.",
        )
    if choice in ("auto", "none") or (len(chosen) > 1 and not able.tools):
        return given, ()
    calls = {
        "anyOf": [_call(number, function) for number, function in enumerate(chosen)]
    }
    schema = (
        calls if len(chosen) > 1 else chosen[0].get("parameters") or {"type": "object"}
    )
    shown: dict[str, Any] = dict.fromkeys(
        ("tools", "tool_choice", "parallel_tool_calls")
    )
    if able.tools:
        shown = {
            "tools": [
                {"type": "function", "function": function} for function in chosen
            ],
            "tool_choice": "none",
        }
    names = tuple(function["name"] for function in chosen)
    return {**given, **shown, "response_format": _schema_format("tools", schema)}, names


def _call(number: int, function: dict[str, Any]) -> dict[str, Any]:
    """The schema of a call, as part `number` of anyOf: references within its arguments
    start from there.
    """
    arguments = json.dumps(function.get("parameters") or {"type": "object"})
    moved = arguments.replace(
        '"$ref": "#', f'"$ref": "#/anyOf/{number}/properties/arguments'
    )
    call = {"name": {"const": function["name"]}, "arguments": json.loads(moved)}
    return {
        "type": "object",
        "properties": call,
        "required": [*call],
        "additionalProperties": False,
    }


def _functions(tool: Any) -> list[dict[str, Any]]:
    """The function that a tool describes, in the form of either path; [] for anything
    else.
    """
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    return [function] if isinstance(function, dict) else []


def _complete(body: dict[str, Any], able: Abilities) -> None:
    """Adds the default instruction and the form of answers."""
    asked = body.pop("text", None) or body.pop("response_format", None)
    if asked is None and able.schema and not body.get("tools"):
        asked = _schema_format("schema", able.schema)
    if asked and asked["type"] == "json_schema":
        form = in_order(asked["json_schema"]["schema"], able.trained)
        asked = {**asked, "json_schema": {"name": "answer", "schema": form}}
    if asked and asked["type"] != "text":
        body |= {
            "response_format": asked,
            **(_SKIP_THOUGHT if able.skips_thought else {}),
        }
    conversation = body.get("input", body.get("messages"))
    if not able.instruction or "instructions" in body:
        return
    if isinstance(conversation, str):
        body["instructions"] = able.instruction
    elif not any(message.get("role") == "system" for message in conversation or ()):
        conversation.insert(0, {"role": "system", "content": able.instruction})  # type: ignore[union-attr]
