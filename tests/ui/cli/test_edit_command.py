"""Stored examples edited by a command."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from backend.settings import Workspace
from tests.backend.datasets.builders import clean_row
from ui.cli.main import FAILURE, SUCCESS, main
from ui.services.app import App


class Shell:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.workspace = Workspace.open(folder / "workspace")
        self._capsys, self._patch = capsys, patch
        file = folder / "rows.jsonl"
        file.write_text("".join(json.dumps({"messages": clean_row(i).messages}) + "\n" for i in range(1, 13)))
        self.data_id = self.app.datasets.add(file, file.name)
        self.code = 0

    @property
    def app(self) -> App:
        return App(self.workspace)

    def edit(self, *options: str, stdin: str = "", encoding: str = "utf-8") -> Any:
        self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode(encoding)), "utf-8"))
        self.code = main(["edit", self.data_id, *options, "--json", "--workspace", str(self.workspace.root)])
        return json.loads(self._capsys.readouterr().out)

    def answers(self) -> dict[int, str]:
        return {row.row: row.messages[-1]["content"] for row in self.app.datasets.checked(self.data_id).dataset.rows}


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, capsys, monkeypatch)


def line(question: str, answer: str) -> str:
    return json.dumps({"question": question, "answer": answer}) + "\n"


def test_examples_are_replaced_added_deleted_and_undone(shell: Shell) -> None:
    assert shell.edit("--row", "3", stdin=line("Open today?", "Until six."))["version"] == 1
    assert shell.edit("--add", stdin=line("Rye?", "On Fridays.") + line("Oat?", "Never."))["rows"] == [13, 14]
    shell.edit("--delete", "5")
    answers = shell.answers()
    assert (answers[3], answers[13], 5 in answers) == ("Until six.", "On Fridays.", False)
    assert shell.edit("--undo")["version"] == 3
    assert 5 in shell.answers()
    assert shell.edit("--redo")["version"] == 4


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_examples_in_another_encoding_are_read(shell: Shell, encoding: str) -> None:
    example = json.dumps({"question": "Größe?", "answer": "Über drei Meter, größer als früher."}, ensure_ascii=False)
    assert shell.edit("--add", stdin=example + "\n", encoding=encoding)["rows"] == [13]
    assert shell.answers()[13] == "Über drei Meter, größer als früher."


def test_the_instruction_is_set_and_removed(shell: Shell) -> None:
    shell.edit("--instruction", "Be warm.")
    rows = shell.app.datasets.checked(shell.data_id)
    assert rows.instructions == {"Be warm.": 12}
    shell.edit("--instruction", "")
    assert shell.app.datasets.checked(shell.data_id).instructions == {"": 12}


@pytest.mark.parametrize(
    ("options", "stdin"),
    [
        (["--row", "3"], ""), (["--row", "3"], line("One?", "1") + line("Two?", "2")),
        (["--row", "99"], line("One?", "1")), (["--add"], line("One?", "1") + line("Two?", " ")),
        (["--add"], line("One?", "1") + "{broken\n"), (["--delete", "99"], ""), (["--undo"], ""),
    ],
)  # fmt: skip
def test_what_can_not_be_done_changes_nothing(shell: Shell, options: list[str], stdin: str) -> None:
    before = shell.answers()
    assert shell.edit(*options, stdin=stdin)["error"] == "BadInput"
    assert (shell.code, shell.answers()) == (FAILURE, before)
    shell.edit("--delete", "1")
    assert shell.code == SUCCESS
