"""What both faces do: the operations behind the page and the command line, put together from backend and jobs.

    model_services.py    the machine and the models
    data_services.py     the examples
    run_services.py      the trainings
    result_services.py   trying and sharing what a training learned

Light: nothing here imports torch. Whatever needs it runs in a job or in the chat process.
"""

from __future__ import annotations

import threading
from typing import Any

from backend.hardware import benchmark
from backend.models import bundled, local
from ui.services import training_plan
from ui.services.datasets import DataServices
from ui.services.models import ModelServices
from ui.services.results import ResultServices
from ui.services.runs import RunServices
from ui.services.selection import Choice


class Services(ModelServices, DataServices, RunServices, ResultServices):
    """The operations on one workspace. `start` lets jobs run by themselves; the command line waits on them."""

    def start(self) -> None:
        """Runs the queue in a thread, has the embedded model unpacked if it is not, and looks at the machine."""
        self.runner.start()
        threading.Thread(target=self._look, name="looking", daemon=True).start()
        if not self.model_ready(local.DEFAULT) and self.preparing() is None:
            self.runner.submit("prepare", {}, "Unpack the model")
        measuring = any(not job.state.is_terminal for job in self.runner.jobs(kind="calibrate"))
        if benchmark.load_rates(self.workspace) is None and not measuring and not self.simulated:
            self.runner.submit("calibrate", {}, "Measure this computer")

    def _look(self) -> None:
        """Works out what Start shows first, before it is asked for."""
        self.recommendation()
        self.others()
        self.better()

    def close(self) -> None:
        """Ends the chat process and the thread; jobs go on."""
        self._imports.close()
        self._chat.close()
        self.runner.close()

    def known(self, choice: Choice) -> Choice:
        """The browser's choice without what is no longer here, and with what has been read since."""
        if choice.run_id and not self.can_be_read(choice.run_id):
            choice = choice.but(run_id="")
        if choice.beside and not self.can_be_read(choice.beside):
            choice = choice.but(beside="")
        if choice.model_id and not training_plan.is_known(choice.model_id):
            choice = choice.but(model_id="")
        if choice.reading_id and self._imports.reading(choice.reading_id) is None:
            choice = choice.but(reading_id="", **self._chosen_now(choice.reading_id))
        return choice if not choice.data_id or self.dataset_store.has(choice.data_id) else choice.but(data_id="")

    def _chosen_now(self, data_id: str) -> dict[str, Any]:
        """What changes when these examples are read; nothing when reading them was cancelled."""
        if not self.dataset_store.has(data_id):
            return {}
        rows = self.dataset_store.original(data_id).rows
        return {"data_id": data_id, "run_id": "", "row": rows[0].row if rows else 1}

    def opened(self, choice: Choice, run_id: str) -> Choice:
        """The browser's choice with another run opened."""
        spec = self.spec(run_id)
        return choice.but(run_id=run_id, model_id=spec.model.id if spec.model.id != bundled.MODEL_ID else "")
