"""What the operations behind the page and the command line work on, put together once."""

from __future__ import annotations

import threading

from backend import hardware
from backend.advice.recommend import Recommendation
from backend.datasets.info import DatasetInfo
from backend.datasets.store import DatasetStore
from backend.records.specs import Hardware
from backend.settings import Workspace
from jobs.runner import Runner
from ui.records import Curve, DataFiles, Shorter
from ui.services.background_cache import Comparing
from ui.services.chat import Chatting
from ui.services.hf_jobs import HfJobsService
from ui.services.imports import DatasetImports

SIMULATED = "This machine is only simulated, so nothing can be trained on it."


class Parts:
    """The parts that all of `ui.services.app.Services` share.

    simulated: another machine to show everything for; nothing can be trained on it. open_to_network: whether the page
    is reached from other computers too.
    """

    open_to_network = False

    def __init__(self, workspace: Workspace, simulated: Hardware | None = None) -> None:
        self.workspace, self.simulated = workspace, simulated
        self.runner = Runner(workspace)
        self.dataset_store = DatasetStore(workspace.datasets)
        self._imports = DatasetImports(self.dataset_store)
        self.renting = HfJobsService(self)
        self._chat = Chatting(workspace, self._training)
        self._files: dict[str, tuple[DatasetInfo, DataFiles]] = {}
        self._curves: dict[str, Curve] = {}
        self._speeds: dict[str, float | None] = {}
        self._shorter: dict[tuple[str, int], Shorter | None] = {}
        self._probe = hardware.Probe.of(simulated) if simulated else None
        self._compared: Comparing[Recommendation] = Comparing()
        self._lock = threading.Lock()

    def _training(self) -> bool:
        return any(job.state.is_active for job in self.runner.jobs(kind="train"))
