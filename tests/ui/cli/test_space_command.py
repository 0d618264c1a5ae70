"""`space` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.export import space
from ui.cli.main import main


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    calls: list[tuple[Path, str]] = []

    def write(folder: Path, hardware: str) -> space.Space:
        calls.append((folder, hardware))
        return space.Space(folder, hardware, 3, 5_000_000)

    monkeypatch.setattr(space, "write", write)
    return calls


def test_the_next_commands_are_printed(
    asked: list[tuple[Path, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert main(["space", "-o", str(out), "--workspace", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "3 files, 4.8 MB" in text
    assert "--flavor zero-a10g" in text
    assert f"hf upload YOU/NAME {out} . --repo-type space" in text
    assert asked == [(out, "zero-a10g")]


def test_json_is_one_document(
    asked: list[tuple[Path, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert main(["space", "-o", str(out), "--flavor", "cpu-basic", "--json", "--workspace", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(out),
        "hardware": "cpu-basic",
        "files": 3,
        "bytes": 5_000_000,
    }
