"""`python -m backend.training.asking WORKSPACE SPEC`: asks a base model what a run will
ask it, ahead of the run.

What was answered is stored in the workspace's cache after every few prompts, so this
process can be killed.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from backend import hardware
from backend.hardware.process import prepare_process
from backend.models import model_folder
from backend.records.machine import available
from backend.records.specs import RunSpec
from backend.records.units import MIB
from backend.runs import own_answers
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import device, model, samples
from backend.training.dry_run import SilentWork

_MEMORY = 3  # times the bytes of the weights, which may be computed with in twice the precision


def ask(workspace: Workspace, spec: RunSpec) -> None:
    """Asks the base model until a run with this spec would have enough answers; does
    nothing where the memory that is free now might not be enough. Raises what loading
    the model does.
    """
    folder = spec.model.path
    if _MEMORY * model_folder.weight_bytes(folder) / MIB > available(
        hardware.probe(workspace.root).hardware
    ):
        return
    with tempfile.TemporaryDirectory() as temporary:
        (run_folder := Path(temporary)).joinpath("data").mkdir()
        store = partial(own_answers.store, workspace, run_folder, spec)
        own_answers.fetch(workspace, run_folder, spec)
        place = device.choose(spec.settings)
        net = model.build(folder, spec.model.id, spec.settings, place)
        work = SilentWork(run_folder, {}, progress=lambda *_, **__: store())
        samples.general_rows(work, spec, net, ChatTokenizer.load(folder), place)
        store()


if __name__ == "__main__":
    prepare_process()
    ask(Workspace.open(Path(sys.argv[1])), RunSpec.model_validate_json(sys.argv[2]))
