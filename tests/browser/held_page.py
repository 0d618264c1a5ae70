"""The page over made-up records, with slow answers that wait while a file is there: PORT and FILE are its arguments.
So a test can do what a quick person does before they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backend.advice.recommend import Recommendation
from backend.errors import ChatFailed
from backend.records.specs import TrainSettings
from tests.ui.fake_datasets import FakeDatasets
from tests.ui.fake_models import FakeAdvice
from tests.ui.fake_page import serve
from tests.ui.fake_results import FakeChat, FakeResults
from tests.ui.fake_runs import FakePlanning, FakeRuns
from tests.ui.fake_services import FakeApp
from ui.records.runs import Plan, UnseenQuestion
from ui.services.results.chat import Answer, Loading
from ui.services.selection import Choice

BREAKS_OFF = "Where does it break off?"  # a question whose answer fails after its first words
RECOMMENDED = TrainSettings(lora_rank=32, lora_alpha=64, seed=7)  # other numbers than those that the page begins with


class HeldAdvice(FakeAdvice):
    def recommendation(self, task: str = "", data_id: str = "", model_id: str = "") -> Recommendation:
        return super().recommendation(task, data_id, model_id).model_copy(update={"settings": RECOMMENDED})


class HeldPlanning(FakePlanning):
    def __init__(self, runs: FakeRuns, datasets: FakeDatasets, wait: Callable[[], None]) -> None:
        super().__init__(runs, datasets)
        self._wait = wait

    def plan(self, *planned: Any) -> Plan:
        self._wait()
        return super().plan(*planned)

    def start(self, data_id: str, model_id: str, settings: TrainSettings, name: str = "", **more: Any) -> str:
        return super().start(data_id, model_id, settings, f"A model of rank {settings.lora_rank}", **more)


class HeldResults(FakeResults):
    def __init__(self, runs: FakeRuns, wait: Callable[[], None]) -> None:
        super().__init__(runs)
        self._wait = wait

    def unseen_questions(self, run_id: str) -> list[UnseenQuestion]:
        self._wait()
        return super().unseen_questions(run_id)

    def answers(self, run_id: str, conversations: dict[str, Any], **sampling: Any) -> Iterator[Loading | Answer]:
        for part in super().answers(run_id, conversations, **sampling):
            yield part
            if isinstance(part, Answer) and BREAKS_OFF in repr(conversations):
                raise ChatFailed("The model ended while it answered.", "", "Ask again.")
            self._wait()


def opening(file: Path) -> Path:
    """The file that holds back only the opening of a run."""
    return file.with_suffix(".opening")


def wait_while(file: Path) -> None:
    """Returns once the file is gone."""
    while file.exists():
        time.sleep(0.02)


class HeldApp(FakeApp):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.advice = HeldAdvice(self.models)
        self.planning = HeldPlanning(self.runs, self.datasets, self._wait)
        self.results = HeldResults(self.runs, self._wait)
        self.chat = FakeChat(self.results)

    def _wait(self) -> None:
        wait_while(self.file)

    def with_run(self, choice: Choice, run_id: str) -> Choice:
        wait_while(opening(self.file))
        return super().with_run(choice, run_id)


if __name__ == "__main__":
    serve(HeldApp(Path(sys.argv[2])), int(sys.argv[1]))
