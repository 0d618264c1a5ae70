"""The commands for the machine and its models."""

import getpass
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT
from tests.backend import keyring_in_file
from tests.ui.cli.shell import Shell, write_lines
from ui.cli.main import main


def test_doctor_shows_the_hardware_and_the_packages(app: Shell) -> None:
    found = app("doctor")
    assert {"hardware", "packages", "problems"} <= set(found)
    assert found["hardware"]["memory_total_mib"] > 0
    assert found["packages"]["transformers"]


def test_the_hardware_that_doctor_prints_is_valid_input(
    app: Shell, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "machine.json", app("doctor")["hardware"])
    found = app("recommend", "--hardware", file)
    assert {"hardware", "model", "settings", "estimate", "reasons", "others"} <= set(
        found
    )


def test_models_and_recommend_show_the_published_results(
    app: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = {model["id"]: model["evidence"] for model in app("models")["models"]}
    newest = listed["Qwen/Qwen3-8B"][0]
    assert (newest["rank"], newest["interval"], newest["tasks"]) == (
        2.33,
        [1.76, 2.9],
        9,
    )
    assert all(newest[key] for key in ("source", "url", "date"))
    assert listed["microsoft/Phi-4-mini-instruct"] == []
    machine = PROJECT_ROOT / "tests" / "backend" / "machines" / "rtx4090.json"
    found = app("recommend", "--hardware", str(machine))
    assert (found["model"]["evidence"], found["expected_rank"]) == (
        listed[found["model"]["id"]],
        2.33,
    )
    ranks = {other["model"]["id"]: other["expected_rank"] for other in found["others"]}
    assert ranks["Qwen/Qwen3-4B-Instruct-2507"] == 3.33
    capsys.readouterr()
    assert main(["models"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "1st of 15" in lines["Qwen/Qwen3-8B"]
    assert "after 7 of 15" in lines["HuggingFaceTB/SmolLM2-135M-Instruct"]
    assert " of " not in lines["microsoft/Phi-4-mini-instruct"]


def test_estimate_has_the_promised_keys(app: Shell) -> None:
    found = app(
        "estimate",
        "--model",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "--max-tokens",
        "512",
        "--batch",
        "4",
    )
    assert {"memory", "fits", "time"} <= set(found)
    assert found["memory"]["total_mib"] == pytest.approx(
        sum(found["memory"]["parts"].values()), rel=0.01
    )


class TestToken:
    """`models --token`: the hub's access token."""

    SECRET = "hf_" + "s3cr3t" * 6

    @pytest.fixture
    def typed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Callable[[str], None]:
        """typed(text): the text that standard input then holds."""
        keyring_in_file.install(monkeypatch, tmp_path)
        return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    def test_it_is_saved_found_and_deleted_and_never_shown(
        self, app: Shell, typed: Callable[[str], None]
    ) -> None:
        typed(f"{self.SECRET}\n")
        assert app("models", "--token") == {"token": "keyring"}
        assert self.SECRET not in app.messages
        typed("")
        assert app("models", "--token") == {"token": "keyring"}
        assert app("models", "--forget-token") == {"token": None}
        assert (app("models", "--forget-token")["error"], app.code) == ("BadInput", 1)

    def test_without_a_keyring_the_error_names_the_variable(
        self,
        app: Shell,
        typed: Callable[[str], None],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
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
            warnings.warn(
                "Can not control echo on the terminal.",
                getpass.GetPassWarning,
                stacklevel=2,
            )
            return self.SECRET

        monkeypatch.setattr(getpass, "getpass", shows)
        assert app("models", "--token")["error"] == "BadInput"
