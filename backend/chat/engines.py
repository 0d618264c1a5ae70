"""Which engine answers: llama.cpp where it can hold the model, else transformers. Never
in the page's process.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from backend.chat.engine import Engine
from backend.chat.llama_engine import LlamaEngine
from backend.chat.llama_server import on_gpu
from backend.gguf.base_file import base_file
from backend.gguf.lora import convert_adapter
from backend.gguf.requirement import has_llama_cpp
from backend.hardware.gpu_choice import read_choice
from backend.models import bundled, four_bit, model_folder
from backend.models.bundled import ReportProgress
from backend.settings import Workspace

log = logging.getLogger(__name__)


def open_model(
    workspace: Workspace,
    model: Path,
    tuned: Path | None,
    progress: ReportProgress,
    *,
    only_transformers: bool = False,
) -> Engine:
    """The engine that answers, with its models loaded. Raises MissingPart, NotEnough,
    ChatFailed.

    model: the folder of the base model
    tuned: the folder with what was trained, None for the base alone
    progress: called with each phase of loading
    """
    if model == bundled.folder(workspace):
        bundled.ensure(workspace, progress)
    if not only_transformers and fits_llama_cpp(tuned):
        try:
            return on_llama_cpp(workspace, model, tuned, progress)
        except Exception as error:
            log.warning(
                "transformers answers, because llama.cpp can't: %s",
                error,
                exc_info=True,
            )
    from backend.chat.torch_engine import TorchEngine

    progress("Loading the model")
    return TorchEngine(model, tuned)


def fits_llama_cpp(tuned: Path | None) -> bool:
    """Whether to try llama.cpp: not where all weights were trained, nor where
    transformers has a GPU that this llama.cpp can't use, or on which it answers with
    the 4-bit weights of the training.
    """
    if not has_llama_cpp() or (tuned and not (tuned / "adapter_config.json").is_file()):
        return False
    if not read_choice()[1].devices:
        return True
    return (
        not (tuned and four_bit.is_possible() and four_bit.trained_in_4_bit(tuned))
        and on_gpu()
    )


def on_llama_cpp(
    workspace: Workspace, model: Path, tuned: Path | None, progress: ReportProgress
) -> Engine:
    """As `open_model`, in llama.cpp only. Raises also as `gguf_files`."""
    with gguf_files(workspace, model, tuned, progress) as (file, adapter):
        return LlamaEngine(file, model, tuned, adapter)


@contextmanager
def gguf_files(
    workspace: Workspace, model: Path, tuned: Path | None, progress: ReportProgress
) -> Iterator[tuple[Path, Path | None]]:
    """The base model as a GGUF file, and while the block runs, the adapter in `tuned`
    as one. Raises MissingPart, NotEnough, ExportFailed, UnsupportedModel, Unsupported,
    WorkspaceProblem.
    """
    model_folder.check(model)
    file = base_file(workspace, model, progress)
    progress("Loading the model")
    with TemporaryDirectory(dir=workspace.cache) as work:
        adapter = Path(work) / "adapter.gguf" if tuned else None
        if tuned and adapter:
            convert_adapter(tuned, model, file, adapter)
        yield file, adapter
