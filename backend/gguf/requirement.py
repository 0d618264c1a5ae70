"""The optional package llama-cpp-python. Importing this module does not import it."""

from __future__ import annotations

import importlib.util

from backend.errors import MissingPart
from backend.settings import PROGRAM

HOW_TO_GET_IT = (
    "Install a C++ compiler (Debian and Ubuntu: sudo apt install build-essential; macOS: xcode-select --install; "
    f"Windows: Visual Studio Build Tools), then start Apprentice again with {PROGRAM}: it installs the rest."
)


def has_llama_cpp() -> bool:
    return importlib.util.find_spec("llama_cpp") is not None


def require_llama_cpp(what: str = "GGUF files can't be used here yet.") -> None:
    """Raises MissingPart, with instructions, if llama-cpp-python is not installed. what: can't be done without it."""
    if not has_llama_cpp():
        raise MissingPart(
            what,
            "The package llama-cpp-python is not installed: there is no ready-made build for this computer, and no "
            "compiler to make one.",
            HOW_TO_GET_IT,
        )
