"""The page to give to others: its files, what it refuses, and what its check says."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import httpx
import pytest

from backend.errors import ExportFailed, NotEnough
from backend.export import page_check, page_to_give
from backend.export.page_check import BrowserAnswers
from backend.records.units import MIB

HOSTILE = '</script><img src=x onerror="alert(1)"> ${name} \u2028 ü'
MODEL = b"GGUF" + bytes(range(256)) * 100


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both folders, with a model of 25,604 bytes in pieces of 9,000."""
    place = tmp_path_factory.mktemp("page")
    (place / "model").write_bytes(MODEL)
    folders = {
        variant: place / variant
        for variant in (page_to_give.PAGE, page_to_give.WEBSITE)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_to_give, "_PIECE", 9000)
        for variant, folder in folders.items():
            settings = {
                "name": HOSTILE,
                "instruction": HOSTILE,
                "examples": [HOSTILE],
                "context": 64,
            }
            page_to_give.write(
                folder,
                place / "model",
                settings,
                in_scripts=variant == page_to_give.PAGE,
            )
    return folders


def settings_of(folder: Path) -> dict[str, object]:
    text = (folder / "files" / "settings.js").read_text("ascii")
    return dict(json.loads(text.removeprefix("const settings = ").removesuffix(";\n")))


def test_the_disk_has_the_model_in_scripts_and_the_website_as_it_is(
    folders: dict[str, Path],
) -> None:
    disk, website = folders[page_to_give.PAGE], folders[page_to_give.WEBSITE]
    described = {"bytes": len(MODEL), "scripts": 3}
    assert settings_of(disk)["files"]["model.gguf"] == described  # type: ignore[index]
    pieces = [
        (disk / "files" / f"model.gguf.{number}.js").read_text("ascii")
        for number in (1, 2, 3)
    ]
    texts = [
        re.fullmatch(r'piece\("([A-Za-z0-9+/=]+)"\);\n', piece) for piece in pieces
    ]
    assert b"".join(base64.b64decode(text[1]) for text in texts if text) == MODEL
    assert not (disk / "files" / "model.gguf").exists()
    assert (website / "files" / "model.gguf").read_bytes() == MODEL
    assert (
        gzip.decompress((website / "files" / "wllama.wasm.packed").read_bytes())[:4]
        == b"\0asm"
    )
    headers = [(website / name).read_text() for name in (".htaccess", "_headers")]
    assert all("Cross-Origin-Embedder-Policy" in text for text in headers)
    for folder in (disk, website):
        assert "MIT License" in (folder / "files" / "wllama" / "LICENCE").read_text(
            "utf-8"
        )
        assert not list(folder.rglob("*.xz"))


def test_texts_of_people_are_in_no_html(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        assert settings_of(folder)["name"] == HOSTILE
        html = (folder / "index.html").read_text("utf-8")
        assert html == (page_to_give._FILES / "index.html").read_text("utf-8")
        [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "http" not in policy


def test_a_page_quotes_three_short_questions_of_the_examples_and_no_answer() -> None:
    chats = [
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"Question {number:02d}?"},
            {"role": "assistant", "content": f"Answer {number}."},
            {"role": "user", "content": f"And {number}?"},
        ]
        for number in range(20)
    ]
    long = [{"role": "user", "content": "x" * 201}]
    quoted = page_to_give.suggested([*chats, *[long] * 30])
    assert quoted == ["Question 05?", "Question 06?", "Question 07?"]
    assert page_to_give.suggested([long, []]) == []


def test_files_that_are_not_those_of_wllama_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(page_to_give._PINNED, "wllama.wasm", "0" * 64)
    (tmp_path / "model").write_bytes(MODEL)
    with pytest.raises(ExportFailed, match=r"wllama\.wasm\.xz"):
        page_to_give.write(tmp_path / "page", tmp_path / "model", {}, in_scripts=True)


