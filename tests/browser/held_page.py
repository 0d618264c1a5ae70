"""The app of a made-up workspace, with slow answers that wait while a file is there. So
a test can do what a quick person does before they come.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backend.advice.settings import ChosenSettings
from backend.errors import ChatFailed
from backend.records.specs import TrainSettings
from tests.ui.made_up_app import MadeUpApp
from ui.services.results.chat import Answer, Loading
from ui.services.selection import Choice

BREAKS_OFF = (
    "Where does it break off?"  # a question whose answer fails after its first words
)
RECOMMENDED = TrainSettings(
    lora_rank=32, lora_alpha=64, seed=7
)  # other numbers than those that the page begins with


def opening(file: Path) -> Path:
    """The file that holds back only the opening of a run."""
    return file.with_suffix(".opening")


def wait_while(file: Path) -> None:
    """Returns once the file is gone."""
    while file.exists():
        time.sleep(0.02)


class HeldApp(MadeUpApp):
    def __init__(self, file: Path, template: Path, root: Path) -> None:
        super().__init__(template, root)
        self.file = file
        choose, start, answers = (
            self.advice.settings_for,
            self.planning.start,
            self.results.answers,
        )

        def settings(*given: Any) -> ChosenSettings:
            return choose(*given).model_copy(update={"settings": RECOMMENDED})

        def begin(
            data_id: str,
            model_id: str,
            settings: TrainSettings,
            name: str = "",
            **more: Any,
        ) -> str:
            return start(
                data_id,
                model_id,
                settings,
                f"A model of rank {settings.lora_rank}",
                **more,
            )

        def answer(
            run_id: str, conversations: dict[str, Any], **sampling: Any
        ) -> Iterator[Loading | Answer]:
            for part in answers(run_id, conversations, **sampling):
                yield part
                if isinstance(part, Answer) and BREAKS_OFF in repr(conversations):
                    raise ChatFailed(
                        "The model ended while it answered.", "", "Ask again."
                    )
                wait_while(self.file)

        held: dict[Any, dict[str, Callable[..., Any]]] = {
            self.advice: {"settings_for": settings},
            self.planning: {"plan": self._held(self.planning.plan), "start": begin},
            self.results: {
                "unseen_questions": self._held(self.results.unseen_questions),
                "answers": answer,
            },
        }
        for service, methods in held.items():
            vars(service).update(methods)

    def _held(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def held(*given: Any) -> Any:
            wait_while(self.file)
            return method(*given)

        return held

    def with_run(self, choice: Choice, run_id: str) -> Choice:
        wait_while(opening(self.file))
        return super().with_run(choice, run_id)
