"""The base model answers everyday prompts while the person looks at the examples, so
that no run waits for it.
"""

import subprocess
import threading
import time

from backend import child_process
from backend.datasets.dataset import CheckedDataset
from backend.records.specs import DataRef, RunSpec, TrainSettings
from backend.runs import own_answers
from backend.settings import Workspace
from jobs.registry import JOB_TYPES
from jobs.runner import Runner
from ui.services.machine.models import ModelService

_COMPUTING = {
    kind for kind, job_type in JOB_TYPES.items() if job_type.lane == "training"
}
_POLL = 0.5  # seconds
_ROUND = 50  # examples: a few more or fewer ask nothing anew


class AskingService:
    """One child process at a time (`backend.training.asking`), which ends with this
    one.
    """

    def __init__(
        self, workspace: Workspace, runner: Runner, models: ModelService
    ) -> None:
        self._workspace, self._runner, self._models = workspace, runner, models
        self._wanted: RunSpec | None = (
            None  # with what decides which prompts are asked, and how they are answered
        )
        self._child: subprocess.Popen[bytes] | None = None

    def begin(
        self, checked: CheckedDataset, model_id: str, settings: TrainSettings
    ) -> None:
        """Has the base model asked what a run with these examples would ask, unless
        that is known; returns at once. Raises what looking at the model's files does.
        """
        model = self._models.reference(self._models.resolve(model_id))
        language = own_answers.language_for(
            checked.language, self._models.entry(model.id).languages
        )
        rows = -(-len(checked.split.train) // _ROUND) * _ROUND
        data = DataRef(
            name="", sha256="", train_rows=rows, validation_rows=0, train_tokens=0, learned_tokens=0, longest=0,
            general_language=language,
        )  # fmt: skip
        deciding = settings.model_dump(
            include={"trainer", "method", "precision", "seed", "keep_general"}
        )
        spec = RunSpec(
            name="", model=model, data=data, settings=TrainSettings(**deciding)
        )
        if spec != self._wanted:
            self.end()
            self._wanted = spec
            threading.Thread(
                target=self._ask, args=(spec,), name="asking", daemon=True
            ).start()

    def end(self) -> None:
        """Asks nothing any more. What was answered until now is stored."""
        self._wanted = None
        self.free_memory()

    def free_memory(self) -> None:
        """Ends the child at once, before a job measures the memory that it has; it
        begins again after that job.
        """
        child, self._child = self._child, None
        if child:
            child_process.kill(child)

    def _ask(self, spec: RunSpec) -> None:
        """Until all is known, also by a run, or something else is wanted; never beside
        a job that computes.
        """
        arguments = [
            "-m",
            "backend.training.asking",
            str(self._workspace.root),
            spec.model_dump_json(),
        ]
        while self._wanted is spec and own_answers.unasked(
            own_answers.known(self._workspace, spec), spec
        ):
            if not self._computes():
                with (self._workspace.cache / "asking.log").open("wb") as log:
                    self._child = child = child_process.start(
                        arguments, stdout=log, stderr=subprocess.STDOUT
                    )
                while (
                    self._wanted is spec
                    and child.poll() is None
                    and not self._computes()
                ):
                    time.sleep(_POLL)
                done = child.poll() is not None and child is self._child
                child_process.kill(child)
                if done:
                    return
            time.sleep(_POLL)

    def _computes(self) -> bool:
        """Whether a job that needs the processor waits or works."""
        return any(
            job.kind in _COMPUTING and not job.state.is_terminal
            for job in self._runner.jobs()
        )
