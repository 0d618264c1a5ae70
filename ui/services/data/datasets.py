"""Datasets: imported, checked, previewed, deleted."""

import shutil
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from backend.datasets.checks.fix import write_fixed
from backend.datasets.dataset import CheckedDataset
from backend.datasets.info import DatasetInfo
from backend.datasets.read.pack import as_one_file, name_of
from backend.errors import ApprenticeError, BadInput
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.specs import Trainer, TrainSettings
from backend.settings import child_path
from ui.records.data import DatasetFiles, DatasetProgress, Preview
from ui.services.data import imports as dataset_imports
from ui.services.data import preview
from ui.services.data.imports import DatasetImports
from ui.services.machine.advice import AdviceService
from ui.services.machine.models import ModelService
from ui.services.selection import Choice
from ui.services.training.overrides import apply_overrides


class DatasetService:
    """The datasets of a workspace. exports: the folder of files that the page may serve."""

    def __init__(self, exports: Path, imports: DatasetImports, models: ModelService, advice: AdviceService) -> None:
        self._exports, self._imports, self._models, self._advice = exports, imports, models, advice
        self._store = imports.store
        self.all, self.exists, self.set_validation = self._store.all, self._store.has, imports.set_validation
        self.cancel_import = imports.cancel
        self._files: dict[str, tuple[DatasetInfo, DatasetFiles]] = {}

    # Import

    def add(self, path: Path, name: str, options: Mapping[str, Any] | None = None) -> str:
        """Imports a file, waits for it, and returns its data id. options: fields of ReadOptions."""
        return self._store.add(path, name, options=options or {})

    def import_files(self, paths: Sequence[Path], model_id: str = "") -> str:
        """Starts to import a file, or several as one dataset, and returns its data id; see `progress`."""
        name = name_of(paths)

        def add(*more: Any, **how: Any) -> str:
            with as_one_file(paths) as path:
                return self._store.add(path, name, *more, **how)

        return self._imports.add(name, self._models.target_model(model_id), add)

    def import_text(self, text: str, model_id: str = "", name: str = "Pasted text") -> str:
        """Raises BadInput when nothing was pasted."""
        if not text.strip():
            raise BadInput("Nothing was pasted.", "The field is empty.", "Paste your examples first.")
        return self._imports.add(name, self._models.target_model(model_id), partial(self._store.add, text, name))

    def read_again(self, data_id: str, options: dict[str, Any], model_id: str = "") -> None:
        """Starts to read a dataset again with these ReadOptions fields ({}: as detected)."""
        self._imports.read_again(data_id, options, self._models.target_model(model_id))

    def import_again(self, import_id: str, options: dict[str, Any], model_id: str = "") -> None:
        """Starts a failed import again with these ReadOptions fields."""
        self._imports.retry(import_id, options, self._models.target_model(model_id))

    def progress(self, choice: Choice) -> DatasetProgress | None:
        """The progress, or the error, of the selected import, else of the selected dataset's check."""
        return self._imports.progress(choice.import_id, choice.data_id)

    # The stored datasets

    def first_row(self, data_id: str) -> int:
        """The number of the first row that could be read; 1 when none could."""
        rows = self._store.original(data_id).rows
        return rows[0].row if rows else 1

    def delete(self, data_id: str) -> None:
        """Deletes a dataset, if it exists; runs have their own copy of their rows."""
        with suppress(BadInput):
            self._store.remove(data_id)
        shutil.rmtree(self._files_folder(data_id), ignore_errors=True)
        self._files.pop(data_id, None)

    # Checks

    def change_token(self, data_id: str) -> Hashable:
        """Differs whenever `selected_soon` may return something new, whichever window caused it."""
        return self._imports.change_token(data_id) if data_id else ()

    def checked(self, data_id: str, model_id: str = "", lengths: LengthLimits = UNLIMITED) -> CheckedDataset:
        """The checked dataset for a model; waits until it is checked."""
        return self._imports.checked(data_id, self._models.target_model(model_id), lengths)

    def selected(self, choice: Choice) -> CheckedDataset:
        """The selected dataset as the planned run uses it; waits until it is checked."""
        return self._imports.patiently(partial(self._selected, choice))

    def selected_soon(self, choice: Choice) -> CheckedDataset | None:
        """`selected`, or None when it takes longer than a moment; `progress` then reports the progress."""
        return self._selected(choice, dataset_imports.PAGE_WAIT)

    def is_ready(self, choice: Choice) -> bool:
        """Whether the selected dataset is known to be ready for training, with nothing to decide; reads nothing."""
        if not choice.data_id:
            return False
        with suppress(ApprenticeError):  # which Data shows
            checked = self._store.cached(choice.data_id, self._models.target_model(choice.model_id), UNLIMITED)
            return checked is not None and not (checked.blocked or checked.waiting)
        return False

    def lengths(self, choice: Choice) -> LengthLimits:
        """The planned run's length limits; waits until the dataset is checked."""
        return LengthLimits.from_settings(self.settings(choice))

    def settings(self, choice: Choice) -> TrainSettings:
        """The planned run's settings: the person's own where valid, else the recommended ones. Waits for the check."""
        trainer: Trainer = "dpo" if choice.settings.get("trainer") == "dpo" else "sft"
        recommended = self._advice.settings(choice.task, choice.data_id, choice.model_id, trainer).settings
        return apply_overrides(choice.settings, recommended).settings

    def _selected(self, choice: Choice, seconds: float | None) -> CheckedDataset | None:
        model = self._models.target_model(choice.model_id)
        whole = self._imports.check(choice.data_id, model, UNLIMITED, seconds)
        if whole is None or not whole.longest:
            return whole
        lengths = self.lengths(choice)
        if not whole.documents and whole.longest <= (lengths.max_length or whole.longest):
            return whole  # nothing is cut or divided
        return self._imports.check(choice.data_id, model, lengths, seconds)

    # The fixed examples as files

    def write_files(self, choice: Choice) -> DatasetFiles:
        """Writes the fixed examples and the list of changes into a folder that is served. Raises WorkspaceProblem."""
        checked, folder = self.selected(choice), self._files_folder(choice.data_id)
        folder.mkdir(parents=True, exist_ok=True)
        fixed = folder / "examples.jsonl"
        files = DatasetFiles(fixed, write_fixed(checked.fixed, fixed), len(checked.fixed.changes))
        self._files[choice.data_id] = checked.info, files
        return files

    def written_files(self, choice: Choice) -> DatasetFiles | None:
        """The files that `write_files` wrote; None if there are none or the fixes have changed since."""
        about, files = self._files.get(choice.data_id, (None, None))
        return files if files and about == self._store.info.read(choice.data_id) else None

    def _files_folder(self, data_id: str) -> Path:
        return child_path(self._exports, f"data-{data_id}")

    # Preview

    def preview(self, choice: Choice) -> Preview:
        """The selected example as the planned run uses it. Raises BadInput when it can't be shown."""
        checked, tokenizer = self.selected(choice), self._models.tokenizer(choice.model_id)
        lengths = self.lengths(choice) if tokenizer else UNLIMITED
        why_not = "" if tokenizer else self._models.why_not_ready(choice.model_id)
        return preview.preview(self._store, checked, choice.row, tokenizer, lengths, why_not)

    def step(self, choice: Choice, direction: int) -> int:
        """The number of the next example (direction 1), the previous one (-1), or the nearest (0)."""
        return preview.step(self.selected(choice), choice.row, direction)
