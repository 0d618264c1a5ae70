"""Commands as typed, for the tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.settings import SAMPLES, Workspace
from ui.cli.main import main

ORDERS = str(SAMPLES / "orders.jsonl")


class Shell:
    """Runs commands in a workspace; `code`, `answer` (the JSON document) and `messages`
    (stderr) are of the last.
    """

    def __init__(
        self, workspace: Workspace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.workspace, self.capsys = workspace, capsys
        self.code, self.answer, self.messages = 0, None, ""

    def __call__(self, *arguments: str) -> Any:
        self.code = main(
            [*arguments, "--json", "--workspace", str(self.workspace.root)]
        )
        out, self.messages = self.capsys.readouterr()
        self.answer = json.loads(out)
        return self.answer


def write_lines(path: Path, *lines: object) -> str:
    """Writes a file of lines, JSON for what is no text, and returns its path."""
    path.write_text(
        "\n".join(
            line if isinstance(line, str) else json.dumps(line) for line in lines
        ),
        "utf-8",
    )
    return str(path)


def chat(question: str, answer: str | None) -> dict[str, Any]:
    """An example; answer: None for none."""
    messages = [{"role": "user", "content": question}]
    return {
        "messages": messages
        + ([{"role": "assistant", "content": answer}] if answer is not None else [])
    }
