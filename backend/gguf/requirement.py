"""The two packages with llama.cpp in them. Importing this module imports neither.

xllamacpp           its server, ready-made for every system with a PyTorch: answers
llama-cpp-python    its quantizer, for files smaller than Q8_0; source only, for some systems a wheel
"""

import importlib.util

from backend.errors import MissingPart
from backend.settings import PROGRAM

HOW_TO_COMPILE = (
    f"To get it, run {PROGRAM} compile once: it compiles llama.cpp, which takes about four minutes. That needs a C++ "
    "compiler (Debian and Ubuntu: sudo apt install build-essential; macOS: xcode-select --install; Windows: Visual "
    "Studio Build Tools)."
)


def has_llama_cpp() -> bool:
    """Whether llama.cpp can answer from GGUF files."""
    return importlib.util.find_spec("xllamacpp") is not None


def has_quantizer() -> bool:
    """Whether GGUF files smaller than Q8_0 can be made."""
    return importlib.util.find_spec("llama_cpp") is not None


def require_quantizer(what: str = "This GGUF file can't be made here yet.") -> None:
    """Raises MissingPart, with instructions, without llama-cpp-python. what: can't be
    done without it.
    """
    if not has_quantizer():
        why = "This needs llama-cpp-python, which is not installed: there was no ready-made build for this computer."
        raise MissingPart(what, why, HOW_TO_COMPILE)
