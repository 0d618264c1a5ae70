"""The page over made-up records in which every text carries PAYLOAD: PORT is its argument."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any

from pydantic import BaseModel

from backend.datasets.convert.mapping import NoExamples
from backend.errors import ApprenticeError, ChatFailed
from backend.records.evaluation import EvaluationReport
from backend.records.events import NoteEvent
from jobs.records import Failure, State
from tests.ui.fake_datasets import FakeDatasets, FakeEdits, FakeFixes
from tests.ui.fake_evaluations import FakeBlindTests, FakeEvaluations
from tests.ui.fake_page import serve
from tests.ui.fake_records import job
from tests.ui.fake_results import FakeChat, FakeCorrections, FakeResults
from tests.ui.fake_runs import FakePlanning, FakeRetries, FakeRuns
from tests.ui.fake_services import FakeApp
from ui.records.data import DatasetProgress
from ui.records.runs import Curve, Shortening
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
    "settings", "result", "accepted", "refused", "flavor", "sha256", "date",
}  # fmt: skip
FAILS = "Where does it break off?"  # a question whose answer fails


def injected(value: Any) -> Any:
    """`value` with PAYLOAD at the end of each of its texts."""
    if isinstance(value, str):
        return value + PAYLOAD if value and type(value) is str else value
    if isinstance(value, ApprenticeError):
        return type(value)(value.what + PAYLOAD, value.why + PAYLOAD, value.next + PAYLOAD)
    if is_dataclass(value) and not isinstance(value, type):
        texts = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        return replace(value, **_texts(texts))
    if isinstance(value, BaseModel):
        return value.model_copy(update=_texts(dict(value)))
    if isinstance(value, Mapping):
        return {key: injected(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(**_texts(value._asdict()))
    return type(value)(map(injected, value)) if type(value) in (list, tuple) else value


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    return {name: part if name in CODES else injected(part) for name, part in values.items()}


class Injecting:
    """A service whose answers carry PAYLOAD in each text. A plain `str` is an id or a state, and stays."""

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
                    part._replace(text=injected(part.text)) if isinstance(part, Answer) else injected(part)
                    for part in answer
                )
            return answer if isinstance(answer, str) and name != "why_not_ready" else injected(answer)

        return call


class Datasets(FakeDatasets):
    def progress(self, choice: Choice) -> DatasetProgress | None:
        """The second look at the examples failed."""
        unclear = NoExamples(PAYLOAD, PAYLOAD, PAYLOAD, columns=(PAYLOAD, "answer"))
        return DatasetProgress("orders.jsonl", PAYLOAD, 0.0, error=unclear) if choice.data_id else None


class Runs(FakeRuns):
    def __init__(self) -> None:
        super().__init__()
        failure = Failure(what="It failed.", why="It is broken.", next="Try again.")
        self.known["run-d"] = job("run-d", State.FAILED, failure=failure)

    def curve(self, run_id: str) -> Curve:
        curve = super().curve(run_id)
        curve.notes.append(NoteEvent("It goes on.", "With less memory.", "Wait."))
        return curve


class Retries(FakeRetries):
    def shortening(self, run_id: str) -> Shortening | None:
        return Shortening(64, 216, 3, 2, 1)


class Results(FakeResults):
    def answers(self, *given: Any, **sampling: Any) -> Iterator[Loading | Answer]:
        if FAILS in repr(given):
            raise ChatFailed(PAYLOAD, PAYLOAD, PAYLOAD)
        return super().answers(*given, **sampling)


class Evaluations(FakeEvaluations):
    """Answers with payloads, also within their fields; the codes of the report stay."""

    def latest_report(self, run_id: str) -> EvaluationReport | None:
        evaluated = super().latest_report(run_id)
        if evaluated is None:
            return None
        report = evaluated.to_json()
        for answer in report["answers"]:
            answer["question"] += PAYLOAD
            answer["expected"] = json.dumps({"intent": PAYLOAD, PAYLOAD: PAYLOAD})
            answer["tuned"] = json.dumps({"intent": PAYLOAD + "x", f"{PAYLOAD}x": [PAYLOAD]})
            answer["base"] += PAYLOAD
        report["systems"]["prompt"]["instruction"] += PAYLOAD
        return EvaluationReport.model_validate({**report, "engine": PAYLOAD, "next": PAYLOAD})


class InjectedApp(FakeApp):
    def __init__(self) -> None:
        super().__init__()
        datasets = Datasets()
        runs = Runs()
        self.datasets: Any = Injecting(datasets)
        self.fixes = FakeFixes(datasets)
        self.edits: Any = Injecting(FakeEdits(datasets))
        self.planning: Any = Injecting(FakePlanning(runs, datasets))
        self.runs: Any = Injecting(runs)
        self.retries: Any = Injecting(Retries(runs))
        results = Results(runs)
        self.results: Any = Injecting(results)
        self.chat: Any = Injecting(FakeChat(results))
        self.models: Any = Injecting(self.models)
        self.advice: Any = Injecting(self.advice)
        self.evaluations: Any = Evaluations(runs)
        self.corrections: Any = Injecting(FakeCorrections(runs))
        self.blind_tests: Any = FakeBlindTests(self.evaluations)


if __name__ == "__main__":
    serve(InjectedApp(), int(sys.argv[1]))
