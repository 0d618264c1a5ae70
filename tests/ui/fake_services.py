"""An app whose services return invented records, so that the page can be drawn and used without any model."""

from __future__ import annotations

from backend.hosting.policy import HOME
from tests.ui.fake_datasets import FakeDatasets, FakeEdits, FakeFixes, FakeHubData, FakeValidationFiles, FakeWriting
from tests.ui.fake_evaluations import FakeBlindTests, FakeEvaluations, FakePromptTrials
from tests.ui.fake_models import FakeAdvice, FakeDownloads, FakeHubPushes, FakeModelImports, FakeModels
from tests.ui.fake_records import DATA
from tests.ui.fake_results import FakeChat, FakeCorrections, FakeDocuments, FakeEndpoints, FakeResults
from tests.ui.fake_runs import FakePlanning, FakeRetries, FakeRuns, FakeVersions
from ui.services.selection import Choice


class FakeApp:
    """What ui/services/app.py offers to the page."""

    policy = HOME

    def __init__(self) -> None:
        self.models = FakeModels()
        self.downloads = FakeDownloads()
        self.advice = FakeAdvice(self.models)
        self.datasets = FakeDatasets()
        self.fixes, self.validation_files = FakeFixes(self.datasets), FakeValidationFiles()
        self.edits = FakeEdits(self.datasets)
        self.writing = FakeWriting()
        self.hub_data = FakeHubData()
        self.runs = FakeRuns()
        self.planning = FakePlanning(self.runs, self.datasets)
        self.retries = FakeRetries(self.runs)
        self.versions = FakeVersions(self.runs)
        self.results = FakeResults(self.runs)
        self.chat = FakeChat(self.results)
        self.documents = FakeDocuments(self.results)
        self.prompt_trials = FakePromptTrials()
        self.evaluations = FakeEvaluations(self.runs)
        self.corrections = FakeCorrections(self.runs)
        self.blind_tests = FakeBlindTests(self.evaluations)
        self.hub_pushes = FakeHubPushes()
        self.model_imports = FakeModelImports()
        self.endpoints = FakeEndpoints(self.runs)

    def remove_model(self, model_id: str) -> float:
        return 0.0

    def delete_run(self, run_id: str) -> None:
        del self.runs.known[run_id]

    def validated(self, choice: Choice) -> Choice:
        if choice.import_id:
            choice = choice.replace(data_id=choice.import_id, import_id="")
        return choice if choice.run_id in self.runs.known else choice.replace(run_id="")

    def for_training(self, choice: Choice) -> Choice:
        return choice

    def for_next_version(self, choice: Choice, run_id: str) -> Choice:
        return choice.replace(run_id="", parent=self.runs.job(run_id).id, from_base=False, data_id=DATA)

    def with_run(self, choice: Choice, run_id: str) -> Choice:
        return choice.replace(run_id=self.runs.job(run_id).id, data_id=DATA)
