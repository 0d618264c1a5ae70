"""The examples: brought, read, mended, looked at, taken away.

A part of `ui.services.app.Services`, whose other parts it calls.
"""

from __future__ import annotations

import shutil
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from backend.datasets.dataset import CheckedDataset
from backend.datasets.store import StoredDataset
from backend.errors import ApprenticeError, BadInput
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.specs import Trainer
from backend.settings import child_path
from ui.records import (
    DataFiles,
    DataState,
    Hits,
    Preview,
    Reading,
    Sample,
)
from ui.services import imports as dataset_imports
from ui.services import preview, training_plan
from ui.services import samples as sample_datasets
from ui.services.context import Parts
from ui.services.overrides import typed
from ui.services.selection import Choice


class DataServices(Parts):
    """The data sets that a person brought."""

    def samples(self) -> list[Sample]:
        return list(sample_datasets.SAMPLES)

    def add_data(self, path: Path, name: str) -> str:
        """Reads a file and keeps it; waits until that is done."""
        return self.dataset_store.add(path, name)

    def bring(self, path: Path, name: str, model_id: str = "") -> str:
        """Begins to read a file in the background and gives the id that its examples will have; see `reading`."""
        return self._imports.file(path, name, self.reader(model_id))

    def import_text(self, text: str, model_id: str = "") -> str:
        return self._imports.text(text, "Pasted text", self.reader(model_id))

    def import_table(self, rows: list[list[str]], model_id: str = "") -> str:
        return self._imports.text(sample_datasets.table_as_lines(rows), "Typed examples", self.reader(model_id))

    def read_again(self, data_id: str, how: dict[str, Any], model_id: str = "") -> None:
        """Begins to read a data set as `how` says (fields of ReadOptions; {}: as found)."""
        self._imports.again(data_id, how, self.reader(model_id))

    def import_again(self, reading_id: str, how: dict[str, Any], model_id: str = "") -> None:
        """Begins once more to bring what could not be read, now as `how` says."""
        self._imports.once_more(reading_id, how, self.reader(model_id))

    def reading(self, choice: Choice) -> Reading | None:
        """How far the examples are that are being read or looked at now, or why they could not be read."""
        if choice.reading_id:
            return self._imports.reading(choice.reading_id)
        return self._imports.looking(choice.data_id)

    def data_mark(self, data_id: str) -> Hashable:
        """What is another whenever `data_soon` may have something new to say, in whichever window it was done."""
        return self._imports.mark(data_id) if data_id else ()

    def cancel_reading(self, choice: Choice) -> None:
        self._imports.cancel(choice.reading_id)

    def data_sets(self) -> list[StoredDataset]:
        """The data sets that were brought, newest first."""
        return self.dataset_store.all()

    def delete_data(self, data_id: str) -> None:
        """Deletes a data set, if it is still here; runs keep the rows that they practise on."""
        with suppress(BadInput):
            self.dataset_store.remove(data_id)
        shutil.rmtree(self._data_files(data_id), ignore_errors=True)
        self._files.pop(data_id, None)

    def checked(self, data_id: str, model_id: str = "", lengths: LengthLimits = UNLIMITED) -> CheckedDataset:
        found = self._imports.look(data_id, self.reader(model_id), lengths)
        assert found is not None  # it was waited for
        return found

    def lengths(self, choice: Choice) -> LengthLimits:
        """How much the planned run gives the model of a row: as set by hand where that can be taken, else as is
        recommended. Waits until the examples are checked."""
        trainer: Trainer = "dpo" if choice.settings.get("trainer") == "dpo" else "sft"
        recommended = self.tailored(choice.task, choice.data_id, choice.model_id, trainer).settings
        return LengthLimits.from_settings(typed(choice.settings, recommended).settings)

    def _for_run(self, choice: Choice, seconds: float | None = None) -> CheckedDataset | None:
        """The examples as the planned run takes them; None when finding that out takes longer than `seconds`."""
        model = self.reader(choice.model_id)
        whole = self._imports.look(choice.data_id, model, UNLIMITED, seconds)
        if whole is None or not whole.longest:
            return whole
        lengths = self.lengths(choice)
        if not whole.documents and whole.longest <= (lengths.max_length or whole.longest):
            return whole  # nothing is cut or divided
        return self._imports.look(choice.data_id, model, lengths, seconds)

    def _waited_for(self, choice: Choice) -> CheckedDataset:
        found = self._for_run(choice)
        assert found is not None  # it was waited for
        return found

    def data(self, choice: Choice) -> DataState:
        """The chosen examples as they stand for the planned run; waits until they are checked."""
        return training_plan.data_state(self._waited_for(choice))

    def data_soon(self, choice: Choice) -> DataState | None:
        """The same, or None when it takes longer than a moment; `reading` then says how far it is."""
        found = self._for_run(choice, dataset_imports.SOON)
        return training_plan.data_state(found) if found else None

    def data_ready(self, choice: Choice) -> bool:
        """Whether the chosen examples can be trained on, as far as it is known by now: nothing is read for it."""
        with suppress(ApprenticeError):  # which Data tells
            found = self._imports.held(choice.data_id, self.reader(choice.model_id)) if choice.data_id else None
            return found is not None and not found.blocked
        return False

    def accept(self, data_id: str, kind: str, rows: Literal["all"] | list[int]) -> None:
        self.dataset_store.accept(data_id, kind, rows)

    def refuse(self, data_id: str, kind: str, rows: Literal["all"] | list[int] = "all") -> None:
        """Leaves rows with this kind of problem as they are."""
        self.dataset_store.refuse(data_id, kind, rows)

    def undo(self, data_id: str, kind: str) -> None:
        """Takes back what was accepted or refused for a kind of problem."""
        self.dataset_store.undo(data_id, kind)

    def data_files(self, choice: Choice) -> DataFiles:
        """Writes the mended examples and the list of changes to where the page may serve them from."""
        checked = self._waited_for(choice)
        files = training_plan.data_files(checked, self._data_files(choice.data_id))
        self._files[choice.data_id] = checked.info, files
        return files

    def made_files(self, choice: Choice) -> DataFiles | None:
        """What `data_files` wrote, while nothing else was said of the examples."""
        info, files = self._files.get(choice.data_id, (None, None))
        return files if files and info == self.dataset_store.info(choice.data_id) else None

    def _data_files(self, data_id: str) -> Path:
        return child_path(self.workspace.exports, f"data-{data_id}")

    def set_validation(self, data_id: str, path: Path, name: str) -> None:
        """Tests with this file instead of a part of the examples. Raises BadInput when it can't serve as one."""
        self.dataset_store.set_validation(data_id, path, name)

    def clear_validation(self, data_id: str) -> None:
        self.dataset_store.clear_validation(data_id)

    def preview(self, choice: Choice) -> Preview:
        """The chosen example as the planned run takes it. Raises BadInput when it can't be shown."""
        checked, tokenizer = self._waited_for(choice), self.tokenizer(choice.model_id)
        lengths = self.lengths(choice) if tokenizer else UNLIMITED
        return preview.preview(checked, choice.row, tokenizer, lengths, lambda: self.not_ready(choice.model_id))

    def step(self, choice: Choice, way: int) -> int:
        """The number of the next example (way 1), or of the one before (-1); 0: the nearest."""
        return preview.step(self._waited_for(choice), choice.row, way)

    def find(self, choice: Choice, text: str, way: int) -> Hits:
        """The next example (way 1), or the one before (-1), that holds `text`."""
        return preview.find(self._waited_for(choice), text, choice.row, way)
