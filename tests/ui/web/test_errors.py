"""What a person sees of an error, and what only the log does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import gradio as gr
import pytest

from backend.errors import BadInput
from tests.ui.conftest import in_loop
from ui.web import errors as web_errors
from ui.web.components import sent_file


@web_errors.handler
def rejects() -> None:
    raise BadInput("Row 3 has no answer.", "It ends with a question.", "Add <b>one</b>.")


@web_errors.handler
def breaks() -> None:
    raise ValueError("/home/someone/secret.txt")


@web_errors.handler
def breaks_midway() -> Iterator[int]:
    yield 1
    raise KeyError("secret")


def test_an_error_of_ours_is_shown_in_its_own_words_as_text() -> None:
    with pytest.raises(gr.Error) as caught:
        rejects()
    message = "<strong>Row 3 has no answer.</strong><p>It ends with a question.</p><p>Add &lt;b&gt;one&lt;/b&gt;.</p>"
    assert caught.value.message == message
    assert caught.value.duration is None, "it stays until it is closed"
    assert not caught.value.print_exception


@pytest.mark.parametrize("work", [breaks, lambda: list(breaks_midway())])
def test_other_errors_go_only_to_the_log(work: object, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as caught:
        work()  # type: ignore[operator]
    assert "secret" not in caught.value.message + caught.value.title
    assert caught.value.__cause__ is None
    assert "secret" in caplog.text


def test_a_generator_stays_a_generator() -> None:
    assert next(breaks_midway()) == 1


def test_an_upload_without_a_file_is_said_to_have_none() -> None:
    for nothing in (None, "", [], {"path": "/etc/passwd"}):
        with pytest.raises(BadInput):
            sent_file(nothing)
    assert sent_file("/tmp/x.txt").name == "x.txt"


def test_half_a_character_does_not_break_the_stream_of_answers() -> None:
    def draw() -> web_errors.Blocks:
        with web_errors.Blocks() as blocks:
            parts = [gr.Textbox(), gr.JSON()]
            blocks.load(lambda: "a\ud800é", None, parts[:1])
            blocks.load(web_errors.handler(rejects_half), None, parts)
        return blocks

    blocks = in_loop(draw)
    assert asyncio.run(blocks.process_api(0, []))["data"] == ["a?é"]
    with pytest.raises(gr.Error) as caught:
        asyncio.run(blocks.process_api(1, []))
    assert "There is no ?" in caught.value.message


def rejects_half() -> None:
    raise BadInput("There is no \ud800.")


def test_a_handler_may_answer_with_no_updates() -> None:
    def draw() -> web_errors.Blocks:
        with web_errors.Blocks() as blocks:
            parts = [gr.Textbox(), gr.JSON()]
            blocks.load(dict, None, parts)
            blocks.load(dict, None, parts[1:])
        return blocks

    blocks = in_loop(draw)
    for number, listener in blocks.fns.items():
        answer = asyncio.run(blocks.process_api(number, []))
        assert answer["data"] == [gr.skip()] * len(listener.outputs)
