"""Finds out whether llama.cpp can hold a model, by trying it in a child process.

A model that llama.cpp can't take may end the process that tries, and one that has used
torch can't use llama.cpp.

    holds               in the parent
    python -m ...       the child: WORKSPACE MODEL [TUNED ...]; exit code 0 if it holds them all
"""

import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from backend import child_process
from backend.chat import engines
from backend.gguf import base_file
from backend.gguf.requirement import has_llama_cpp
from backend.hardware.process import prepare_process
from backend.models import bundled
from backend.settings import Workspace

log = logging.getLogger(__name__)

_DOES_NOT_FIT = 3  # an exit code
_PHASE = "Loading the models"


def holds(
    workspace: Workspace,
    model: Path,
    tuned: Sequence[Path],
    progress: Callable[[str, int, int], None],
) -> bool:
    """Whether llama.cpp answers with a model and with what was trained on it. The model
    is converted first if need be, which takes a while.

    model: the folder of the base model
    tuned: the folders with what was trained
    progress: called twice a second; what it raises ends the child
    """
    if not has_llama_cpp() or not all(
        (folder / "adapter_config.json").is_file() for folder in tuned
    ):
        return False
    phase = (
        _PHASE
        if model.is_dir() and base_file.path(workspace, model).is_file()
        else base_file.PHASE
    )
    paths = [str(path) for path in (workspace.root, model, *tuned)]
    code, printed = child_process.run(
        ["-m", __spec__.name, *paths], poll=partial(progress, phase, 0, 0)
    )
    if code:
        log.warning(
            "transformers answers: llama.cpp can't hold the model (%s): %s",
            code,
            printed[-4000:],
        )
    return code == 0


def _try(workspace: Workspace, model: Path, tuned: Sequence[Path]) -> None:
    if model == bundled.folder(workspace):
        bundled.ensure(workspace)
    for folder in tuned or (None,):
        if not engines.fits_llama_cpp(folder):
            sys.exit(_DOES_NOT_FIT)
        engine = engines.on_llama_cpp(workspace, model, folder, bundled.silent)
        prompt = engine.prompt_ids([{"role": "user", "content": "Hello"}])
        for pane in engine.panes:
            engine.answer_all(pane, [prompt, prompt], [2, 3], lambda done: None)


if __name__ == "__main__":
    prepare_process()
    _try(Workspace(Path(sys.argv[1])), Path(sys.argv[2]), list(map(Path, sys.argv[3:])))
