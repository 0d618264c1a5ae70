"""The page over made-up records whose names are long and have no spaces: PORT is its argument."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from backend.datasets.convert.mapping import NoExamples
from backend.datasets.store import StoredDataset
from backend.records.specs import TrainSettings
from tests.ui.fake_datasets import FakeDatasets, FakeEdits, FakeFixes
from tests.ui.fake_page import serve
from tests.ui.fake_records import DATA
from tests.ui.fake_results import FakeChat, FakeResults
from tests.ui.fake_runs import FakePlanning, FakeRuns
from tests.ui.fake_services import FakeApp
from ui.records.data import DatasetFiles, DatasetProgress, DatasetState
from ui.records.runs import Plan, RunDetails, RunInfo
from ui.services.selection import Choice

FILE = "customer_support_conversations_november_2026_final_cleaned_v2.csv"
MODEL = "customer-support-assistant-for-the-november-2026-final-cleaned-files"
COLUMNS = ("the_question_of_the_customer_as_it_came_in_by_mail_or_telephone", "the_answer_of_our_support_team_" * 2)


class LongDatasets(FakeDatasets):
    def all(self) -> list[StoredDataset]:
        return [StoredDataset(DATA, FILE, 48_000, 1.7e9), StoredDataset("data-2", FILE, 48_000, 1.7e9)]

    def progress(self, choice: Choice) -> DatasetProgress | None:
        unclear = NoExamples("Nobody can tell which column is what.", next="Choose the columns.", columns=COLUMNS)
        return DatasetProgress(FILE, "", 0.0, error=unclear) if choice.data_id else None

    def state(self, choice: Choice) -> DatasetState:
        data = super().state(choice)
        mapping = dict(zip(("question", "answer"), COLUMNS, strict=True))
        source = replace(
            data.original.source, name=FILE, format="csv", shape="question_answer", mapping=mapping, ignored=COLUMNS
        )
        originals = {number: dict.fromkeys(COLUMNS, FILE) for number in data.original.originals}
        return replace(data, name=FILE, original=replace(data.original, source=source, originals=originals))

    def written_files(self, choice: Choice) -> DatasetFiles:
        return DatasetFiles(Path(FILE), Path(FILE), 3)


class LongPlanning(FakePlanning):
    def plan(self, data_id: str, model_id: str, settings: TrainSettings) -> Plan:
        return replace(super().plan(data_id, model_id, settings), model_name=MODEL, data_name=FILE)


class LongRuns(FakeRuns):
    def details(self, run_id: str) -> RunDetails:
        """Each of its own model and file, so that the names stand side by side."""
        details = super().details(run_id)
        model = details.spec.model.model_copy(update={"id": f"{MODEL}-{run_id}"})
        data = details.spec.data.model_copy(update={"name": f"{run_id}_{FILE}"})
        return replace(details, spec=details.spec.model_copy(update={"name": MODEL, "model": model, "data": data}))

    def info(self, run_id: str) -> RunInfo:
        return RunInfo(run_id, MODEL, MODEL, FILE, 216)


class LongResults(FakeResults):
    def start_export(self, run_id: str, to: str, base: str = "original") -> str:
        made = super().start_export(run_id, to, base)
        first = self.exported[run_id][0]
        self.exported[run_id][0] = replace(first, files=tuple(replace(one, name=FILE) for one in first.files))
        return made


class LongApp(FakeApp):
    def __init__(self) -> None:
        super().__init__()
        self.datasets = LongDatasets()
        self.fixes, self.edits = FakeFixes(self.datasets), FakeEdits(self.datasets)
        self.runs = LongRuns()
        self.planning = LongPlanning(self.runs, self.datasets)
        self.results = LongResults(self.runs)
        self.chat = FakeChat(self.results)


if __name__ == "__main__":
    serve(LongApp(), int(sys.argv[1]))
