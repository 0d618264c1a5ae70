"""Errors into plain words. The only place that raises gr.Error or draws an error.

An ApprenticeError carries its own words. Anything else is a fault of ours: the person gets a calm sentence,
the log gets the whole story.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, TypeVar

import gradio as gr

from backend.errors import ApprenticeError

log = logging.getLogger(__name__)
Handler = TypeVar("Handler", bound=Callable[..., Any])

OURS = ApprenticeError(
    "Something went wrong on our side.",
    "The details are in the log; nothing you made was lost.",
    "Reload the page and try again.",
)


def in_words(error: BaseException) -> ApprenticeError:
    """The error as one for people; one that is not ours is logged with its traceback."""
    if isinstance(error, ApprenticeError):
        return error
    log.error("A page handler failed.", exc_info=error)
    return OURS


def alert(tone: str, title: str, what: str = "", next: str = "") -> str:  # noqa: A002
    """A notice in three parts as HTML: title, what happened, what to do. tone: good, warn, bad or calm."""
    parts = [f"<strong>{escape(title)}</strong>", *(f"<p>{escape(part)}</p>" for part in (what, next) if part)]
    role = ' role="alert"' if tone == "bad" else ""
    return f'<div class="alert {tone}"{role}>{"".join(parts)}</div>'


def error_alert(error: BaseException) -> str:
    """The error as an alert to stand on the page."""
    words = in_words(error)
    return alert("bad", words.what, words.why, words.next)


def handler(work: Handler) -> Handler:
    """A page handler (function or generator) whose errors reach the person in plain words only."""
    if inspect.isgeneratorfunction(work):

        @functools.wraps(work)
        def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from work(*args, **kwargs)
            except gr.Error:
                raise
            except Exception as error:
                raise _toast(error) from None

        return stream  # type: ignore[return-value]

    @functools.wraps(work)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return work(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise _toast(error) from None

    return call  # type: ignore[return-value]


def _toast(error: Exception) -> gr.Error:
    words = in_words(error)
    rest = "".join(f"<p>{escape(part)}</p>" for part in (words.why, words.next) if part)
    return gr.Error(f"<strong>{escape(words.what)}</strong>{rest}", duration=None, print_exception=False)
