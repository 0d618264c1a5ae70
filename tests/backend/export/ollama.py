"""Ollama's side of a Modelfile: its documented grammar, and Go's text/template as far
as we use it.

Grammar: https://docs.ollama.com/modelfile and `parser/parser.go` of ollama.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

INSTRUCTIONS = {
    "FROM",
    "PARAMETER",
    "TEMPLATE",
    "SYSTEM",
    "ADAPTER",
    "LICENSE",
    "MESSAGE",
    "REQUIRES",
}
PARAMETERS: dict[str, type] = {
    "num_ctx": int, "repeat_last_n": int, "repeat_penalty": float, "temperature": float, "seed": int, "stop": str,
    "num_predict": int, "top_k": int, "top_p": float, "min_p": float,
}  # fmt: skip
_LINE = re.compile(
    r'(?P<name>[A-Za-z]+)[ \t]+(?P<value>"""(?s:.*?)"""(?=\s|\Z)|"[^"\n]*"|[^\n]*)'
)


def parse(text: str) -> list[tuple[str, str]]:
    """The instructions with their arguments. Raises ValueError where the text breaks
    the grammar.
    """
    found = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
        elif text[position] == "#":
            position = (text + "\n").index("\n", position)
        else:
            match = _LINE.match(text, position)
            if match is None or match["name"].upper() not in INSTRUCTIONS:
                raise ValueError(f"no instruction: {text[position : position + 40]!r}")
            found.append((match["name"].upper(), _unquote(match["value"])))
            position = match.end()
    if "FROM" not in dict(found):
        raise ValueError("no FROM line")
    for name, value in found:
        if name == "PARAMETER":
            parameter, _, argument = value.partition(" ")
            PARAMETERS[parameter](argument)
    return found


def _unquote(value: str) -> str:
    for quote in ('"""', '"'):
        if value.startswith(quote):
            return value[len(quote) : -len(quote)]
    return value.strip()


def render(template: str, messages: Sequence[dict[str, str]]) -> str:
    """What Ollama renders: .System is every system message, .Messages all of them."""
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    tokens = iter(re.split(r"(\{\{.*?\}\})", template))
    return _block(tokens, {"System": system, "Messages": messages}, True)[0]


def _block(
    tokens: Iterator[str], data: dict[str, Any], active: bool
) -> tuple[str, str]:
    """Renders until `else` or `end`; returns the text and the action that ended it."""
    out = ""
    for token in tokens:
        if not token.startswith("{{"):
            out += token if active else ""
            continue
        action = token[2:-2].strip()
        if action == "end" or action.startswith("else"):
            return out, action
        if action.startswith("."):
            out += str(data[action[1:]]) if active else ""
        elif action.startswith("if "):
            out += _if(tokens, action[3:], data, active)
        elif action.startswith("range ."):
            body = list(_until_end(tokens))
            items = data[action[7:]] if active else []
            for item in items:
                each = {
                    **data,
                    **{name.capitalize(): value for name, value in item.items()},
                }
                out += _block(iter(body), each, True)[0]
        else:
            raise ValueError(f"unknown action: {action}")
    return out, ""


def _if(
    tokens: Iterator[str], condition: str, data: dict[str, Any], active: bool
) -> str:
    holds = active and _holds(condition, data)
    out, end = _block(tokens, data, holds)
    if end == "end":
        return out
    rest = active and not holds
    if end == "else":
        return out + _block(tokens, data, rest)[0]
    return out + _if(tokens, end.removeprefix("else if "), data, rest)


def _holds(condition: str, data: dict[str, Any]) -> bool:
    if match := re.fullmatch(r'eq \.(\w+) "(\w+)"', condition):
        return bool(data[match[1]] == match[2])
    if re.fullmatch(r"\.\w+", condition):
        return bool(data[condition[1:]])
    raise ValueError(f"unknown condition: {condition}")


def _until_end(tokens: Iterator[str]) -> Iterator[str]:
    depth = 1
    for token in tokens:
        depth += len(re.findall(r"^\{\{ (?:if|range) ", token)) - (token == "{{ end }}")
        if not depth:
            return
        yield token
