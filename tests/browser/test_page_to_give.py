"""The page to give to others in Chromium: from a disk, whatever is missing, and with a
real model.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.chat.client import Chat
from backend.export import page_check, page_to_give
from backend.models import bundled
from backend.settings import Workspace

HOSTILE = '</script><img src=x onerror="document.title = 1"> <b>Möbel</b>'
SETTINGS = {
    "name": HOSTILE,
    "instruction": "Be brief.",
    "examples": ["Hello?"],
    "alone": True,
    "context": 512,
}
CITY = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris"]}},
    "required": ["city"],
}
FORM = {**CITY, "additionalProperties": False}
NO_SIMD = "WebAssembly.validate = () => false"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page from a disk, with 20,000 bytes that are no model."""
    place = tmp_path_factory.mktemp("page")
    (place / "model").write_bytes(b"GGUF" + b"x" * 19_996)
    page_to_give.write(place / "page", place / "model", SETTINGS, in_scripts=True)
    return place / "page"


@pytest.fixture
def opened(
    chromium: Any, written: Path, tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Opens a copy of the page that `change` was applied to."""
    context = chromium.new_context(viewport={"width": 390, "height": 800})

    def opens(
        change: Callable[[Path], object] = lambda folder: None, script: str = ""
    ) -> Any:
        folder = tmp_path / "page"
        shutil.copytree(written, folder)
        change(folder)
        page = context.new_page()
        page.add_init_script(script)
        page.goto((folder / "index.html").as_uri())
        return page

    yield opens
    context.close()


def shorten(folder: Path) -> None:
    file = folder / "files" / "model.gguf.1.js"
    file.write_text(
        file.read_text("ascii").replace('xx"', '"').replace("eHh4eHh4eHh4eHh4", "", 1),
        "ascii",
    )


@pytest.mark.parametrize(
    ("change", "script", "sentence"),
    [
        (
            lambda folder: (folder / "files" / "model.gguf.1.js").unlink(),
            "",
            "model.gguf.1.js is missing",
        ),
        (shorten, "", "model.gguf is damaged or not complete"),
        (lambda folder: shutil.rmtree(folder / "files"), "", "unpack all of it"),
        (
            lambda folder: (folder / "files" / "wllama.js").unlink(),
            "",
            "wllama.js is missing",
        ),
        (lambda folder: None, NO_SIMD, "it lacks WebAssembly SIMD"),
        (lambda folder: None, "", "could not be started"),
    ],
)
def test_what_is_missing_is_a_sentence(
    opened: Callable[..., Any],
    change: Callable[[Path], object],
    script: str,
    sentence: str,
) -> None:
    page = opened(change, script)
    page.wait_for_function(
        "text => document.getElementById('state').textContent.includes(text)",
        arg=sentence,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_is_written_before_the_model_is_there_is_kept(
    opened: Callable[..., Any],
) -> None:
    page = opened(lambda folder: (folder / "files" / "model.gguf.1.js").unlink())
    page.fill("#question", "Two desks, please")
    page.press("#question", "Enter")
    assert page.input_value("#question") == "Two desks, please"
    page.reload()
    assert page.input_value("#question") == "Two desks, please"
    assert page.is_disabled("#ask")


def test_an_answer_that_repeats_itself_is_noticed(opened: Callable[..., Any]) -> None:
    texts = ["so it is. " * 12, "x" * 119, "- one two\n" * 13 + "ok"]
    assert opened().evaluate("texts => texts.map(page.loops)", texts) == [
        True,
        False,
        False,
    ]


def test_names_are_text(opened: Callable[..., Any]) -> None:
    page = opened()
    assert page.inner_text("#name") == page.title() == HOSTILE
    assert page.locator("img, b").count() == 0
    assert (
        page.evaluate(
            "fetch('https://example.org').then(() => 'sent', () => 'blocked')"
        )
        == "blocked"
    )


def test_a_question_that_fails_ends_the_check(
    chromium: Any, written: Path, tmp_path: Path
) -> None:
    shutil.copytree(written, tmp_path / "page")
    script = "globalThis.page = {started: {loaded: true}, answer() { throw new Error('too long'); }};"
    (tmp_path / "page" / "files" / "page.js").write_text(script)
    found = page_check.ask(
        str(page_check.browser()),
        tmp_path / "page",
        [[]],
        tmp_path,
        lambda _: None,
        over_http=True,
    )
    assert found and "too long" in found.problem  # noqa: PT018


@pytest.mark.slow
@pytest.mark.parametrize(
    ("older", "form"), [(False, None), (True, None), (False, FORM), (True, FORM)]
)
def test_a_real_model_answers_as_in_llama_cpp(
    chromium: Any,
    bundled_model: Path,
    tmp_path: Path,
    older: bool,
    form: dict[str, Any] | None,
) -> None:
    """Also in a browser that lacks what the faster build needs, as Safari does, and
    held to a form.
    """
    gguf = bundled.gguf_file()
    prompts = [
        [{"role": "user", "content": text}]
        for text in ("What is the capital of France?", "Say hello.")
    ]
    chat = Chat(Workspace.open(tmp_path / "workspace"))
    chat.open(gguf=gguf)
    held: dict[str, Any] = {
        "max_new_tokens": 128,
        "grammar": json.dumps(form) if form else "",
    }
    wanted = [
        "".join(chunk.text for chunk in chat.ask(prompt, **held)).strip()
        for prompt in prompts
    ]
    read = [len(chat.prompt_ids(prompt)) for prompt in prompts]
    chat.close()
    program = page_check.browser() or ""
    for over_http in (False, True):
        folder = tmp_path / f"page-{over_http}"
        settings = {**SETTINGS, "instruction": "", "form": form, "hold": bool(form)}
        page_to_give.write(folder, gguf, settings, in_scripts=not over_http)
        if older:
            script = folder / "files" / "page.js"
            script.write_text(
                "delete WebAssembly.Suspending;\n" + script.read_text("utf-8"), "utf-8"
            )
        found = page_check.ask(
            program, folder, prompts, tmp_path, lambda done: None, over_http=over_http
        )
        assert found and not found.problem  # noqa: PT018
        print(
            f"older: {older}, over http: {over_http}: {found.seconds:.1f} s, {found.tokens_per_second:.1f} tokens/s"
        )
        unsure, sure = texts = [text.strip() for text, _ in found.answers]
        assert [count for _, count in found.answers] == read
        if form:  # the model expects no JSON: which space comes next is a near tie
            assert list(map(json.loads, texts)) == list(map(json.loads, wanted))
        else:
            assert (sure, unsure[:10]) == (wanted[1], wanted[0][:10]), (
                "in four bits, builds part at near ties"
            )
