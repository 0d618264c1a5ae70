"""Reading 100,000 chat rows (about 75 MB, 5 % with one of 16 planted faults) against pydantic models.

Each way runs in a fresh process, in turn, RUNS times; imports are not timed, and every row is kept in memory.
  ours        `load`: reading, hashing, every structural check, rows in the canonical form
  pydantic    a pydantic model for each row with the same checks, on JSON from Python's own reader with the hooks that
              strictness needs (repeated keys, NaN, digits, depth, lone surrogates)
Both must find each planted fault at exactly its line, and no others.

    python -m tests.benchmarks.reading [ROWS] [--smoke]

Ours reads most lines by orjson, which tells less, and only the others by Python's own reader. The last line is JSON;
ours, peer and ratio are for ours against pydantic.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Literal

from backend.datasets.read.load import load
from tests.benchmarks.chat_corpus import Messages, Words, row
from tests.benchmarks.measuring import Found, Way, command_line, compare, print_result

RUNS = 3


def _with(number: int, **changes: Any) -> Callable[[Messages], str]:
    def plant(messages: Messages) -> str:
        changed = {key: value for key, value in {**messages[number], **changes}.items() if value is not ...}
        return json.dumps({"messages": [*messages[:number], changed, *messages[number + 1 :]]})

    return plant


def _append(text: str) -> Callable[[Messages], str]:
    return lambda messages: json.dumps({"messages": messages})[:-1] + text


FAULTS: dict[str, list[Callable[[Messages], str]]] = {
    "bad_json": [lambda m: json.dumps({"messages": m})[:-9], lambda m: str({"messages": m}), _append(",}")],
    "not_an_object": [lambda m: json.dumps(m)],
    "duplicate_key": [
        _append(', "messages": []}'),
        lambda m: json.dumps({"messages": m}).replace("{", '{"role":"",', 2),
    ],
    "not_a_number": [_append(', "score": NaN}')],
    "number_too_long": [_append(f', "id": {"9" * 5000}}}')],
    "too_deep": [_append(f', "meta": {"[" * 100}{"]" * 100}}}')],
    "lone_surrogate": [_with(2, content="half a smile \ud83d")],
    "empty_messages": [lambda m: '{"messages": []}'],
    "messages_not_a_list": [lambda m: json.dumps({"messages": m[1]})],
    "bad_message": [lambda m: json.dumps({"messages": [m[1]["content"], m[2]["content"]]})],
    "missing_role": [_with(1, role=...)],
    "unknown_role": [_with(1, role="customer"), _with(2, role="helper")],
    "content_null": [_with(2, content=None), _with(2, content=...)],
    "content_not_text": [_with(1, content=17), _with(2, content={"answer": "yes"})],
    "empty_row": [lambda m: "{}"],
    "mixed_shapes": [lambda m: json.dumps({"instruction": m[1]["content"], "output": m[2]["content"]})],
}


def write(path: Path, rows: int, share: float, seed: int = 0) -> Found:
    """Writes `rows` chats, `share` of them with a fault; returns the (line, kind) of each fault."""
    words = Words(random.Random(seed))
    kinds = list(FAULTS)
    planted: Found = set()
    with path.open("w", encoding="utf-8") as file:
        for line in range(1, rows + 1):
            messages = row(words)
            text = json.dumps({"messages": messages})
            if line > 1 and words.rng.random() < share:
                kind = kinds[len(planted) % len(kinds)]
                text = words.rng.choice(FAULTS[kind])(messages)
                planted.add((line, kind))
            file.write(text + "\n")
    return planted


def main(rows: int, runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chats.jsonl"
        planted = write(path, rows, 0.05)
        size = path.stat().st_size / 1e6
        print(f"{rows:,} rows, {size:.0f} MB, {len(planted):,} faults of {len(FAULTS)} kinds", flush=True)
        found = compare(WAYS, path, planted, runs, rows, median)
    seconds = {way: one.seconds for way, one in found.items()}
    print_result(
        "reading", "rows/s",
        round(rows / seconds["ours"]), round(rows / seconds["pydantic"]),
        round(seconds["pydantic"] / seconds["ours"], 2),
        peak_mib=round(found["ours"].peak_mib), planted=len(planted), missed=0, invented=0,
    )  # fmt: skip


def ours(path: Path) -> tuple[float, Found]:
    start = time.perf_counter()
    data = load(path)
    seconds = time.perf_counter() - start
    return seconds, {(problem.line, problem.kind) for problem in data.problems if problem.row}


def _models() -> tuple[Any, Callable[[Any], str]]:
    from pydantic import BaseModel, Field, ValidationError, model_validator
    from pydantic_core import PydanticCustomError

    class Message(BaseModel):
        role: Literal["system", "user", "assistant", "tool"]
        content: str | None = None
        tool_calls: list[dict[str, Any]] | None = None

        @model_validator(mode="after")
        def has_text_or_calls(self) -> Message:
            if self.content is None and not self.tool_calls:
                raise PydanticCustomError("content_null", "there is no content")
            return self

    class Conversation(BaseModel):
        messages: list[Message] = Field(min_length=1)

    names = {
        ("missing", 1): "mixed_shapes", ("too_short", 1): "empty_messages", ("list_type", 1): "messages_not_a_list",
        ("model_type", 2): "bad_message", ("missing", 3): "missing_role", ("literal_error", 3): "unknown_role",
        ("string_type", 3): "content_not_text", ("content_null", 2): "content_null",
        ("model_type", 0): "not_an_object", ("json_invalid", 0): "bad_json",
    }  # fmt: skip

    def kind(error: ValidationError) -> str:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("messages",) and first["type"] == "missing" and not first["input"]:
            return "empty_row"
        return names.get((first["type"], len(first["loc"])), first["type"])

    return Conversation, kind


def pydantic_models(path: Path) -> tuple[float, Found]:
    from pydantic import ValidationError

    conversation, kind = _models()

    class Rejected(ValueError):
        pass

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            raise Rejected("duplicate_key")
        return value

    def reject(_: str) -> Any:
        raise Rejected("not_a_number")

    def integer(digits: str) -> int:
        if len(digits) > 100:
            raise Rejected("number_too_long")
        return int(digits)

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + max(map(depth, inner), default=0)

    surrogate = re.compile("[\ud800-\udfff]")
    rows, found = [], set()
    start = time.perf_counter()
    with path.open(encoding="utf-8", newline="\n") as file:
        for line, text in enumerate(file, 1):
            try:
                value = json.loads(text, object_pairs_hook=unique, parse_constant=reject, parse_int=integer)
                if depth(value) > 65:
                    raise Rejected("too_deep")
                if "\\ud" in text and surrogate.search(json.dumps(value, ensure_ascii=False)):
                    raise Rejected("lone_surrogate")
                rows.append(conversation.model_validate(value))
            except Rejected as fault:
                found.add((line, str(fault)))
            except json.JSONDecodeError:
                found.add((line, "bad_json"))
            except ValidationError as error:
                found.add((line, kind(error)))
    return time.perf_counter() - start, found


WAYS: dict[str, Way] = {"ours": ours, "pydantic": pydantic_models}

if __name__ == "__main__":
    command_line(main, rows=100_000, runs=RUNS)
