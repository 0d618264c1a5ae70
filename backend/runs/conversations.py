"""The examples of a run as conversations: those it trains on, and those set aside to
judge it by; of plain texts only the latter.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal

from backend.records.rows import Message
from backend.text.conversation import SYSTEM, content

Part = Literal[
    "train", "held_out", "rejected"
]  # rejected: of pairs, those held out with their worse answers
TEXTS = "held_out_texts"
Conversation = list[Message]
Tools = list[dict[str, Any]] | None


def write_conversations(
    run_folder: Path,
    part: Part,
    conversations: Iterable[Sequence[Message]],
    tools: Iterable[Tools] = (),
) -> None:
    """Writes data/<part>.jsonl, one conversation (a list of messages) a line, each with
    `tools`. Raises OSError.
    """
    lines = (
        json.dumps(
            {"messages": list(messages), **({"tools": offered} if offered else {})},
            ensure_ascii=False,
        )
        + "\n"
        for messages, offered in zip(
            conversations, chain(tools, repeat(None)), strict=False
        )
    )
    path = _path(run_folder, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)


def read_conversations(run_folder: Path, part: Part) -> list[Conversation]:
    """The conversations of a part, [] where the run has none. Raises OSError,
    ValueError for a damaged file.
    """
    chats = _values(run_folder, part, "messages")
    if not all(
        _are_objects(chat)
        and all(isinstance(message.get("role"), str) for message in chat)
        for chat in chats
    ):
        raise ValueError("A line holds no conversation.")
    return chats


def read_tools(run_folder: Path, part: Part) -> list[Tools]:
    """The tools of each conversation of a part, None where it offers none. Raises like
    `read_conversations`.
    """
    offered = _values(run_folder, part, "tools")
    if not all(tools is None or _are_objects(tools) for tools in offered):
        raise ValueError("A line holds no tools.")
    return offered


def _values(run_folder: Path, part: str, name: str) -> list[Any]:
    """The value of this name in each line of a file, None where there is none; []
    without the file.
    """
    try:
        text = _path(run_folder, part).read_text("utf-8")
    except FileNotFoundError:
        return []
    lines = (json.loads(line) for line in text.split("\n") if line)
    return [line.get(name) if isinstance(line, dict) else None for line in lines]


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def write_texts(run_folder: Path, texts: Iterable[str]) -> None:
    """Writes the plain texts that judge a run, one a line. Raises OSError."""
    path = _path(run_folder, TEXTS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(
            json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts
        ),
        "utf-8",
    )


def read_texts(run_folder: Path) -> list[str]:
    """The plain texts that judge a run, [] where it has none. Raises OSError,
    ValueError for a damaged file.
    """
    texts = _values(run_folder, TEXTS, "text")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("A line holds no text.")
    return texts


def usual_instruction(run_folder: Path) -> str:
    """The system message that most of a run's conversations start with; "" if most have
    none, or none can be read.
    """
    try:
        chats = read_conversations(run_folder, "train") or read_conversations(
            run_folder, "held_out"
        )
    except (OSError, ValueError):
        return ""
    counts = Counter(
        content(chat[0]) if chat and chat[0]["role"] in SYSTEM else "" for chat in chats
    )
    return max(counts, key=lambda text: counts[text], default="")


def _path(run_folder: Path, part: str) -> Path:
    return run_folder / "data" / f"{part}.jsonl"