def test_a_model_that_is_too_large_takes_fewer_bits_or_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {"Q8_0": 613 * MIB, "Q4_K_M": 1423 * MIB}
    monkeypatch.setattr(page_to_give.sizes, "size", lambda model, kind: sizes[kind])
    assert page_to_give.kind_for(Path()) == "Q8_0"
    sizes["Q8_0"] += 1
    assert page_to_give.kind_for(Path()) == "Q4_K_M"
    sizes["Q4_K_M"] += 1
    with pytest.raises(NotEnough, match="has been tested in a browser"):
        page_to_give.kind_for(Path())


def heard(*texts: str, read: int = 7) -> BrowserAnswers:
    return BrowserAnswers([(text, read) for text in texts], "", 3.0, 9.0)


WANTED = [(str(number), 7) for number in range(10)]
SAME = heard(*"0123456789")


@pytest.mark.parametrize(
    ("disk", "http", "ok", "sentence"),
    [
        (
            SAME,
            SAME,
            True,
            "Of 10 answers of the page, 10 from the disk and 10 over http",
        ),
        (SAME, heard(*"0123456xyz"), True, "7 over http"),
        (heard(*"01234vwxyz"), SAME, False, "Of 10 answers of the page, 5 from"),
        (heard(*"01234TTTTT"), SAME, True, "then 10 and 10 are."),
        (heard(*"0123456789", read=8), SAME, False, "a different prompt"),
        (
            SAME,
            BrowserAnswers([], "This browser can't run the model."),
            False,
            "This browser can't run the model.",
        ),
        (SAME, None, None, "not checked"),
    ],
)
def test_the_check_compares_answers(
    disk: BrowserAnswers, http: BrowserAnswers | None, ok: bool | None, sentence: str
) -> None:
    check = page_check.verdict(
        WANTED, [disk, http], 0.9, [lambda text: text == "T"] * 10
    )
    assert check.ok is ok
    assert sentence in check.sentence


@pytest.mark.parametrize(("context", "questions"), [(4096, 2), (129, 1), (9, 0)])
def test_only_questions_that_fit_are_asked(context: int, questions: int) -> None:
    prompts = [[{"role": "user", "content": text}] for text in ("x" * 999, "x")]
    chat = Mock(
        prompt_ids=lambda messages: messages[-1]["content"], ask=lambda *_, **__: []
    )
    read, ask = (
        Mock(return_value=[[*prompt, {}] for prompt in prompts]),
        Mock(return_value=None),
    )
    fakes = {
        "has_llama_cpp": Mock(),
        "Chat": Mock(return_value=chat),
        "read_conversations": read,
        "ask": ask,
    }
    nothing: Any = Mock(instruction="", kinds=["Q8_0"])
    with patch.multiple(page_check, browser=Mock(), **fakes):
        found = page_check.check(
            nothing, nothing, nothing, nothing, nothing, context, nothing
        )
    assert [call.args[2] for call in ask.mock_calls] == (
        [prompts[-questions:]] * 2 if questions else []
    )
    assert ("short enough" in found.sentence) == (not questions)


def test_the_server_of_the_check_answers_its_own_page_only(tmp_path: Path) -> None:
    (tmp_path / "check.html").write_text("x")
    with page_check._served(tmp_path) as address:
        answer = httpx.get(f"{address}/check.html")
        assert (answer.text, answer.headers["Cross-Origin-Resource-Policy"]) == (
            "x",
            "same-origin",
        )
        assert (
            httpx.get(
                f"{address}/check.html", headers={"Host": "evil.example"}
            ).status_code
            == 404
        )
        assert httpx.get(f"{address.rpartition('/')[0]}/check.html").status_code == 404


def test_without_a_browser_the_check_says_that_it_did_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHROMIUM", "")
    monkeypatch.setattr(page_check.shutil, "which", lambda name: None)
    nothing: Any = None
    found = page_check.check(nothing, nothing, nothing, nothing, nothing, 0, nothing)
    assert found.ok is None
    assert "not tried" in found.sentence
