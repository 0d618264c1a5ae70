"""Tool calls and the tools themselves, in the forms that files hold them, brought to one form.

A call becomes {"type": "function", "function": {"name": text, "arguments": object}}, its id kept; arguments that
are JSON in a text, as OpenAI writes them, become the object, since chat templates write objects out themselves.
"""

from __future__ import annotations

from typing import Any

import orjson

from backend.datasets.excerpt import excerpt
from backend.datasets.options import RowFault


def calls_from(message: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """The calls of a message that has `tool_calls`, or OpenAI's older `function_call`. Raises RowFault."""
    calls = message.get("tool_calls")
    if calls is None:
        calls = [message["function_call"]]
    if isinstance(calls, str):
        return called_in_text(calls, number)
    if not isinstance(calls, list):
        raise _bad_call(number, calls)
    return [_call(call, number) for call in calls]


def called_in_text(text: Any, number: int) -> list[dict[str, Any]]:
    """The calls in a text that holds one as JSON, or a list of them (ShareGPT's function_call). Raises RowFault."""
    try:
        value = orjson.loads(text) if isinstance(text, str) else text
    except orjson.JSONDecodeError as error:
        raise _bad_call(number, text) from error
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise _bad_call(number, text)
    return [_call(call, number) for call in calls]


def _call(call: Any, number: int) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise _bad_call(number, call)
    arguments = function.get("arguments", function.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments) if arguments.strip() else {}
        except orjson.JSONDecodeError as error:
            raise _bad_call(number, call) from error
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise _bad_call(number, call)
    made: dict[str, Any] = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
    if isinstance(call.get("id"), str):
        made = {"id": call["id"], **made}
    return made


def _bad_call(number: int, call: Any) -> RowFault:
    return RowFault(
        "bad_tool_call",
        f"The tool call in message {number} can't be understood; it needs a name, and its arguments as an object.",
        "Correct it, or leave this row out.",
        excerpt(str(call)),
    )


def tools_from(value: Any) -> list[dict[str, Any]] | None:
    """The tools of a row from a list, or from JSON in a text; None when there are none. Raises RowFault."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value) if value.strip() else None
        except orjson.JSONDecodeError as error:
            raise _bad_tools(value) from error
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise _bad_tools(value)
    return [_tool(tool) for tool in value]


def _tool(tool: Any) -> dict[str, Any]:
    if isinstance(tool, dict):
        if isinstance(tool.get("function"), dict) and isinstance(tool["function"].get("name"), str):
            return {"type": "function", "function": tool["function"]}
        if isinstance(tool.get("name"), str):
            return {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
    raise _bad_tools(tool)


def _bad_tools(value: Any) -> RowFault:
    return RowFault(
        "bad_tools",
        "The tools of this row can't be understood; each needs at least a name.",
        "Correct them, or leave this row out.",
        excerpt(str(value)),
    )
