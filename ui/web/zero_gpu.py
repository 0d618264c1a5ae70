"""ZeroGPU of Hugging Face Spaces: a GPU that exists only inside decorated calls of the page's own process.

Whose quota a call uses is in a header of the visitor's request, which the page's frame on huggingface.co adds to
every event. A page sends an event every three seconds, so the latest request has a header that is still valid.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.settings import on_zero_gpu
from ui.services.demo.gpu_calls import NoGpu, learn

HEADER = "x-ip-token"
_MOST_VISITORS = 1000  # whose request is remembered
_QUOTA = re.compile(r"\((\d+)s requested vs\. (\d+)s left\)")  # in the message of spaces 0.51

_decorated: list[Callable[[str, str, float], float]] = []


def register() -> None:
    """Decorates the function that trains, on ZeroGPU; nothing elsewhere. To be called before gradio is imported:
    ZeroGPU ends a Space that has registered no function for its GPU by the time it is launched."""
    if on_zero_gpu():
        import spaces

        _decorated[:] = [spaces.GPU(duration=lambda root, job_id, seconds: seconds)(learn)]


class Requests:
    """The latest request of each visitor that says whose quota it uses."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, Any] = OrderedDict()

    def remember(self, visitor: str, request: Any) -> None:
        if _decorated and request.headers.get(HEADER):
            self._latest[visitor] = request
            self._latest.move_to_end(visitor)
            while len(self._latest) > _MOST_VISITORS:
                self._latest.popitem(last=False)

    def call(self, visitor: str, workspace: Path, job_id: str, seconds: float) -> float:
        """Trains inside a call, in a thread of its own; returns the seconds that it took. Raises NoGpu.
        visitor: whose quota counts. seconds: for which the GPU is asked."""
        import gradio as gr
        from gradio.context import LocalContext

        LocalContext.request.set(self._latest.get(visitor))  # without one, the Space's own quota counts
        try:
            return _decorated[0](str(workspace), job_id, seconds)
        except gr.Error as error:
            # The message counts in seconds of another GPU, by a factor.
            quota = _QUOTA.search(str(error.message))
            left = seconds * int(quota[2]) / int(quota[1]) if quota and int(quota[1]) else None
            raise NoGpu(str(error.message), left) from error
