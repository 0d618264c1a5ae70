"""Datasets: imported, checked, fixed, previewed, deleted."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from backend.datasets.dataset import CheckedDataset
from backend.datasets.editing import Editor
from backend.datasets.info import DatasetInfo
from backend.datasets.read.pack import name_of
from backend.datasets.store import StoredDataset
from backend.errors import ApprenticeError, BadInput
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.specs import Trainer, TrainSettings
from backend.settings import child_path
from ui.records.data import (
    DatasetFiles,
    DatasetProgress,
    DatasetState,
    EditableExample,
    Instruction,
    Matches,
    Preview,
    Sample,
)
from ui.services import dataset_state, edited_examples, preview, samples
from ui.services import imports as dataset_imports
from ui.services.advice import AdviceService
from ui.services.imports import DatasetImports
from ui.services.models import ModelService
from ui.services.overrides import apply_overrides
from ui.services.selection import Choice


class DatasetService:
    """The datasets of a workspace.

    exports: the folder of files that the page may serve.
    """

    def __init__(self, exports: Path, imports: DatasetImports, models: ModelService, advice: AdviceService) -> None:
        self._exports, self._imports, self._models, self._advice = exports, imports, models, advice
        self._store = imports.store
        self._editor = Editor(self._store)
        self._files: dict[str, tuple[DatasetInfo, DatasetFiles]] = {}

    # Import

    def samples(self) -> list[Sample]:
        return list(samples.SAMPLES)

    def add(self, path: Path, name: str, options: Mapping[str, Any] | None = None) -> str:
        """Imports a file, waits for it, and returns its data id. options: fields of ReadOptions."""
        return self._store.add(path, name, options=options or {})

    def import_file(self, path: Path, name: str, model_id: str = "") -> str:
        """Starts to import a file in the background and returns its data id; see `progress`."""
        return self._imports.add_files([path], name, self._models.target_model(model_id))

    def import_files(self, paths: Sequence[Path], model_id: str = "") -> str:
        """Starts to import files as one dataset, in which every row remembers its file."""
        return self._imports.add_files(paths, name_of(paths), self._models.target_model(model_id))

    def import_text(self, text: str, model_id: str = "") -> str:
        """Raises BadInput when nothing was pasted."""
        if not text.strip():
            raise BadInput("Nothing was pasted.", "The field is empty.", "Paste your examples first.")
        return self._imports.add_text(text, "Pasted text", self._models.target_model(model_id))

    def import_table(self, rows: list[list[str]], model_id: str = "") -> str:
        return self._imports.add_text(
            samples.table_as_lines(rows), "Typed examples", self._models.target_model(model_id)
        )

    def read_again(self, data_id: str, options: dict[str, Any], model_id: str = "") -> None:
        """Starts to read a dataset again with these ReadOptions fields ({}: as detected)."""
        self._imports.read_again(data_id, options, self._models.target_model(model_id))

    def import_again(self, import_id: str, options: dict[str, Any], model_id: str = "") -> None:
        """Starts a failed import again with these ReadOptions fields."""
        self._imports.retry(import_id, options, self._models.target_model(model_id))

    def progress(self, choice: Choice) -> DatasetProgress | None:
        """The progress, or the error, of the selected import, else of the selected dataset's check."""
        if choice.import_id:
            return self._imports.import_progress(choice.import_id)
        return self._imports.check_progress(choice.data_id)

    def cancel_import(self, choice: Choice) -> None:
        self._imports.cancel(choice.import_id)

    # The stored datasets

    def all(self) -> list[StoredDataset]:
        """The datasets, newest first."""
        return self._store.all()

    def exists(self, data_id: str) -> bool:
        return self._store.has(data_id)

    def first_row(self, data_id: str) -> int:
        """The number of the first row that could be read; 1 when none could."""
        rows = self._store.original(data_id).rows
        return rows[0].row if rows else 1

    def sha256(self, data_id: str) -> str:
        """What stands for the dataset's examples: see `Source.sha256`."""
        return self._store.original(data_id).source.sha256

    def delete(self, data_id: str) -> None:
        """Deletes a dataset, if it exists; runs have their own copy of their rows."""
        with suppress(BadInput):
            self._store.remove(data_id)
        shutil.rmtree(self._files_folder(data_id), ignore_errors=True)
        self._files.pop(data_id, None)

    # Checks

    def change_token(self, data_id: str) -> Hashable:
        """Differs whenever `state_soon` may return something new, whichever window caused it."""
        return self._imports.change_token(data_id) if data_id else ()

    def checked(self, data_id: str, model_id: str = "", lengths: LengthLimits = UNLIMITED) -> CheckedDataset:
        """The checked dataset for a model; waits until it is checked."""
        return self._imports.checked(data_id, self._models.target_model(model_id), lengths)

    def state(self, choice: Choice) -> DatasetState:
        """The selected dataset as the planned run uses it; waits until it is checked."""
        return dataset_state.dataset_state(self._for_run(choice))

    def state_soon(self, choice: Choice) -> DatasetState | None:
        """The same, or None when it takes longer than a moment; `progress` then reports the progress."""
        found = self._for_run_soon(choice, dataset_imports.PAGE_WAIT)
        return dataset_state.dataset_state(found) if found else None

    def is_ready(self, choice: Choice) -> bool:
        """Whether the selected dataset is known to be ready for training; reads nothing."""
        if not choice.data_id:
            return False
        with suppress(ApprenticeError):  # which Data shows
            found = self._imports.cached(choice.data_id, self._models.target_model(choice.model_id))
            return found is not None and not found.blocked
        return False

    def lengths(self, choice: Choice) -> LengthLimits:
        """The planned run's length limits; waits until the dataset is checked."""
        return LengthLimits.from_settings(self.settings(choice))

    def settings(self, choice: Choice) -> TrainSettings:
        """The planned run's settings: the person's own where valid, else the recommended ones. Waits until the
        dataset is checked."""
        trainer: Trainer = "dpo" if choice.settings.get("trainer") == "dpo" else "sft"
        recommended = self._advice.settings(choice.task, choice.data_id, choice.model_id, trainer).settings
        return apply_overrides(choice.settings, recommended).settings

    def _for_run(self, choice: Choice) -> CheckedDataset:
        found = self._for_run_soon(choice, None)
        assert found is not None  # without a limit it waits
        return found

    def _for_run_soon(self, choice: Choice, seconds: float | None) -> CheckedDataset | None:
        """The dataset as the planned run uses it; None when checking takes longer than `seconds`."""
        model = self._models.target_model(choice.model_id)
        whole = self._imports.check(choice.data_id, model, UNLIMITED, seconds)
        if whole is None or not whole.longest:
            return whole
        lengths = self.lengths(choice)
        if not whole.documents and whole.longest <= (lengths.max_length or whole.longest):
            return whole  # nothing is cut or divided
        return self._imports.check(choice.data_id, model, lengths, seconds)

    # Fixes

    def accept(self, data_id: str, kind: str, rows: Literal["all"] | list[int]) -> None:
        """Accepts the fix of this kind of problem."""
        self._store.accept(data_id, kind, rows)

    def refuse(self, data_id: str, kind: str, rows: Literal["all"] | list[int] = "all") -> None:
        """Leaves rows with this kind of problem as they are."""
        self._store.refuse(data_id, kind, rows)

    def undo(self, data_id: str, kind: str) -> None:
        """Takes back what was accepted or refused for a kind of problem."""
        self._store.undo(data_id, kind)

    def write_files(self, choice: Choice) -> DatasetFiles:
        """Writes the fixed examples and the list of changes into a folder that the page serves."""
        checked = self._for_run(choice)
        files = dataset_state.write_files(checked, self._files_folder(choice.data_id))
        self._files[choice.data_id] = checked.info, files
        return files

    def written_files(self, choice: Choice) -> DatasetFiles | None:
        """What `write_files` wrote, unless the fixes have changed since."""
        about, files = self._files.get(choice.data_id, (None, None))
        return files if files and about == self._store.info(choice.data_id) else None

    def _files_folder(self, data_id: str) -> Path:
        return child_path(self._exports, f"data-{data_id}")

    # Edits

    def example_to_edit(self, choice: Choice) -> EditableExample:
        """The selected example as fields. Raises BadInput when there is none, or it is too long for the page."""
        return edited_examples.editable(self._whole(choice), choice.row)

    def new_example(self, choice: Choice) -> EditableExample:
        """An empty example of the same kind as the others."""
        return edited_examples.new(self._store.original(choice.data_id))

    def save_example(self, choice: Choice, row: int, texts: dict[str, str]) -> None:
        """Replaces an example by one with these texts, by field. Raises BadInput, changing nothing."""
        example = edited_examples.edited(self._whole(choice), row, texts)
        self._editor.replace(choice.data_id, row, example)

    def add_example(self, data_id: str, texts: dict[str, str]) -> int:
        """Adds an example with these texts and returns its number. Raises BadInput, changing nothing."""
        return self._editor.add(data_id, edited_examples.added(self._store.original(data_id), texts))

    def delete_example(self, data_id: str, row: int) -> None:
        self._editor.delete(data_id, row)

    def nearest(self, data_id: str, row: int) -> int:
        """The number of the example itself, else of the next one, else of the last one that is left."""
        numbers = [one.row for one in self._store.original(data_id).rows]
        return next((number for number in numbers if number >= row), numbers[-1] if numbers else 1)

    def undo_edit(self, data_id: str) -> None:
        """Undoes the last edit."""
        self._editor.undo(data_id)

    def redo_edit(self, data_id: str) -> None:
        """Redoes the edit that was undone last."""
        self._editor.redo(data_id)

    def instruction(self, choice: Choice) -> Instruction:
        """The instruction that most examples carry. Waits until the dataset is checked."""
        found, tokenizer = self._whole(choice).instructions, self._models.tokenizer(choice.model_id)
        text = max(found, key=lambda one: found[one], default="")
        others = sum(count for one, count in found.items() if one not in ("", text))
        default = tokenizer.default_instruction if tokenizer else ""
        return Instruction(text, found[text] if text else 0, others, found.total(), default)

    def set_instruction(self, data_id: str, text: str) -> None:
        """Gives every example this instruction; "" removes it. Raises BadInput."""
        self._editor.set_instruction(data_id, text)

    def _whole(self, choice: Choice) -> CheckedDataset:
        return self.checked(choice.data_id, choice.model_id)

    # Validation file

    def set_validation(self, data_id: str, path: Path, name: str) -> None:
        """Validates on this file instead of a part of the examples. Raises BadInput when it is not suitable."""
        self._store.set_validation(data_id, path, name)

    def clear_validation(self, data_id: str) -> None:
        self._store.clear_validation(data_id)

    # Preview

    def preview(self, choice: Choice) -> Preview:
        """The selected example as the planned run uses it. Raises BadInput when it can't be shown."""
        checked, tokenizer = self._for_run(choice), self._models.tokenizer(choice.model_id)
        lengths = self.lengths(choice) if tokenizer else UNLIMITED
        why_not = "" if tokenizer else self._models.why_not_ready(choice.model_id)
        return preview.preview(checked, choice.row, tokenizer, lengths, why_not)

    def step(self, choice: Choice, direction: int) -> int:
        """The number of the next example (direction 1), the previous one (-1), or the nearest (0)."""
        return preview.step(self._for_run(choice), choice.row, direction)

    def find(self, choice: Choice, text: str, direction: int) -> Matches:
        """The next example (direction 1), or the previous one (-1), that contains `text`."""
        return preview.find(self._for_run(choice), text, choice.row, direction)
