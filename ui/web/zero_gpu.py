"""ZeroGPU of Hugging Face Spaces: a GPU that exists only inside decorated calls of the page's own process."""

from __future__ import annotations

from backend.settings import on_zero_gpu


def register() -> None:
    """Lets a Space on ZeroGPU start; nothing elsewhere. To be called before gradio is imported.

    ZeroGPU ends a Space that has registered no function for its GPU. Nothing here uses that GPU yet, because training
    and chat run in processes of their own, which don't get it; so the registered function is never called.
    """
    if on_zero_gpu():
        import spaces

        spaces.GPU(_unused)


def _unused() -> None:
    """The function that ZeroGPU requires; never called."""
