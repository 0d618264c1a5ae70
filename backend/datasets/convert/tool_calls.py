"""Converts tool calls and tool definitions from their various formats into one.

A call becomes {"type": "function", "function": {"name": text, "arguments": object}} and
keeps its id. Arguments in a JSON text, as OpenAI writes them, become an object, because
chat templates serialize them themselves.
"""

from typing import Any

from backend.records.reading import Limits, RowFault
from backend.text.excerpt import excerpt
from backend.text.strict_json import parse_text


def calls_from(message: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """The calls of a message with `tool_calls`, or OpenAI's older `function_call`.
    Raises RowFault.
    """
    calls = message.get("tool_calls")
    if calls is None:
        calls = [message["function_call"]]
    if isinstance(calls, str):
        return calls_in_text(calls, number)
    if not isinstance(calls, list):
        raise _bad_call(number, "is not a list", calls)
    return [_call(call, number) for call in calls]


def calls_in_text(text: Any, number: int) -> list[dict[str, Any]]:
    """The calls in a JSON text: one call or a list (ShareGPT's function_call). Raises
    RowFault.
    """
    value = _parsed(text, number, text)
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise _bad_call(number, "is empty", text)
    return [_call(call, number) for call in calls]


def _call(call: Any, number: int) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise _bad_call(number, "is not an object", call)
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise _bad_call(number, 'has no "name", which says what to do', call)
    arguments = function.get("arguments", function.get("parameters"))
    if isinstance(arguments, str):
        arguments = _parsed(arguments, number, call) if arguments.strip() else {}
    arguments = {} if arguments is None else arguments
    if not isinstance(arguments, dict):
        raise _bad_call(
            number,
            'has details ("arguments") that are not an object with names and values',
            call,
        )
    converted: dict[str, Any] = {
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }
    return (
        {"id": call["id"], **converted}
        if isinstance(call.get("id"), str)
        else converted
    )


def _parsed(text: Any, number: int, call: Any) -> Any:
    try:
        return parse_text(text, Limits()) if isinstance(text, str) else text
    except RowFault as error:
        raise _bad_call(
            number, f"can't be read. {error.message.rstrip('.')}", call
        ) from error


def _bad_call(number: int, why: str, call: Any) -> RowFault:
    what = f"The action in message {number} (tool call) {why}."
    return RowFault(
        "bad_tool_call", what, "Correct it, or remove this example.", excerpt(str(call))
    )


def tools_from(value: Any) -> list[dict[str, Any]] | None:
    """The tools of a row from a list or a JSON text; None without tools. Raises
    RowFault.
    """
    if isinstance(value, str):
        try:
            value = parse_text(value, Limits()) if value.strip() else None
        except RowFault as error:
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
        if isinstance(tool.get("function"), dict) and isinstance(
            tool["function"].get("name"), str
        ):
            return {"type": "function", "function": tool["function"]}
        if isinstance(tool.get("name"), str):
            return {
                "type": "function",
                "function": {k: v for k, v in tool.items() if k != "type"},
            }
    raise _bad_tools(tool)


def _bad_tools(value: Any) -> RowFault:
    return RowFault(
        "bad_tools",
        "The list of possible actions (tools) can't be read; each needs at least a name.",
        "Correct them, or remove this example.",
        excerpt(str(value)),
    )
