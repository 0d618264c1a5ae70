"""Datasets: imported, also from the Hugging Face hub, checked, previewed, deleted."""

import shutil
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from backend.datasets import hub
from backend.datasets.background import ProgressListener
from backend.datasets.checks.fix import write_fixed
from backend.datasets.dataset import CheckedDataset
from backend.datasets.info import DatasetInfo
from backend.datasets.read.pack import as_one_file, name_of
from backend.errors import ApprenticeError, BadInput
from backend.hosting.policy import Feature, Policy
from backend.models.hub import valid_name
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.specs import TrainSettings
from backend.settings import Workspace, child_path
from ui.records.data import DatasetFiles, DatasetProgress, Preview
from ui.services.data import imports as dataset_imports
from ui.services.data import preview
from ui.services.data.imports import DatasetImports
from ui.services.machine.advice import AdviceService
from ui.services.machine.models import ModelService
from ui.services.selection import Choice
from ui.services.training.overrides import apply_overrides


class DatasetService:
    """The datasets of a workspace. policy: may switch the hub off."""

    def __init__(
        self,
        workspace: Workspace,
        imports: DatasetImports,
        models: ModelService,
        advice: AdviceService,
        policy: Policy,
    ) -> None:
        self._workspace, self._imports, self._models = workspace, imports, models
        self._advice, self._policy = advice, policy
        self._store = imports.store
        self.all, self.exists, self.set_validation = (
            self._store.all,
            self._store.has,
            imports.set_validation,
        )
        self.read_again, self.make_from, self.cancel_import = (
            imports.read_again,
            imports.make_from,
            imports.cancel,
        )
        self.checked = imports.checked
        self._files: dict[str, tuple[DatasetInfo, DatasetFiles]] = {}

    # Import

    def add(
        self, path: Path, name: str, options: Mapping[str, Any] | None = None
    ) -> str:
        """Imports a file, waits for it, and returns its data id. options: fields of
        ReadOptions.
        """
        return self._store.add(path, name, options=options or {})

    def import_files(
        self, paths: Sequence[Path], model_id: str = "", task: str = ""
    ) -> str:
        """Starts to import a file, or several as one dataset, and returns its data id;
        see `progress`. task: what the model is to do, "" for unknown.
        """
        name = name_of(paths)

        def add(*more: Any, **how: Any) -> str:
            with as_one_file(paths) as path:
                return self._store.add(path, name, *more, **how)

        return self._imports.add(name, model_id, add, task)

    def import_from_hub(self, name: str, model_id: str = "", task: str = "") -> str:
        """Starts to import the first rows of a dataset, of its part for training if it
        has parts, and returns the data id. name: "hf:OWNER/NAME", or the address of its
        page. Raises BadInput for a malformed name, NotInDemo.
        """
        self._policy.require(Feature.HUB_DATA)
        name = valid_name(name, "dataset")

        def add(
            listener: ProgressListener, options: Mapping[str, Any], **how: Any
        ) -> str:
            listener.start_phase("Asking Hugging Face")
            dataset = hub.look_up(name)
            part = dataset.split("")
            licence = dataset.licence or "none stated, ask its makers before you use it"
            progress = listener.start_phase(
                f"Downloading {part.name} (license: {licence})"
            )
            paths = hub.download(
                dataset,
                part,
                hub.ROWS,
                self._workspace.cache,
                progress,
                listener.cancelled,
            )
            with as_one_file(paths) as path:
                reading = {"rows": hub.ROWS, **options}
                named = dataset.name_of(part)
                return self._store.add(path, named, listener, options=reading, **how)

        return self._imports.add(name, model_id, add, task)

    def import_text(
        self,
        text: str,
        model_id: str = "",
        task: str = "",
        name: str = "Pasted text",
    ) -> str:
        """Starts to import a text; see `import_files`. Raises BadInput when nothing was
        pasted.
        """
        if not text.strip():
            raise BadInput(
                "Nothing was pasted.",
                "The field is empty.",
                "Paste your examples first.",
            )
        add = partial(self._store.add, text, name)
        return self._imports.add(name, model_id, add, task)

    def progress(self, choice: Choice) -> DatasetProgress | None:
        """The progress, or the error, of the selected import, else of the selected
        dataset's check.
        """
        return self._imports.progress(choice.import_id, choice.data_id)

    # The stored datasets

    def nearest(self, data_id: str, row: int = 1) -> int:
        """The number of the example itself, else of the next one, else of the last one
        that is left; 1 without any.
        """
        numbers = [example.row for example in self._store.original(data_id).rows]
        return next(
            (number for number in numbers if number >= row),
            numbers[-1] if numbers else 1,
        )

    def delete(self, data_id: str) -> None:
        """Deletes a dataset, if it exists; runs have their own copy of their rows."""
        with suppress(BadInput):
            self._store.remove(data_id)
        shutil.rmtree(self._files_folder(data_id), ignore_errors=True)
        self._files.pop(data_id, None)

    # Checks

    def change_token(self, data_id: str) -> Hashable:
        """Differs whenever `selected_soon` may return something new, whichever window
        caused it.
        """
        return self._imports.change_token(data_id) if data_id else ()

    def selected(self, choice: Choice) -> CheckedDataset:
        """The selected dataset as the planned run uses it; waits until it is checked."""
        return self._imports.patiently(partial(self._selected, choice))

    def selected_soon(self, choice: Choice) -> CheckedDataset | None:
        """`selected`, or None when it takes longer than a moment; `progress` then
        reports the progress.
        """
        return self._selected(choice, dataset_imports.PAGE_WAIT)

    def is_ready(self, choice: Choice) -> bool:
        """Whether the selected dataset is known to be ready for training, with nothing
        to decide; reads nothing.
        """
        if not choice.data_id:
            return False
        with suppress(ApprenticeError):  # which Data shows
            checked = self._store.cached(
                choice.data_id, self._models.target_model(choice.model_id), UNLIMITED
            )
            return checked is not None and not (checked.blocked or checked.waiting)
        return False

    def lengths(self, choice: Choice) -> LengthLimits:
        """The planned run's length limits; waits until the dataset is checked."""
        return LengthLimits.from_settings(self.settings(choice))

    def settings(self, choice: Choice) -> TrainSettings:
        """The planned run's settings: the person's own where valid, else the
        recommended ones. Waits for the check.
        """
        return apply_overrides(
            choice.settings, self._advice.settings(choice).settings
        ).settings

    def _selected(self, choice: Choice, seconds: float | None) -> CheckedDataset | None:
        whole = self._imports.check(choice.data_id, choice.model_id, UNLIMITED, seconds)
        if whole is None or not whole.longest:
            return whole
        lengths = self.lengths(choice)
        if not whole.documents and whole.longest <= (
            lengths.max_length or whole.longest
        ):
            return whole  # nothing is cut or divided
        return self._imports.check(choice.data_id, choice.model_id, lengths, seconds)

    # The fixed examples as files

    def write_files(self, choice: Choice) -> DatasetFiles:
        """Writes the fixed examples and the list of changes into a folder that is
        served. Raises WorkspaceProblem.
        """
        checked, folder = self.selected(choice), self._files_folder(choice.data_id)
        folder.mkdir(parents=True, exist_ok=True)
        fixed = folder / "examples.jsonl"
        files = DatasetFiles(
            fixed, write_fixed(checked.fixed, fixed), len(checked.fixed.changes)
        )
        self._files[choice.data_id] = checked.info, files
        return files

    def written_files(self, choice: Choice) -> DatasetFiles | None:
        """The files that `write_files` wrote; None if there are none or the fixes have
        changed since.
        """
        about, files = self._files.get(choice.data_id, (None, None))
        return (
            files if files and about == self._store.info.read(choice.data_id) else None
        )

    def _files_folder(self, data_id: str) -> Path:
        return child_path(self._workspace.exports, f"data-{data_id}")

    # Preview

    def preview(self, choice: Choice) -> Preview:
        """The selected example as the planned run uses it. Raises BadInput when it
        can't be shown.
        """
        checked, tokenizer = (
            self.selected(choice),
            self._models.tokenizer(choice.model_id),
        )
        example = preview.find(checked, choice.row)
        if tokenizer is None:
            raise BadInput(
                "The tokens can't be shown yet.",
                self._models.why_not_ready(choice.model_id),
            )
        return preview.preview(
            self._store, checked.id, example, tokenizer, self.lengths(choice)
        )

    def step(self, choice: Choice, direction: int) -> int:
        """The number of the next example (direction 1), the previous one (-1), or the
        nearest (0).
        """
        return preview.step(self.selected(choice), choice.row, direction)
