"""The two packages with llama.cpp in them. Importing this module imports neither.

xllamacpp           its server, ready-made for nearly every system: answers
llama-cpp-python    its C interface: also K types, and what a file lost; source only, for some systems a wheel
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
    return has_llama_cpp_python() or has_xllamacpp()


def has_llama_cpp_python() -> bool:
    return importlib.util.find_spec("llama_cpp") is not None


def has_xllamacpp() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None


def require_llama_cpp_python(what: str = "GGUF files can't be used here yet.") -> None:
    """Raises MissingPart, with instructions, if llama-cpp-python is not installed. what: can't be done without it."""
    if not has_llama_cpp_python():
        why = "This needs llama-cpp-python, which is not installed: there was no ready-made build for this computer."
        raise MissingPart(what, why, HOW_TO_COMPILE)
