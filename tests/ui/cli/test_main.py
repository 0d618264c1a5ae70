"""The commands as typed: their JSON documents, error kinds and exit codes."""

from __future__ import annotations

import getpass
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from backend.datasets.check_dataset import check as check_rows
from backend.datasets.read.load import load
from backend.records.specs import TrainSettings
from backend.settings import PROGRAM, PROJECT_ROOT, SAMPLES, Workspace
from jobs.folder import JobFolder
from jobs.records import State
from tests.backend import keyring_in_file
from ui.cli.data_commands import warnings as warnings_of
from ui.cli.main import main, make_parser
from ui.cli.run_commands import run_answer
from ui.services.app import App

ORDERS = str(SAMPLES / "orders.jsonl")


class Shell:
    """Runs commands in a workspace; `code`, `answer` (the JSON document) and `messages` (stderr) are of the last."""

    def __init__(self, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
        self.workspace, self.capsys = workspace, capsys
        self.code, self.answer, self.messages = 0, None, ""

    def __call__(self, *arguments: str) -> Any:
        self.code = main([*arguments, "--json", "--workspace", str(self.workspace.root)])
        out, self.messages = self.capsys.readouterr()
        self.answer = json.loads(out)
        return self.answer


@pytest.fixture
def app(
    workspace_with_model: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.setenv("APPRENTICE_HOME", str(workspace_with_model.root))
    return Shell(workspace_with_model, capsys)


def write_lines(path: Path, *lines: object) -> str:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return str(path)


def chat(question: str, answer: str | None) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    return {"messages": messages + ([{"role": "assistant", "content": answer}] if answer is not None else [])}


def test_an_option_that_is_not_typed_has_a_default() -> None:
    options = make_parser().parse_args(["--json", "evaluate", "some-run"])
    assert (options.json, options.baselines, options.items) == (True, False, None)


def test_check_has_the_promised_keys(app: Shell) -> None:
    report = app("check", ORDERS)
    assert app.code == 0
    assert {"format", "encoding", "rows", "usable", "problems", "duplicates", "split", "tokens"} <= set(report)
    assert (report["rows"], report["usable"], report["problems"]) == (240, 240, [])
    assert {"total", "learned", "longest", "truncated"} <= set(report["tokens"])
    assert report["split"]["train"] + report["split"]["validation"] == 240


def test_runs_are_listed_with_their_model_data_and_losses(app: Shell) -> None:
    services = App(app.workspace)
    run_id = services.planning.start(
        services.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"), "", TrainSettings()
    )
    folder = JobFolder(app.workspace.run_folder(run_id))
    result = {"first_eval_loss": 3.1, "eval_loss": 1.2, "eval_step": 20, "best_step": 20}
    folder.write_status(folder.status().ended_as(State.COMPLETED, result=result))
    (listed,) = app("runs")["runs"]
    assert (listed["id"], listed["name"], listed["state"]) == (run_id, "Orders", "completed")
    assert (listed["model_name"], listed["data_name"], listed["examples"]) == ("SmolLM2 135M", "orders.jsonl", 216)
    assert (listed["first_eval_loss"], listed["eval_loss"], listed["eval_step"]) == (3.1, 1.2, 20)
    job = services.runner.job(run_id)
    assert "this step" in run_answer(services, job).text
    stopped = job.model_copy(update={"state": State.STOPPED, "result": {**result, "best_step": 23}})
    assert "step 20" in (text := run_answer(services, stopped).text)
    assert "last step, 23" in text


def test_a_chat_asks_whom_to_imitate_and_takes_the_answer(app: Shell, tmp_path: Path) -> None:
    file = tmp_path / "chat.txt"
    file.write_text("31.12.23, 21:15 - Anna: Open?\n31.12.23, 21:16 - Ben: Yes, till six.\n", "utf-8")
    asked = app("check", str(file))
    assert app.code != 0
    assert "--imitate" in asked["next"]
    assert app("check", str(file), "--imitate", "Ben")["rows"] == 1
    clean = tmp_path / "clean.jsonl"
    app("fix", str(file), "--imitate", "Ben", "-o", str(clean))
    assert "Yes, till six." in clean.read_text("utf-8")


def test_fix_then_check_is_clean(app: Shell, tmp_path: Path) -> None:
    rows = [chat(f"question number {i}?", f"answer to {i}, in some words") for i in range(20)]
    file = write_lines(tmp_path / "d.jsonl", *rows, chat("a question left alone", None), "{broken", rows[0])
    before = app("check", file)
    assert app.code == 1
    assert {p["line"] for p in before["problems"] if p["severity"] == "error"} == {21, 22}
    fixed = app("fix", file, "-o", str(tmp_path / "clean.jsonl"))
    assert fixed["dropped"] == 3
    log = [json.loads(line) for line in Path(fixed["log"]).read_text("utf-8").splitlines()]
    assert {entry["line"] for entry in log} == {21, 22, 23}
    after = app("check", str(tmp_path / "clean.jsonl"))
    assert app.code == 0
    assert (after["rows"], after["usable"]) == (20, 20)
    assert not [p for p in after["problems"] if p["severity"] == "error"]


def test_fix_writes_nothing_if_no_row_is_left(app: Shell, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "d.jsonl", chat("a question left alone", None), "{broken")
    clean = tmp_path / "clean.jsonl"
    error = app("fix", file, "-o", str(clean))
    assert (app.code, error["error"]) == (1, "BadInput")
    assert "2 rows left out" in error["why"]
    assert list(tmp_path.glob("clean*")) == []


def test_a_validation_file_is_checked_and_rows_in_both_files_are_counted_once(app: Shell, tmp_path: Path) -> None:
    rows = [chat(f"what about the thing called {i} over there?", f"answer to {i}, in some words") for i in range(20)]
    test = [chat(f"another one, {i} it was, of mine?", f"quite another answer, {i}") for i in range(5)]
    data = write_lines(tmp_path / "d.jsonl", *rows)
    own = write_lines(tmp_path / "test.jsonl", *test, rows[3], chat("a question left alone", None), "{broken")
    report = app("check", data, "--validation", own)
    split = report["split"]
    assert (split["train"], split["validation"], split["leaks"]) == (19, 6, 1)
    found = {p["kind"]: (p["line"], p["message"]) for p in report["problems"]}
    line, message = found["leak"]
    assert (line, "line 6" in message) == (4, True)
    assert "2 of the 8" in found["test_rows_left_out"][1]
    assert "lines 7, 8" in found["test_rows_left_out"][1]
    assert {p["line"] for p in report["validation"]["problems"] if p["severity"] == "error"} == {7, 8}


def test_a_validation_file_without_a_usable_row_is_rejected(app: Shell, tmp_path: Path) -> None:
    empty = write_lines(tmp_path / "test.jsonl", "{broken", '{"messages": []}')
    assert "validation file" in app("check", ORDERS, "--validation", empty)["what"]
    assert "validation file" in app("train", "--data", ORDERS, "--validation", empty)["what"]
    assert app("runs") == {"runs": []}
    text = write_lines(tmp_path / "test.txt", "Once upon a time there was a lamp. " * 20)
    assert "documents" in app("check", ORDERS, "--validation", text)["what"]


def test_unclear_columns_are_asked_for_by_every_command(app: Shell, tmp_path: Path) -> None:
    asked = ["When do you open?", "Is it broken?", "Do you sell tea?", "Is it free?", "Where are you?"]
    rows = [{"message": text, "reply text": f"Reply {text}", "agent": "gpt-4o"} for text in asked]
    file, clean = write_lines(tmp_path / "d.jsonl", *rows), str(tmp_path / "clean.jsonl")
    named = ["--column", "question=message", "--column", "answer=reply text"]
    for command in (["check", file], ["fix", file, "-o", clean], ["train", "--data", file]):
        error = app(*command)
        assert app.code == 1
        assert "'agent'" in error["why"]
        assert "reply text" in error["why"]
        assert "--column" in error["next"]
    assert app("check", file, *named)["mapping"] == {"question": "message", "answer": "reply text"}
    assert app("fix", file, "-o", clean, *named)["rows"] == 5
    assert app("check", clean)["usable"] == 5
    assert app("check", file, "--column", "message")["error"] == "BadUsage"
    assert app("datasets") == {"datasets": []}


def test_nothing_is_made_of_a_guess_until_it_is_confirmed(app: Shell, tmp_path: Path) -> None:
    lines = [
        "Which tea,What else",
        *(f"When is tea number {n} served?,Tea number {n} is served at {n}." for n in range(8)),
    ]
    file, clean = write_lines(tmp_path / "form.csv", *lines), str(tmp_path / "clean.jsonl")
    report = app("check", file)
    assert (app.code, [one["kind"] for one in report["questions"]]) == (1, ["mapping_guessed"])
    for command in (["fix", file, "-o", clean], ["train", "--data", file]):
        error = app(*command)
        assert app.code == 1
        assert "--column 'question=Which tea' --column 'answer=What else'" in error["next"]
    assert not Path(clean).exists()
    assert app("runs") == {"runs": []}
    assert (
        app("fix", file, "-o", clean, "--column", "question=Which tea", "--column", "answer=What else")["rows"] == 8
    )


def test_train_says_what_check_warns_of(tmp_path: Path) -> None:
    rows = [chat(f"what about the thing called {i}?", "Mail me: a@example.org") for i in range(6)]
    report = check_rows(load(Path(write_lines(tmp_path / "d.jsonl", *rows))))
    said = warnings_of(report)
    assert len(said) == len(set(said)) == len({p.kind for p in report.problems})
    assert any("6 examples" in line for line in said)


def test_the_sheet_the_encoding_and_the_shape_can_be_chosen(app: Shell, tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["question", "answer"])  # type: ignore[union-attr]
    book.active.append(["q", "a"])  # type: ignore[union-attr]
    second = book.create_sheet("More")
    second.append(["question", "answer"])
    second.append(["Who?", "We."])
    second.append(["When?", "Now."])
    book.save(tmp_path / "d.xlsx")
    assert app("check", str(tmp_path / "d.xlsx"), "--sheet", "More")["rows"] == 2
    (tmp_path / "d.csv").write_bytes("question,answer\nKdo?,Přítel.\n".encode("cp1250"))
    assert app("check", str(tmp_path / "d.csv"), "--encoding", "cp1250")["encoding"] == "cp1250"
    assert app("check", str(tmp_path / "d.csv"), "--shape", "alpaca")["error"] == "NoExamples"


def test_check_fix_and_train_agree_on_an_example_that_is_too_long(app: Shell, tmp_path: Path) -> None:
    rows = [chat(f"question number {i}?", f"answer to {i}, in some words") for i in range(20)]
    file = write_lines(tmp_path / "d.jsonl", *rows, chat("and " * 9000, "the end"))
    clean = str(tmp_path / "clean.jsonl")
    found = app("check", file)
    assert [(p["line"], p["kind"]) for p in found["problems"] if p["severity"] == "error"] == [
        (21, "answer_vanishes")
    ]
    assert app("train", "--data", file)["error"] == "BadInput"
    assert app("fix", file, "-o", clean)["rows"] == 20
    assert not [p for p in app("check", clean)["problems"] if p["severity"] == "error"]
    assert app("fix", file, "-o", clean, "--max-tokens", "20000")["rows"] == 21


@pytest.mark.parametrize("number", ["-5", "0", "many", "1.5"])
def test_max_tokens_must_be_a_whole_number_from_1(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", ORDERS, "--max-tokens", number]) == 2
    assert "not a whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"\n\n\n"])
def test_a_file_that_is_not_a_dataset_is_rejected(app: Shell, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.jsonl").write_bytes(content)
    answer = app("train", "--data", str(tmp_path / "file.jsonl"))
    assert (app.code, answer["error"]) == (1, "BadInput")
    assert "Traceback" not in app.messages
    assert app("runs") == {"runs": []}


def test_several_files_and_a_folder_are_read_together(app: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    folder.mkdir()
    one, other = write_lines(folder / "a.jsonl", chat("q", "a")), write_lines(folder / "b.jsonl", chat("r", None))
    report = app("check", one, other)
    assert (report["name"], report["rows"]) == ("a.jsonl and 1 more", 2)
    assert [(p["file"], p["line"]) for p in report["problems"] if p["severity"] == "error"] == [("b.jsonl", 1)]
    assert app("check", str(folder))["problems"] == report["problems"]
    assert app("fix", one, other, "-o", str(tmp_path / "clean.jsonl"))["rows"] == 1
    assert "(b.jsonl, line 1)" in app("train", "--data", one, "--data", other)["why"]


def test_a_missing_file_and_an_empty_folder_are_rejected(app: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "gone.jsonl", tmp_path / "empty"):
        error = app("train", "--data", str(path))
        assert (app.code, error["error"]) == (1, "BadInput")
        assert path.name in error["what"]


def test_train_names_the_row_without_an_answer_and_starts_nothing(app: Shell, tmp_path: Path) -> None:
    rows = [chat(f"question number {i}?", f"answer to {i}, in some words") for i in range(12)]
    error = app("train", "--data", write_lines(tmp_path / "d.jsonl", *rows, chat("alone", None)))
    assert app.code == 1
    assert "Example 13 (line 13)" in error["why"]
    assert app("runs") == {"runs": []}


def test_a_misspelled_setting_names_the_nearest(app: Shell) -> None:
    answer = app("train", "--data", ORDERS, "--set", "learnin_rate=1e-4")
    assert (app.code, answer["error"]) == (1, "BadSetting")
    assert "'learning_rate'" in answer["why"]


@pytest.mark.parametrize("command", ["show", "stop", "resume", "delete"])
@pytest.mark.parametrize("run", ["nosuch", "../../etc", "; touch x", "$(x)", "/etc/passwd"])
def test_an_unknown_run_is_rejected(app: Shell, command: str, run: str) -> None:
    app(command, run)
    assert app.code == 1


def test_stored_examples_are_listed_and_deleted(app: Shell) -> None:
    data_id = App(app.workspace).datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    assert [one["id"] for one in app("datasets")["datasets"]] == [data_id]
    assert app("datasets", "--delete", data_id)["deleted"] == data_id
    assert app("datasets")["datasets"] == []
    app("datasets", "--delete", "../runs")
    assert app.code == 1


def test_an_unknown_command_is_wrong_usage() -> None:
    assert main(["dance"]) == 2


@pytest.mark.parametrize(
    "typed",
    [
        ["dance"],
        ["estimate"],
        ["serve", "--port", "x"],
        ["estimate", "--rank", "two"],
        ["models", "--token", "--download", "a/b"],
    ],
)
def test_wrong_usage_is_reported_in_json_too(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*typed, "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"] == "BadUsage"
    assert json.loads(printed.out)["what"] in printed.err


def test_help_and_hints_name_the_start_script(app: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"usage: {PROGRAM} " in capsys.readouterr().out
    assert main(["train"]) == 2
    assert f"{PROGRAM} train --help" in capsys.readouterr().err
    assert f"{PROGRAM} models" in app("estimate", "--model", "no/such-model")["next"]


def test_doctor_shows_the_hardware_and_the_packages(app: Shell) -> None:
    found = app("doctor")
    assert {"hardware", "packages", "problems"} <= set(found)
    assert found["hardware"]["memory_total_mib"] > 0
    assert found["packages"]["transformers"]


def test_the_hardware_that_doctor_prints_is_valid_input(app: Shell, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "machine.json", app("doctor")["hardware"])
    assert {"hardware", "model", "settings", "estimate", "reasons", "others"} <= set(
        app("recommend", "--hardware", file)
    )


def test_models_and_recommend_show_the_published_results(app: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    listed = {model["id"]: model["evidence"] for model in app("models")["models"]}
    newest = listed["Qwen/Qwen3-8B"][0]
    assert (newest["rank"], newest["interval"], newest["tasks"]) == (2.33, [1.76, 2.9], 9)
    assert all(newest[key] for key in ("source", "url", "date"))
    assert listed["microsoft/Phi-4-mini-instruct"] == []
    machine = PROJECT_ROOT / "tests" / "backend" / "machines" / "rtx4090.json"
    found = app("recommend", "--hardware", str(machine))
    assert found["model"]["evidence"] == listed[found["model"]["id"]]
    assert found["expected_rank"] == 2.33
    ranks = {other["model"]["id"]: other["expected_rank"] for other in found["others"]}
    assert ranks["Qwen/Qwen3-4B-Instruct-2507"] == 3.33
    capsys.readouterr()
    assert main(["models"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "1st of 15" in lines["Qwen/Qwen3-8B"]
    assert "after 7 of 15" in lines["HuggingFaceTB/SmolLM2-135M-Instruct"]
    assert " of " not in lines["microsoft/Phi-4-mini-instruct"]


def test_estimate_has_the_promised_keys(app: Shell) -> None:
    found = app("estimate", "--model", "HuggingFaceTB/SmolLM2-135M-Instruct", "--max-tokens", "512", "--batch", "4")
    assert {"memory", "fits", "time"} <= set(found)
    assert found["memory"]["total_mib"] == pytest.approx(sum(found["memory"]["parts"].values()), rel=0.01)


def test_a_workspace_that_cannot_be_written_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    assert main(["runs", "--workspace", str(tmp_path / "file" / "inside")]) == 1
    assert "can't be written" in capsys.readouterr().err


class TestToken:
    """`models --token`: the hub's access token."""

    SECRET = "hf_" + "s3cr3t" * 6

    @pytest.fixture
    def typed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
        """typed(text): the text that standard input then holds."""
        keyring_in_file.install(monkeypatch, tmp_path)
        return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    def test_it_is_saved_found_and_deleted_and_never_shown(self, app: Shell, typed: Callable[[str], None]) -> None:
        typed(f"{self.SECRET}\n")
        assert app("models", "--token") == {"token": "keyring"}
        assert self.SECRET not in app.messages
        typed("")
        assert app("models", "--token") == {"token": "keyring"}
        assert app("models", "--forget-token") == {"token": None}
        assert app("models", "--forget-token")["error"] == "BadInput"
        assert app.code == 1

    def test_other_text_is_rejected_and_not_repeated(self, app: Shell, typed: Callable[[str], None]) -> None:
        typed("my password\n")
        assert app("models", "--token")["error"] == "BadInput"
        assert app.code == 1
        assert "my password" not in app.messages + str(app.answer)

    def test_without_a_keyring_the_error_names_the_variable(
        self, app: Shell, typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        keyring_in_file.install(monkeypatch, tmp_path, keyring_in_file.NONE)
        typed(self.SECRET)
        assert app("models", "--token")["error"] == "MissingPart"
        assert "HF_TOKEN" in app.answer["next"]

    def test_it_is_hidden_in_a_terminal(
        self, app: Shell, typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed("not from here")
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(getpass, "getpass", lambda *_: self.SECRET)
        assert app("models", "--token") == {"token": "keyring"}

        def shows(*_: Any) -> str:
            warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
            return self.SECRET

        monkeypatch.setattr(getpass, "getpass", shows)
        assert app("models", "--token")["error"] == "BadInput"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--data", ORDERS, "--from-base"],
        ["--data", ORDERS, "--more-epochs", "2"],
        ["--continue", "x", "--more-epochs", "2", "--data", ORDERS],
        ["--continue", "x", "--more-epochs", "2", "--set", "seed=1"],
        ["--continue", "x", "--more-epochs", "2", "--from-base"],
        ["--continue", "x", "--more-epochs", "many"],
    ],
    ids=" ".join,
)
def test_options_of_train_that_do_not_go_together(app: Shell, options: list[str]) -> None:
    assert app("train", *options)["error"] == "BadUsage"
    assert app.code == 2


def test_a_run_that_does_not_exist_can_not_be_continued(app: Shell) -> None:
    assert app("train", "--continue", "20200101-000000-abcdefgh")["error"] == "RunProblem"
    assert app.code == 1


def test_a_run_gets_a_name_and_a_note(app: Shell) -> None:
    services = App(app.workspace)
    run_id = services.planning.start(
        services.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"), "", TrainSettings()
    )
    assert app("rename", run_id, "Rosie")["name"] == "Rosie"
    assert app("note", run_id, "Knows the shop.")["note"] == "Knows the shop."
    (listed,) = app("runs")["runs"]
    shown = app("show", run_id)
    for found in (listed, shown):
        assert (found["name"], found["note"], found["version"], found["parent"]) == (
            "Rosie", "Knows the shop.", 1, None,
        )  # fmt: skip
    assert (shown["blind_test"], shown["against_parent"], shown["spec"]["descent"]) == (None, None, None)
    assert app("rename", "../runs", "x")["error"] in ("WorkspaceProblem", "RunProblem")


def test_import_says_that_a_file_is_missing_or_a_folder(app: Shell, tmp_path: Path) -> None:
    assert "no file nope.zip" in app("import", str(tmp_path / "nope.zip"))["what"]
    assert "is a folder" in app("import", str(tmp_path))["what"]
