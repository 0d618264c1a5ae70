"""What a person sees of an error, and what they never see."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import gradio as gr
import pytest

from backend.errors import BadInput
from ui.web import errors as web_errors


@web_errors.handler
def refuses() -> None:
    raise BadInput("Row 3 has no answer.", "It ends with a question.", "Add <b>one</b>.")


@web_errors.handler
def breaks() -> None:
    raise ValueError("/home/someone/secret.txt")


@web_errors.handler
def breaks_midway() -> Iterator[int]:
    yield 1
    raise KeyError("secret")


def test_our_errors_keep_their_words() -> None:
    with pytest.raises(gr.Error) as caught:
        refuses()
    said = "<strong>Row 3 has no answer.</strong><p>It ends with a question.</p><p>Add &lt;b&gt;one&lt;/b&gt;.</p>"
    assert caught.value.message == said
    assert caught.value.duration is None, "it stays until it is read"
    assert not caught.value.print_exception


@pytest.mark.parametrize("work", [breaks, lambda: list(breaks_midway())])
def test_other_errors_go_to_the_log_only(work: object, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as caught:
        work()  # type: ignore[operator]
    assert "secret" not in caught.value.message + caught.value.title
    assert caught.value.__cause__ is None
    assert "secret" in caplog.text


def test_a_generator_stays_one() -> None:
    assert next(breaks_midway()) == 1
