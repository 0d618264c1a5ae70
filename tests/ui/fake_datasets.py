"""Invented datasets."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.datasets.hub import HubDataset
from backend.datasets.hub_splits import HubSplit
from backend.datasets.info import DatasetInfo, RowChoice
from backend.datasets.store import StoredDataset
from backend.errors import BadInput
from backend.models.hub import RemoteFile
from backend.records.lengths import LengthLimits
from tests.ui.fake_records import (
    ASKED,
    DATA,
    ORDER,
    dataset_state,
    preview,
)
from ui.records.data import (
    DatasetFiles,
    DatasetProgress,
    DatasetState,
    EditableExample,
    ExampleField,
    Instruction,
    Matches,
    Preview,
    Sample,
    Writing,
)
from ui.services.selection import Choice


class FakeDatasets:
    def __init__(self) -> None:
        self.accepted: dict[str, Any] = {}
        self.refused: dict[str, Any] = {}
        self.edits: list[str] = []  # their kinds
        self.undone: list[str] = []
        self.system = ""

    def samples(self) -> list[Sample]:
        orders = "Messy customer messages become the same tidy fields every time."
        support = "A telecom company's chat support that answers in one warm, brief voice."
        return [
            Sample("orders", "Orders into fields", orders, Path("orders.jsonl"), Path("orders.held_out.jsonl")),
            Sample("support", "A support voice", support, Path("support.jsonl"), Path("support.held_out.jsonl")),
        ]

    def import_file(self, path: Path, name: str, model_id: str = "") -> str:
        return DATA

    def import_files(self, paths: Sequence[Path], model_id: str = "") -> str:
        return DATA

    def import_text(self, text: str, model_id: str = "") -> str:
        return DATA

    def import_table(self, rows: list[list[str]], model_id: str = "") -> str:
        return DATA

    def read_again(self, data_id: str, options: dict[str, Any], model_id: str = "") -> None:
        pass

    def import_again(self, import_id: str, options: dict[str, Any], model_id: str = "") -> None:
        pass

    def progress(self, choice: Choice) -> DatasetProgress | None:
        return None

    def cancel_import(self, choice: Choice) -> None:
        pass

    def all(self) -> list[StoredDataset]:
        return [StoredDataset(DATA, "orders.jsonl", 48_000, 1_700_000_000.0)]

    def delete(self, data_id: str) -> None:
        pass

    def change_token(self, data_id: str) -> Hashable:
        return repr((self.accepted, self.refused, self.edits, self.system))

    def is_ready(self, choice: Choice) -> bool:
        return bool(choice.data_id)

    def state_soon(self, choice: Choice) -> DatasetState | None:
        return self.state(choice)

    def state(self, choice: Choice) -> DatasetState:
        chosen = {"accepted": dict(self.accepted), "refused": dict(self.refused)}
        found = dataset_state(DatasetInfo("orders.jsonl", **chosen, edits=[*self.edits], undone=[*self.undone]))
        source = replace(found.original.source, edits=tuple(self.edits))
        return replace(found, original=replace(found.original, source=source))

    def lengths(self, choice: Choice) -> LengthLimits:
        return LengthLimits(200)

    def write_files(self, choice: Choice) -> DatasetFiles:
        here = Path("/tmp/examples.jsonl")
        return DatasetFiles(here, here, 3)

    def written_files(self, choice: Choice) -> DatasetFiles | None:
        return None

    def preview(self, choice: Choice) -> Preview:
        return preview(choice.row)

    def step(self, choice: Choice, direction: int) -> int:
        return max(1, choice.row + direction)

    def find(self, choice: Choice, text: str, direction: int) -> Matches:
        return Matches(3, choice.row + direction, 1)


class FakeFixes:
    def __init__(self, datasets: FakeDatasets) -> None:
        self._of = datasets

    def accept(self, data_id: str, kind: str, rows: RowChoice) -> None:
        self._of.accepted[kind] = rows

    def refuse(self, data_id: str, kind: str, rows: RowChoice = "all") -> None:
        self._of.accepted.pop(kind, None)
        self._of.refused[kind] = rows

    def undo(self, data_id: str, kind: str) -> None:
        self._of.accepted.pop(kind, None)
        self._of.refused.pop(kind, None)


class FakeEdits:
    def __init__(self, datasets: FakeDatasets) -> None:
        self._of = datasets

    def editable(self, choice: Choice) -> EditableExample:
        fields = ExampleField("message-0", "Question", ASKED), ExampleField("message-1", "Answer", ORDER)
        return EditableExample(choice.row, fields)

    def new(self, choice: Choice) -> EditableExample:
        fields = ExampleField("message-0", "Question", ""), ExampleField("message-1", "Answer", "")
        return EditableExample(241, fields, is_new=True)

    def _edit(self, kind: str) -> None:
        self._of.edits.append(kind)
        self._of.undone.clear()

    def save(self, choice: Choice, row: int, texts: dict[str, str]) -> None:
        if not all(text.strip() for text in texts.values()):
            raise BadInput("This example can't be learned as it is.", "Message 2, an answer, is empty.")
        self._edit("replace")

    def add(self, data_id: str, texts: dict[str, str]) -> int:
        self.save(Choice(), 241, texts)
        self._of.edits[-1] = "add"
        return 241

    def delete(self, data_id: str, row: int) -> None:
        self._edit("delete")

    def undo(self, data_id: str) -> None:
        self._of.undone.append(self._of.edits.pop())

    def redo(self, data_id: str) -> None:
        self._of.edits.append(self._of.undone.pop())

    def nearest(self, data_id: str, row: int) -> int:
        return min(row, 240)

    def instruction(self, choice: Choice) -> Instruction:
        return Instruction(self._of.system, 240 if self._of.system else 0, 0, 240, "You are a helpful AI assistant.")

    def set_instruction(self, data_id: str, text: str) -> None:
        self._edit("instruction")
        self._of.system = text


class FakeValidationFiles:
    def set(self, data_id: str, path: Path, name: str) -> None:
        pass

    def clear(self, data_id: str) -> None:
        pass


class FakeHubData:
    def look_up(self, name: str) -> HubDataset:
        files = (RemoteFile("train.jsonl", 48_000, ""),)
        return HubDataset("shop/orders", "0" * 40, "cc-by-4.0", False, (HubSplit("train", files, 200),))

    def start(self, name: str, commit: str, split: str, rows: int, model_id: str = "") -> str:
        return DATA


class FakeWriting:
    def is_text(self, data_id: str) -> bool:
        return False

    def is_written(self, data_id: str) -> bool:
        return False

    def start(self, data_id: str) -> str:
        return DATA

    def at(self, data_id: str, number: int) -> Writing:
        return Writing(1, 2, "We bake at night.", [(1, "When do you bake?")], 1, 1)

    def save(self, data_id: str, number: int, question: str, answer: str) -> int:
        return 1
