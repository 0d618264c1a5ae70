"""The page over made-up records, with slow answers that wait while a file is there: PORT and FILE are its arguments.
So a test can do what a quick person does before they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.advice.recommend import Recommendation
from backend.errors import ChatFailed
from backend.records.specs import TrainSettings
from tests.ui.fake_page import serve
from tests.ui.fake_services import FakeServices
from ui.records import HeldOut, Plan
from ui.services.selection import Choice

BREAKS_OFF = "Where does it break off?"  # a question whose answer fails after its first words
RECOMMENDED = TrainSettings(lora_rank=32, lora_alpha=64, seed=7)  # other numbers than those that the page begins with


class HeldServices(FakeServices):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def _wait(self) -> None:
        while self.file.exists():
            time.sleep(0.02)

    def recommendation(self, *asked: Any, **named: Any) -> Recommendation:
        return super().recommendation(*asked, **named).model_copy(update={"settings": RECOMMENDED})

    def plan(self, *asked: Any) -> Plan:
        self._wait()
        return super().plan(*asked)

    def start_training(self, data_id: str, model_id: str, settings: TrainSettings, name: str = "") -> str:
        return super().start_training(data_id, model_id, settings, f"A model of rank {settings.lora_rank}")

    def opened(self, choice: Choice, run_id: str) -> Choice:
        time.sleep(0.5)
        return super().opened(choice, run_id)

    def held_out(self, run_id: str) -> list[HeldOut]:
        self._wait()
        return super().held_out(run_id)

    def ask(self, *asked: Any, **sampling: Any) -> Iterator[tuple[str, str, bool]]:
        for part in super().ask(*asked, **sampling):
            yield part
            if BREAKS_OFF in repr(asked):
                raise ChatFailed("The model ended while it answered.", "", "Ask again.")
            self._wait()


if __name__ == "__main__":
    serve(HeldServices(Path(sys.argv[2])), int(sys.argv[1]))
