"""`chat` as typed: its text while it is written, or one JSON document; `export` after a
failed check.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.records.chat import ChatAnswer
from backend.records.exports import ExportFile, ExportResult
from backend.settings import Workspace
from jobs.records import Job, State
from jobs.runner import Runner
from ui.cli import result_commands
from ui.cli.main import main
from ui.cli.output import INTERRUPTED
from ui.services.results.documents import DocumentService
from ui.services.results.trained_models import ResultService

ANSWER = {
    "text": "Hello there", "tokens": 2, "tokens_per_second": 71.6, "engine": "llama.cpp, 8-bit", "finish": "length",
}  # fmt: skip


@pytest.fixture
def written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """What stood on stdout after each piece of the answer."""
    seen: list[str] = []

    def answer_once(
        service: ResultService, *given: Any, each: Callable[[str], None] = seen.append
    ) -> ChatAnswer:
        for piece in ("Hello ", "there"):
            each(piece)
            seen.append(capsys.readouterr().out)
        return ChatAnswer(**ANSWER)

    monkeypatch.setattr(ResultService, "answer_once", answer_once)
    return seen


def chat(workspace: Path, *options: str) -> int:
    return main(
        ["chat", "run-1", "--prompt", "Hi", "--workspace", str(workspace), *options]
    )


def test_it_is_printed_as_written(
    written: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (chat(tmp_path), written) == (0, ["Hello ", "there"])
    rest = capsys.readouterr()
    assert rest.out == "\n"
    assert all(
        part in rest.err
        for part in ("llama.cpp, 8-bit", "72 tokens a second", "Cut off")
    )


def test_json_names_the_engine(
    written: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == ANSWER


@pytest.fixture
def document(
    written: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A text file of three pieces."""
    monkeypatch.setattr(ResultService, "instruction", lambda service, run_id: "")
    monkeypatch.setattr(
        DocumentService,
        "pieces",
        lambda service, run_id, file, *rest: file.read_text().split("|"),
    )
    path = tmp_path / "letters.txt"
    path.write_text("one|two|three")
    return path


def test_a_file_is_answered_in_pieces(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(tmp_path, "--file", str(document), "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["text"] == "\n\n".join(["Hello there"] * 3)
    assert [piece["finish"] for piece in found["pieces"]] == ["length"] * 3
    assert (found["combined"], found["tokens"], found["finish"]) == (
        "join",
        6,
        "length",
    )
    assert chat(tmp_path, "--file", str(document), "--combine", "join") == 0
    assert capsys.readouterr().out == "\n\n".join(["Hello there"] * 3) + "\n"


def test_ctrl_c_leaves_the_complete_answers(
    document: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = [ANSWER] * 2

    def answer_once(*given: Any) -> ChatAnswer:
        if not answers:
            raise KeyboardInterrupt
        return ChatAnswer(**answers.pop())

    monkeypatch.setattr(ResultService, "answer_once", answer_once)
    assert chat(tmp_path, "--file", str(document), "--json") == INTERRUPTED
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["text"], found["finish"], len(found["pieces"])) == (
        "Hello there\n\nHello there",
        "stopped",
        2,
    )
    assert "Stopped after piece 2 of 3" in printed.err
    assert chat(tmp_path, "--file", str(document), "--json") == INTERRUPTED
    assert capsys.readouterr().out == "", "there is none"


def test_a_question_or_a_file_that_is_there_is_needed(
    written: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "run-1", "--workspace", str(tmp_path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "BadUsage"
    assert chat(tmp_path, "--file", "gone.txt", "--json") == 1
    assert "gone.txt" in json.loads(capsys.readouterr().out)["what"]


@pytest.mark.parametrize(
    "options",
    [
        [], ["run-1", "--data", "x.jsonl"], ["run-1", "--model", "some/model"], ["run-1", "--validation", "x.jsonl"],
        ["run-1", "--rows", "5"], ["run-1", "--split", "test"], ["run-1", "--join-cells"],
        ["--data", "x.jsonl", "--baselines"],
    ],
)  # fmt: skip
def test_evaluate_takes_a_run_or_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert main(["evaluate", *options, "--workspace", str(tmp_path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "BadUsage"


def test_files_with_a_failed_check_are_taken_only_when_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, out = Workspace.open(tmp_path / "workspace"), tmp_path / "out"
    checks = [
        {"ok": True, "sentence": "It loads."},
        {"ok": False, "sentence": "It never ends."},
    ]
    result = {"files": [{"name": "a.gguf", "bytes": 0}], "checks": checks}
    job = Job(
        id="e",
        kind="export",
        name="gguf:Q8_0",
        state=State.COMPLETED,
        attempt=1,
        created=1.0,
        result=result,
    )
    (workspace.exports / "e").mkdir(parents=True)
    (workspace.exports / "e" / "a.gguf").touch()
    monkeypatch.setattr(result_commands, "completed", lambda *_: job)
    for name in ("start_export", "finished_export", "export_needs"):
        monkeypatch.setattr(ResultService, name, lambda *_: "")
    monkeypatch.setattr(Runner, "delete", lambda *_: None)
    command = [
        "export",
        "run-1",
        "--to",
        "gguf:Q8_0",
        "-o",
        str(out),
        "--workspace",
        str(workspace.root),
        "--json",
    ]
    assert main(command) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["error"], said["why"]) == ("ExportFailed", "It never ends.")
    assert not out.exists()
    assert (main([*command, "--anyway"]), [file.name for file in out.iterdir()]) == (
        0,
        ["a.gguf"],
    )


@pytest.mark.skipif(os.name == "nt", reason="rights are kept otherwise there")
def test_the_folders_above_exported_files_are_for_everybody_too(tmp_path: Path) -> None:
    exported = tmp_path / "exports"
    exported.mkdir()
    (exported / "model.gguf").touch(0o600)
    result = ExportResult(files=(ExportFile(name="model.gguf", bytes=0),))
    before = os.umask(0o077)
    try:
        result_commands._take_files(
            exported, result, tmp_path / "models" / "mine", shutil.copyfile
        )
    finally:
        os.umask(before)
    made = [tmp_path / "models", *(tmp_path / "models").rglob("*")]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == [
        "0o755",
        "0o755",
        "0o644",
    ]
