"""Examples from a dataset on the Hugging Face Hub: looked up by its name, downloaded and imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.datasets import hub
from backend.datasets.background import ProgressListener
from backend.datasets.read.pack import as_one_file
from backend.hosting.policy import Feature, Policy
from backend.models.hub import valid_name
from ui.services.data.imports import DatasetImports
from ui.services.machine.models import ModelService


class HubDataService:
    """cache: the folder for downloaded files. policy: may switch this off."""

    def __init__(self, imports: DatasetImports, models: ModelService, cache: Path, policy: Policy) -> None:
        self._imports, self._models, self._cache, self._policy = imports, models, cache, policy

    def start(self, name: str, model_id: str = "") -> str:
        """Starts to import the first rows of a dataset, of its part for training if it has parts, and returns the data
        id. name: "hf:OWNER/NAME", or the address of its page. model_id: of the model to check for. Raises BadInput for
        a malformed name, NotInDemo."""
        self._policy.require(Feature.HUB_DATA)
        name = valid_name(name, "dataset")

        def add(listener: ProgressListener, data_id: str, options: Mapping[str, Any], **how: Any) -> str:
            listener.start_phase("Asking Hugging Face")
            dataset = hub.look_up(name)
            part = dataset.split("")
            licence = dataset.licence or "none stated, ask its makers before you use it"
            progress = listener.start_phase(f"Downloading {part.name} (license: {licence})")
            paths = hub.download(dataset, part, hub.ROWS, self._cache, progress, listener.cancelled)
            with as_one_file(paths) as path:
                reading = {"rows": hub.ROWS, **options}
                return self._imports.store.add(path, dataset.name_of(part), listener, data_id, reading, **how)

        return self._imports.add(name, self._models.target_model(model_id), add)
