"""Examples from a dataset on the Hugging Face Hub: looked up by its name, then downloaded and imported."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.datasets import hub
from backend.datasets.background import ProgressListener
from backend.datasets.hub import HubDataset
from backend.datasets.read.pack import as_one_file
from backend.errors import BadInput
from backend.hosting.policy import Feature, Policy
from ui.services.data.imports import DatasetImports
from ui.services.machine.models import ModelService

_REMEMBERED = 16  # datasets that were looked up


class HubDataService:
    """cache: the folder for downloaded files. policy: may switch this off; then every method raises NotInDemo."""

    def __init__(self, imports: DatasetImports, models: ModelService, cache: Path, policy: Policy) -> None:
        self._imports, self._models, self._cache, self._policy = imports, models, cache, policy
        self._found: OrderedDict[tuple[str, str], HubDataset] = OrderedDict()

    def look_up(self, name: str) -> HubDataset:
        """The dataset with its splits. Raises BadInput for a malformed name, MissingPart."""
        self._policy.require(Feature.HUB_DATA)
        dataset = hub.look_up(name)
        self._found[dataset.id, dataset.commit] = dataset
        while len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)
        return dataset

    def start(self, name: str, commit: str, split: str, rows: int, model_id: str = "") -> str:
        """Starts to import the first rows of a split that was looked up, and returns the data id. Raises BadInput.
        name: as it was looked up. commit: that was looked up. split: its name. rows: how many to read. model_id: of
        the model to check for."""
        self._policy.require(Feature.HUB_DATA)
        dataset = self._found.get((name, commit))
        if dataset is None:
            raise BadInput("This search has expired.", "The dataset is no longer in memory.", "Look it up again.")
        if rows < 1:
            raise BadInput("At least one example is needed.", "", "Type how many examples to read.")
        part = dataset.split(split)

        def add(listener: ProgressListener, data_id: str, options: Mapping[str, Any]) -> str:
            progress = listener.start_phase("Downloading")
            paths = hub.download(dataset, part, rows, self._cache, progress, listener.cancelled)
            with as_one_file(paths) as path:
                reading = {"rows": rows, **options}
                return self._imports.store.add(path, dataset.name_of(part), listener, data_id, reading)

        return self._imports.add(dataset.name_of(part), self._models.target_model(model_id), add)
