"""The commands as typed: their JSON documents, error kinds and exit codes, also into a
pipe that nobody reads.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.settings import PROGRAM, PROJECT_ROOT
from tests.ui.cli.shell import ORDERS, Shell
from ui.cli.main import OUTPUT_CLOSED, main, make_parser


def test_an_option_that_is_not_typed_has_a_default() -> None:
    options = make_parser().parse_args(["--json", "evaluate", "some-run"])
    assert (options.json, options.baselines, options.items) == (True, False, None)


@pytest.mark.parametrize("number", ["-5", "0", "many", "1.5"])
def test_max_tokens_must_be_a_whole_number_from_1(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", ORDERS, "--max-tokens", number]) == 2
    assert "not a whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed",
    [
        ["dance"], ["estimate"], ["serve"], [], ["--port", "x"], ["estimate", "--rank", "two"],
        ["models", "--token", "--download", "a/b"],
    ],
)  # fmt: skip
def test_wrong_usage_is_reported_in_json_too(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*typed, "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"] == "BadUsage"
    assert json.loads(printed.out)["what"] in printed.err


def test_help_and_hints_name_the_start_script(
    app: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"usage: {PROGRAM} " in capsys.readouterr().out
    assert main(["train"]) == 2
    assert f"{PROGRAM} train --help" in capsys.readouterr().err
    assert f"{PROGRAM} models" in app("estimate", "--model", "no/such-model")["next"]


def test_a_workspace_that_cannot_be_written_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    assert main(["runs", "--workspace", str(tmp_path / "file" / "inside")]) == 1
    assert "can't be written" in capsys.readouterr().err


APP = [sys.executable, str(PROJECT_ROOT / "app.py")]


def into_a_closed_pipe(
    arguments: list[str], workspace: Path, both: bool = False
) -> tuple[int, str]:
    """The exit code, and stderr if only stdout is a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*APP, *arguments], stdout=write, stderr=write if both else subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, env={**os.environ, "APPRENTICE_HOME": str(workspace)}, check=False,
    )  # fmt: skip
    os.close(write)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize("arguments", [["models"], ["--help"]], ids=" ".join)
def test_an_answer_into_a_closed_pipe_ends_quietly(
    arguments: list[str], tmp_path: Path
) -> None:
    assert into_a_closed_pipe(arguments, tmp_path) == (OUTPUT_CLOSED, "")


def test_an_error_into_a_closed_pipe_ends_with_its_message_only(tmp_path: Path) -> None:
    code, messages = into_a_closed_pipe(["show", "nosuch", "--json"], tmp_path)
    assert code == OUTPUT_CLOSED
    assert "Traceback" not in messages
    assert "BrokenPipe" not in messages


@pytest.mark.parametrize("arguments", [["dance"], ["check", "gone.jsonl", "--json"]])
def test_messages_into_a_closed_pipe_end_quietly(
    arguments: list[str], tmp_path: Path
) -> None:
    assert into_a_closed_pipe(arguments, tmp_path, both=True) == (OUTPUT_CLOSED, "")
    assert not (tmp_path / "error.log").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs head")
def test_a_long_answer_into_head(tmp_path: Path) -> None:
    for number in range(500):  # more than a pipe holds
        folder = tmp_path / "runs" / f"20260101-000000-{number:08}"
        folder.mkdir(parents=True)
        job = {"kind": "train", "name": "A run with a long name " * 100, "created": 1.0}
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
    command = f"'{sys.executable}' app.py runs --json --workspace '{tmp_path}' | head -n 1; echo ${{PIPESTATUS[0]}}"
    # Unbuffered, Python takes a part that was written for the whole and notices
    # nothing.
    buffered = {
        name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=PROJECT_ROOT,
        env=buffered,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["{", str(OUTPUT_CLOSED)]
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_from_any_folder_a_pipe_that_is_read_gets_the_whole_answer(
    tmp_path: Path,
) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    command = [*APP, "models", "--json", "--workspace", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert len(json.loads(done.stdout)["models"]) > 3
