from pathlib import Path

import pytest

from backend.runs.conversations import (
    read_conversations,
    read_tools,
    write_conversations,
)

CHAT = [
    {"role": "user", "content": "line\u2028break, ümlaut"},
    {"role": "assistant", "content": "yes"},
]


@pytest.mark.parametrize(
    "line",
    ["[]", "{}", "[", '{"messages": 1}', '{"messages": [1]}', '{"messages": [{}]}'],
)
def test_a_damaged_file_is_a_value_error(tmp_path: Path, line: str) -> None:
    write_conversations(tmp_path, "held_out", [CHAT])
    with (tmp_path / "data" / "held_out.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError):  # noqa: PT011 (json's own, or ours)
        read_conversations(tmp_path, "held_out")


def test_conversations_come_back_with_their_tools(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "find_order"}}]
    write_conversations(tmp_path, "held_out", [CHAT, CHAT[:1]], [None, tools])
    assert read_conversations(tmp_path, "held_out") == [CHAT, CHAT[:1]]
    assert read_tools(tmp_path, "held_out") == [None, tools]
    assert read_conversations(tmp_path, "train") == read_tools(tmp_path, "train") == []
