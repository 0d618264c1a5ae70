"""Made-up but plausible records: a run, its curve, and reports about it."""

import math
import random
import time
from pathlib import Path
from typing import Any

from backend.files.json_file import read_json
from backend.records.evaluation import EvaluationReport
from backend.records.events import AwakeEvent, EvalEvent, Event, SampleEvent, StepEvent
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings
from backend.settings import PROJECT_ROOT
from jobs.records import Job, Progress, State
from ui.records.runs import Curve, RunInfo

RESULTS = PROJECT_ROOT / "tests" / "data" / "results"  # as jobs store them
ASKED = "hi, order 77120, 3 garden chairs, one cracked, refund please. Marta Quiroga"
ORDER = '{"intent": "refund", "order_id": "77120", "item": "garden chair", "quantity": 3, "name": "Marta Quiroga"}'
APOLOGY = "I'm sorry to hear that your chairs arrived damaged. Please contact the seller and ask for a refund."
DATA = "data-1"
INFO = RunInfo("run-a", "Orders to fields", "SmolLM2 135M", "orders.jsonl", 216)
SPEC = RunSpec(
    name=INFO.name,
    model=ModelRef(id="HuggingFaceTB/SmolLM2-135M-Instruct", path=Path("models/bundled")),
    data=DataRef(
        name=INFO.data_name, sha256="0" * 64, train_rows=216, validation_rows=24, train_tokens=31200,
        learned_tokens=12400, longest=212,
    ),
    settings=TrainSettings(),
)  # fmt: skip


def job(run_id: str, state: State, **changes: Any) -> Job:
    """A training run at step 74 of 81."""
    now = time.time()
    best = 27 if run_id == "run-new" else 72
    ended = (
        {"ended": now, "result": {"best_step": best}}
        if state in (State.COMPLETED, State.STOPPED)
        else {}
    )
    values: dict[str, Any] = {
        "id": run_id, "kind": "train", "name": "Orders to fields", "state": state, "attempt": 1,
        "created": now - 7200, "started": now - 240,
        "progress": Progress(phase="Training", done=74, total=81, seconds_left=80.0), **ended, **changes,
    }  # fmt: skip
    return Job(**values)


def events(steps: int, rate: float = 2e-4) -> list[Event]:
    """Two losses that fall together, and what it answered on the way."""
    noise = random.Random(1)
    fall = [1.72 * math.exp(-4 * step / steps) for step in range(steps + 1)]
    prompt = [{"role": "user", "content": ASKED}]
    answers = {
        0: APOLOGY,
        10: APOLOGY,
        27: ORDER.replace("refund", "return"),
        54: ORDER,
    }
    return [
        AwakeEvent(True),
        *(
            StepEvent(
                i, fall[i] + 0.1 + noise.gauss(0, 0.035), epoch=i / 27, learning_rate=rate * (1 - i / 81),
                tokens_per_second=412, memory_mib=1740,
            )
            for i in range(1, steps + 1)
        ),
        *(EvalEvent(i, fall[i] + 0.16) for i in range(0, steps + 1, 9)),
        *(SampleEvent(i, prompt, answer, ORDER) for i, answer in answers.items() if i <= steps),
    ]  # fmt: skip


def curve(steps: int) -> Curve:
    """A run's curve after so many steps."""
    drawn = Curve(position=steps)
    for event in events(steps):
        drawn.add(event)
    return drawn


def report(baselines: bool = False, **changes: Any) -> EvaluationReport:
    """`report_json` with `changes`, read back."""
    return EvaluationReport.model_validate({**report_json(baselines), **changes})


def report_json(baselines: bool = False) -> dict[str, Any]:
    """An evaluation on eight orders, of which the trained model has six right and the
    base none.
    """
    return read_json(
        RESULTS / ("evaluation_with_prompts.json" if baselines else "evaluation.json")
    )


def trial_report() -> dict[str, Any]:
    """Prompts tried on the same eight orders: examples in the prompt get six right."""
    return read_json(RESULTS / "trial.json")


def against_parent(verdict: str) -> dict[str, Any]:
    """What the report on a second version has besides: seven questions that neither
    version has learned.
    """
    return {"against_parent": verdict, "parent": read_json(RESULTS / "parent.json")}
