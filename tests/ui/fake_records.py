"""Made-up but plausible records: a run, its curve, and reports about it."""

import math
import random
import time
from pathlib import Path
from typing import Any

from backend.records.evaluation import EvaluationReport
from backend.records.events import AwakeEvent, EvalEvent, Event, SampleEvent, StepEvent
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings
from jobs.records import Job, Progress, State
from ui.records.runs import Curve, RunInfo

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
    ended = {"ended": now, "result": {"best_step": best}} if state in (State.COMPLETED, State.STOPPED) else {}
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
    answers = {0: APOLOGY, 10: APOLOGY, 27: ORDER.replace("refund", "return"), 54: ORDER}
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
    """An evaluation on eight orders, of which the trained model has six right and the base none."""
    wrong = ORDER.replace('"quantity": 3', '"quantity": 1').replace(', "name": "Marta Quiroga"', "")
    tuned = [wrong, "{}", *[ORDER] * 6]
    prompted = {"prompt": APOLOGY, "few_shot": wrong} if baselines else {}
    zero = {"score": 0.0, "interval": [0.0, 0.32], "ended": 1.0, "loops": 0.0, "words": 18.0}
    answers = [
        {
            "question": ASKED.replace("77120", f"7712{number}"),
            "expected": ORDER,
            "base": APOLOGY,
            "tuned": answer,
            **prompted,
            "scores": {"base": 0.0, "tuned": float(answer == ORDER), **dict.fromkeys(prompted, 0.0)},
            "cluster": number,
        }
        for number, answer in enumerate(tuned)
    ]
    systems = {
        "base": zero,
        "tuned": {**zero, "score": 0.75, "interval": [0.41, 0.93]},
        **({"prompt": {**zero, "instruction": "Answer with JSON only."}, "few_shot": zero} if baselines else {}),
    }
    return {
        "main_measure": "json",
        "items": 8,
        "clusters": 8,
        "least_provable_gain": 0.75,
        "engine": "transformers",
        "systems": systems,
        "verdict": "better",
        "against_prompt": "better" if baselines else "not_measured",
        "next": "Most mistakes are in “quantity” (75% right): add examples that show it.",
        "next_kind": "add_examples",
        "findings": [],
        "general": {
            "asked": 60,
            "base_right": 20,
            "kept": 19,
            "tuned_right": 20,
            "lost": ["What do bees make?"],
            "dropped": False,
            "leaked": 2,
            "drift": 0.25,
            "keep_general": 0.2,
            "examples": [
                {
                    "question": "What do bees make?", "base": "Honey.",
                    "tuned": '{"intent": "track", "order_id": null, "name": "bees"', "outcome": "leaked",
                },
                {"question": "Who wrote Hamlet?", "base": "Shakespeare.", "tuned": "Shakespeare.", "outcome": "kept"},
            ],
        },
        "retry": {},
        "answers": answers,
    }  # fmt: skip


def trial_report() -> dict[str, Any]:
    """Prompts tried on the same eight orders: examples in the prompt get six right."""
    found = report_json(baselines=True)
    renamed = [
        {
            **{name: one[name] for name in ("question", "expected", "base", "prompt", "cluster")},
            "few_shot": one["tuned"],
            "scores": {"base": 0.0, "prompt": 0.0, "few_shot": one["scores"]["tuned"]},
        }
        for one in found["answers"]
    ]
    parts = ("main_measure", "items", "clusters", "engine")
    systems = {name: found["systems"][name] for name in ("base", "prompt")}
    return {
        **{name: found[name] for name in parts}, "systems": {**systems, "few_shot": found["systems"]["tuned"]},
        "best": "few_shot", "next": "You may not need any training.", "next_kind": "prompt_may_do",
        "answers": renamed,
    }  # fmt: skip


def against_parent(verdict: str) -> dict[str, Any]:
    """What the report on a second version has besides: seven questions that neither version has learned."""
    systems = {
        "tuned": {"score": 6 / 7, "interval": [0.49, 0.97]},
        "parent": {"score": 4 / 7, "interval": [0.25, 0.84]},
    }
    parent = {
        "run": "run-a", "version": 1, "items": 7, "left_out": 1, "asked": 0, "clusters": 7,
        "least_provable_gain": 6 / 7, "systems": systems,
    }  # fmt: skip
    return {"against_parent": verdict, "parent": parent}
