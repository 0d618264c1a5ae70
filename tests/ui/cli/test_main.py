"""The commands as typed: their JSON documents, error kinds and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.settings import PROGRAM
from tests.ui.cli.shell import ORDERS, Shell
from ui.cli.main import main, make_parser


def test_an_option_that_is_not_typed_has_a_default() -> None:
    options = make_parser().parse_args(["--json", "evaluate", "some-run"])
    assert (options.json, options.baselines, options.items) == (True, False, None)


@pytest.mark.parametrize("number", ["-5", "0", "many", "1.5"])
def test_max_tokens_must_be_a_whole_number_from_1(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", ORDERS, "--max-tokens", number]) == 2
    assert "not a whole number from 1" in capsys.readouterr().err


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


def test_a_workspace_that_cannot_be_written_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    assert main(["runs", "--workspace", str(tmp_path / "file" / "inside")]) == 1
    assert "can't be written" in capsys.readouterr().err
