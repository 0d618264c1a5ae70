"""Errors in plain words. The only place that raises gr.Error.

An ApprenticeError carries its own words. Anything else is a bug: the person sees a calm
sentence and the traceback goes to the log.
"""

import copy
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import gradio as gr
from markupsafe import Markup

from backend.errors import ApprenticeError
from ui.web.html import components
from ui.web.session_memory import Unread

log = logging.getLogger(__name__)
Handler = TypeVar("Handler", bound=Callable[..., Any])
QUEUE_PAUSE = 0.02  # seconds between two looks for events
_TEXTS = (gr.HTML, gr.Textbox)
_LOOKS = {
    "__type__",
    "visible",
    "interactive",
    "open",
    "label",
}  # properties that no value depends on

OURS = ApprenticeError(
    "Something went wrong in Apprentice.",
    "Nothing you made was lost. The details are in the log.",
    "Reload the page and try again.",
)
REFUSED = ApprenticeError(
    "The page can't use what it was sent.",
    "It is not a value that this page sends.",
    "Reload the page and try again.",
)


def in_words(error: BaseException) -> ApprenticeError:
    """The error in words for a person; one that is not an ApprenticeError is logged
    with its traceback.
    """
    if isinstance(error, ApprenticeError):
        return error
    log.error("A page handler failed.", exc_info=error)
    return OURS


def error_alert(error: BaseException) -> Markup:
    """The error as an alert on the page."""
    problem = in_words(error)
    return components.problem_alert(problem, _tone(problem))


def _tone(problem: ApprenticeError) -> str:
    """Whoever only has to wait has met no fault."""
    return "calm" if problem.next.startswith("Wait") else "bad"


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        raise _toast(error) from None


def handler(work: Handler) -> Handler:
    """Makes a page handler (function or generator) show its errors in plain words only."""
    if not inspect.isgeneratorfunction(work):
        return _in_words()(work)

    @functools.wraps(work)
    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with _in_words():
            yield from work(*args, **kwargs)

    return stream  # type: ignore[return-value]


def _whole(value: Any) -> Any:
    """The value without lone surrogates, which can't be sent: the stream of answers
    would break.
    """
    match value:
        case str():
            return (
                value
                if value.isascii()
                else value.encode("utf-8", "replace").decode("utf-8")
            )
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {_whole(name): _whole(item) for name, item in value.items()}
    return value


class Blocks(gr.Blocks):
    """gradio's page, except that a value its components refuse is one line in the log,
    not a traceback in the terminal: only a program sends such values. And a handler may
    return no updates at all.
    """

    def queue(self, *args: Any, **kwargs: Any) -> "Blocks":
        super().queue(*args, **kwargs)
        # gradio looks for events a thousand times a second, which takes 5 % of a core
        # from the training
        self._queue.sleep_when_free, self._queue.progress_update_sleep_when_free = (
            QUEUE_PAUSE,
            1,
        )
        unread: Any = Unread(self._queue.pending_event_ids_session)
        self._queue.pending_messages_per_session = unread
        return self

    async def postprocess_data(
        self, block_fn: Any, predictions: Any, state: Any
    ) -> list[Any]:
        if not isinstance(predictions, dict) or "__type__" in predictions:
            return await super().postprocess_data(block_fn, predictions, state)
        # gradio would rebuild every component that this handler may update, even
        # unchanged ones: a third of the time to open a tab. Only components whose
        # properties constrain their values need that.
        sent = {
            part: part.postprocess(new) if isinstance(new, str) else new
            for part, new in predictions.items()
            if part in block_fn.outputs  # gradio rejects others
            and (
                isinstance(part, _TEXTS)
                if isinstance(new, str)
                else isinstance(new, dict) and new.keys() <= _LOOKS
            )
        }
        if rest := {part: new for part, new in predictions.items() if part not in sent}:
            for_rest = copy.copy(block_fn)
            for_rest.outputs = [part for part in block_fn.outputs if part in rest]
            sent |= zip(
                for_rest.outputs,
                await super().postprocess_data(for_rest, rest, state),
                strict=True,
            )
        return [sent.get(part, gr.skip()) for part in block_fn.outputs]

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            answer = await super().process_api(*args, **kwargs)
            return {**answer, "data": _whole(answer["data"])}
        except gr.Error as error:
            error.message, error.print_exception = _whole(error.message), False
            raise
        except Exception as error:
            log.warning(
                "The page was sent a value that it refuses: %s: %.200s",
                type(error).__name__,
                error,
            )
            raise _toast(REFUSED) from None


def _toast(error: Exception) -> gr.Error:
    """The error as a message that stays until it is closed. Gradio draws it as HTML."""
    problem = in_words(error)
    rest = components.join(
        Markup("<p>{}</p>").format(part) for part in (problem.why, problem.next) if part
    )
    tone = Markup(' class="calm"') if _tone(problem) == "calm" else ""
    message = Markup("<strong{}>{}</strong>").format(tone, problem.what) + rest
    return gr.Error(str(message), duration=None, print_exception=False)
