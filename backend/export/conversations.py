"""The fixed conversations that every export must read as training did."""

from typing import Any, NamedTuple

from backend.chat.engine import Messages, Tools


class Conversation(NamedTuple):
    """Messages up to an answer, and the tools that the model may call."""

    messages: Messages
    tools: Tools = ()


def _said(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


_WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a day.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_CALL = {"type": "function", "id": "call00001", "function": {"name": "weather", "arguments": {"city": "Zürich"}}}
_SYSTEM = _said("system", "You are a helpful assistant. Today is 24 November 2026.")
_QUESTION = _said("user", "Order 4711-23: 2 x lamp, 19.90 €.\n\n  Where is it?")

FIXED = (
    Conversation([_said("user", "What is the capital of France?")]),
    Conversation([_SYSTEM, _QUESTION]),
    Conversation(
        [
            _said("user", "Hi!"),
            _said("assistant", "Hello, how can I help you?"),
            _said("user", "def f(x):\n\treturn x ** 2 + 10  # naïve 日本語 🙂"),
        ]
    ),
    Conversation([_said("user", 'It\'s {"id": 1234567, "ok": true} — isn\'t it?   1st, 22nd…')]),
    Conversation(
        [
            _SYSTEM,
            _QUESTION,
            _said("assistant", "Which address, please?"),
            _said("user", "  12 Main St.\r\n"),
            _said("assistant", "Thank you — one moment…\n"),
            _said("user", "and?"),
        ]
    ),
    Conversation(
        [_said("user", "<b>2 < 3 && 4 > 1</b> {{ name }} {% if x %} \\n \\u00e9 e\u0301 \u00a0 \u200b 👩‍👩‍👧 ﷽")]
    ),
    Conversation([_said("user", "What is the weather in Zürich?")], [_WEATHER]),
    Conversation(
        [
            _said("user", "What is the weather in Zürich?"),
            _said("assistant", "", tool_calls=[_CALL]),
            _said("tool", '{"celsius": -3}', name="weather", tool_call_id="call00001"),
        ],
        [_WEATHER],
    ),
)
PLAIN: tuple[Messages, ...] = tuple(one.messages for one in FIXED[:4])  # without tools and outer spaces
