"""The command `draft`: what it writes is not learned until somebody keeps it."""

import json
from pathlib import Path

from tests.ui.cli.shell import Shell


def test_drafts_are_learned_once_they_are_kept(app: Shell, tmp_path: Path) -> None:
    text, out = tmp_path / "handbook.md", tmp_path / "drafts.jsonl"
    text.write_text(
        "\n\n".join(
            f"## Part {n}\n\nIn town {n} we bake bread number {n * 7919}."
            for n in range(1, 31)
        )
    )
    answer = app("draft", str(text), "-o", str(out))
    assert (app.code, answer) == (
        0,
        {"drafts": 90, "by_model": 0, "passages": 30, "file": str(out)},
    )
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {line["draft"]["kept"] for line in lines} == {False}
    assert (app("check", str(out))["usable"], app.code) == (0, 1)
    out.write_text(
        "".join(
            json.dumps(line | {"draft": line["draft"] | {"kept": True}}) + "\n"
            for line in lines
        )
    )
    assert (app("check", str(out))["usable"], app.code) == (90, 0)
    for file, before in ((out, out.read_bytes()), (text, text.read_bytes())):
        assert (
            app("draft", str(text), "-o", str(file))["error"],
            file.read_bytes(),
        ) == ("BadInput", before)
    (tmp_path / "prices.csv").write_text("Bread,Price\nRye,4.20 €\nRoll,0.60 €\n")
    both = tmp_path / "both.jsonl"
    assert (
        app("draft", str(text), str(tmp_path / "prices.csv"), "-o", str(both))[
            "passages"
        ]
        == 32
    )
    assert "answered from line 3 of prices.csv." in both.read_text("utf-8")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "a", "answer": "b"}\n')
    assert (
        app("draft", str(rows), "-o", str(tmp_path / "no.jsonl"))["error"] == "BadInput"
    )
    assert (app.code, (tmp_path / "no.jsonl").exists()) == (1, False)
    assert (
        app("draft", str(text), "-o", str(tmp_path / "no" / "out.jsonl"))["error"]
        == "BadInput"
    )
