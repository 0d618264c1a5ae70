"""The app of a made-up workspace, in which every text carries PAYLOAD."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from backend.errors import ApprenticeError, BadInput, ChatFailed
from backend.records.evaluation import EvaluationReport
from backend.records.events import NoteEvent
from jobs.records import Failure, State
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import add_events, add_run
from ui.records.data import DatasetProgress
from ui.services.results.chat import Answer, Loading
from ui.services.selection import Choice

RUN = "window.injected='yes'"
PAYLOAD = (
    f'"><img src=x onerror="{RUN}"><svg onload="{RUN}"></svg><script>{RUN}</script>'
    f'<a href="javascript:{RUN}">x</a> [x](javascript:{RUN}) ![x](x)'
)
# Values that the program chooses, and that it compares with its own.
CODES = {
    "id", "kind", "state", "severity", "to", "badge", "light", "retry", "device", "source", "storage", "path",
    "settings", "result", "accepted", "refused", "flavor", "sha256", "date", "trainer", "method", "precision",
}  # fmt: skip
FAILS = "Where does it break off?"  # a question whose answer fails


def injected(value: Any) -> Any:
    """`value` with PAYLOAD at the end of each of its texts."""
    if isinstance(value, str):
        return value + PAYLOAD if value and type(value) is str else value
    if isinstance(value, ApprenticeError):
        return type(value)(
            value.what + PAYLOAD, value.why + PAYLOAD, value.next + PAYLOAD
        )
    if is_dataclass(value) and not isinstance(value, type):
        texts = {
            one.name: getattr(value, one.name) for one in fields(value) if one.init
        }
        return replace(value, **_texts(texts))
    if isinstance(value, BaseModel):
        return value.model_copy(update=_texts(dict(value)))
    if isinstance(value, Mapping):
        return {key: injected(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(**_texts(value._asdict()))
    return type(value)(map(injected, value)) if type(value) in (list, tuple) else value


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    codes = (
        CODES | {"name"} if values.get("kind") == "export" else CODES
    )  # an export's job is named by its format
    return {
        name: part if name in codes else injected(part) for name, part in values.items()
    }


class Injecting:
    """A service whose answers carry PAYLOAD in each text. A plain `str` is an id or a
    state, and stays.
    """

    def __init__(self, service: Any) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._service, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*given: Any, **named: Any) -> Any:
            answer = found(*given, **named)
            if isinstance(answer, Iterator):
                return (
                    part._replace(text=injected(part.text))
                    if isinstance(part, Answer)
                    else injected(part)
                    for part in answer
                )
            return (
                answer
                if isinstance(answer, str) and name != "why_not_ready"
                else injected(answer)
            )

        return call


class InjectedApp(MadeUpApp):
    """The second look at the examples fails, a run has failed, and so does the answer
    to FAILS.
    """

    def __init__(self, template: Path, root: Path) -> None:
        super().__init__(template, root)
        failure = Failure(what="It failed.", why="It is broken.", next="Try again.")
        add_run(self.workspace, "run-d", State.FAILED, failure=failure)
        add_events(
            self.runs.folder("run-d"),
            [NoteEvent("It goes on.", "With less memory.", "Wait.")],
        )
        answers, save_named = self.results.answers, self.edits.save

        def progress(choice: Choice) -> DatasetProgress | None:
            unclear = BadInput(PAYLOAD, PAYLOAD, PAYLOAD)
            return (
                DatasetProgress("orders.jsonl", PAYLOAD, 0.0, error=unclear)
                if choice.data_id
                else None
            )

        def answer(*given: Any, **sampling: Any) -> Iterator[Loading | Answer]:
            if FAILS in repr(given):
                raise ChatFailed(PAYLOAD, PAYLOAD, PAYLOAD)
            return answers(*given, **sampling)

        def save(choice: Choice, row: int, texts: dict[str, str]) -> None:
            save_named(
                choice,
                row,
                {name.removesuffix(PAYLOAD): text for name, text in texts.items()},
            )

        vars(self.datasets)["progress"] = progress
        vars(self.edits)["save"] = save
        vars(self.versions)["shorter_length"] = lambda run_id: 64
        vars(self.results)["answers"] = answer
        latest = self.evaluations.latest_report
        vars(self.evaluations)["latest_report"] = lambda run_id: with_payloads(
            latest(run_id)
        )
        for name in (
            "datasets", "edits", "planning", "runs", "versions", "results", "chat", "models", "advice", "corrections",
        ):  # fmt: skip
            setattr(self, name, Injecting(getattr(self, name)))


def with_payloads(found: EvaluationReport | None) -> EvaluationReport | None:
    """A report with payloads, also within the fields of its answers; its codes stay."""
    if found is None:
        return None
    report = found.to_json()
    for answer in report["answers"]:
        answer["question"] += PAYLOAD
        answer["expected"] = json.dumps({"intent": PAYLOAD, PAYLOAD: PAYLOAD})
        answer["tuned"] = json.dumps(
            {"intent": PAYLOAD + "x", f"{PAYLOAD}x": [PAYLOAD]}
        )
        answer["base"] += PAYLOAD
    report["systems"]["prompt"]["instruction"] += PAYLOAD
    return EvaluationReport.model_validate(
        {**report, "engine": PAYLOAD, "next": PAYLOAD}
    )
