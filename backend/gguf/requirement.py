"""The optional package llama-cpp-python. Importing this module does not import it."""

from __future__ import annotations

import importlib.util

from backend.errors import MissingPart


def has_llama_cpp() -> bool:
    return importlib.util.find_spec("llama_cpp") is not None


def require_llama_cpp() -> None:
    """Raises MissingPart, with instructions, if llama-cpp-python is not installed."""
    if not has_llama_cpp():
        raise MissingPart(
            "GGUF files can't be used here yet.",
            "The package llama-cpp-python is not installed. Its installation needs a compiler.",
            "Install a C++ compiler (Linux: build-essential; macOS: xcode-select --install; Windows: Visual Studio "
            "Build Tools), then run: pip install llama-cpp-python",
        )
