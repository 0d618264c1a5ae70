"""Invented but plausible records: a run, a dataset, a curve."""

from __future__ import annotations

import math
import random
import time
from typing import Any

from backend.datasets.checks.fix import Change
from backend.datasets.checks.issues import problem
from backend.datasets.checks.report import DuplicateRows, Report, SplitRows
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.info import DatasetInfo
from backend.estimate import Estimate, Fit, Memory, Time
from backend.models import catalogue
from backend.records.encoded import Piece
from backend.records.evaluation import EvaluationReport
from backend.records.events import EvalEvent, SampleEvent, StepEvent
from backend.records.rows import Dataset, Problem, Row, Source
from backend.records.specs import TrainSettings
from jobs.records import Job, Progress, State
from ui.records.data import DatasetState, Preview
from ui.records.runs import Curve

ASKED = "hi, order 77120, 3 garden chairs, one cracked, refund please. Marta Quiroga"
ORDER = '{"intent": "refund", "order_id": "77120", "item": "garden chair", "quantity": 3, "name": "Marta Quiroga"}'
APOLOGY = "I'm sorry to hear that your chairs arrived damaged. Please contact the seller and ask for a refund."
DATA, MODEL, NAME = "data-1", "SmolLM2-135M-Instruct", "SmolLM2 135M"


def job(run_id: str, state: State, **changes: Any) -> Job:
    """A training run at step 74 of 81."""
    now = time.time()
    best = 27 if run_id == "run-new" else 72
    ended = {"ended": now, "result": {"best_step": best}} if state in (State.COMPLETED, State.STOPPED) else {}
    values: dict[str, Any] = {
        "id": run_id,
        "kind": "train",
        "name": "Orders to fields",
        "state": state,
        "attempt": 1,
        "created": now - 7200,
        "started": now - 240,
        "progress": Progress(phase="Training", done=74, total=81, seconds_left=80.0),
        **ended,
        **changes,
    }
    return Job(**values)


def preview(row: int) -> Preview:
    """An order as a conversation and as tokens."""
    asked, rule = ASKED.replace("120", f"{row:03}"), "Answer with the fields as JSON."
    messages = [("system", rule), ("user", asked), ("assistant", ORDER)]
    pieces = [
        Piece("<|im_start|>system\n", "template", 3),
        Piece(rule, "read", 7),
        Piece("<|im_end|>\n<|im_start|>user\n", "template", 5),
        Piece(asked, "read", 24),
        Piece("<|im_end|>\n<|im_start|>assistant\n", "template", 5),
        Piece(f"{ORDER}<|im_end|>", "learned", 41),
        Piece("\n", "template", 1),
    ]
    return Preview([{"role": role, "content": content} for role, content in messages], pieces)


def dataset_state(info: DatasetInfo) -> DatasetState:
    """A dataset of 240 rows with four problems, with the fixes of `info`."""
    found = problems()
    faulty = {one.row: one for one in found if one.severity == "error" and not info.is_accepted(one)}
    left_out = {one.row for one in found if info.is_accepted(one) and one.kind != "ends_with_user"}
    source = Source("orders.jsonl", "jsonl", "messages", "utf-8", "0" * 64, mapping={"messages": "messages"})
    chat = preview(1).messages
    rows = [Row(number, number, chat) for number in (12, 40, *range(1, 4))]
    tokens = TokenTotals(total=31200, learned=12400, longest=212, lengths={n: 60 + n * n % 152 for n in range(240)})
    report = Report(
        source=source,
        rows=240,
        usable=237,
        problems=found,
        duplicates=DuplicateRows(exact=1, near=2, distinct=237, groups=[[12, 40]]),
        split=SplitRows(216, 24, 0),
        tokens=tokens,
    )
    return DatasetState(
        name="orders.jsonl",
        original=Dataset(source, rows, found, 240, {number: {"messages": chat} for number in range(1, 4)}),
        report=report,
        problems=found,
        rows=240 - len(left_out),
        info=info,
        split_summary="216 examples for training, 24 set aside for validation (to check what was learned).",
        errors=len(faulty),
        duplicates=report.duplicates,
        blocked=next((f"Example {row} (line {row}): {one.message}" for row, one in faulty.items()), ""),
        fix_previews={
            kind: [Change(row, row, kind, "Leave this row out.", f"user: {ASKED}", "")]
            for kind, row in (("empty_answer", 18), ("duplicate", 40))
        },
        left_out=len(left_out),
        tokens=tokens,
    )


def option(name: str, needs: float, why: str) -> dict[str, Any]:
    """A model as it would do on this machine."""
    have = 11600.0
    parts = {"weights": 0.45 * needs, "optimizer": 0.15 * needs, "activations": 0.4 * needs}
    fit = Fit(
        badge="no" if needs > have else "tight" if needs > 0.85 * have else "yes", needs_mib=needs, has_mib=have
    )
    memory = Memory(device="cuda", total_mib=needs, parts=parts)
    speed = {"seconds": needs / 10, "low": needs / 12, "high": needs / 8}
    estimated = Estimate(model=name, memory=memory, fit=fit, time=None)
    return {
        "model": catalogue.find(name),
        "settings": TrainSettings(),
        "estimate": estimated,
        "reasons": (why,),
        "time": Time(**speed, tokens=1e5, tokens_per_second=1e6 / needs, basis="computed"),
    }


def problems() -> list[Problem]:
    lamps = "order 5512: two lamps, one never came"
    return [
        problem(Row(18, 18), "empty_answer", "The answer is empty, so there is nothing to learn."),
        problem(Row(51, 51), "empty_answer", "The answer is empty, so there is nothing to learn."),
        problem(Row(40, 40), "duplicate", "It is the same as example 12.", lamps),
        problem(Row(77, 77), "ends_with_user", "It ends with a question that no answer follows.", "And the invoice?"),
    ]


def curve(steps: int, rate: float = 2e-4) -> Curve:
    """Two losses that fall together, and what it answered on the way."""
    noise = random.Random(1)
    fall = [1.72 * math.exp(-4 * step / steps) for step in range(steps + 1)]
    prompt = [{"role": "user", "content": ASKED}]
    answers = {0: APOLOGY, 10: APOLOGY, 27: ORDER.replace("refund", "return"), 54: ORDER}
    return Curve(
        steps=[
            StepEvent(
                i,
                fall[i] + 0.1 + noise.gauss(0, 0.035),
                epoch=i / 27,
                learning_rate=rate * (1 - i / 81),
                tokens_per_second=412,
                memory_mib=1740,
            )
            for i in range(1, steps + 1)
        ],
        evals=[EvalEvent(i, fall[i] + 0.16) for i in range(0, steps + 1, 9)],
        samples=[SampleEvent(i, prompt, answer, ORDER) for i, answer in answers.items() if i <= steps],
        awake=True,
        position=steps,
    )


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
            "asked": 30,
            "base_right": 20,
            "kept": 19,
            "tuned_right": 20,
            "lost": ["What do bees make?"],
            "dropped": False,
            "loss": {"base": 2.9, "tuned": 3.0},
        },
        "retry": {},
        "answers": answers,
    }


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
        **{name: found[name] for name in parts},
        "systems": {**systems, "few_shot": found["systems"]["tuned"]},
        "best": "few_shot",
        "next": "You may not need any training.",
        "next_kind": "prompt_may_do",
        "answers": renamed,
    }


def against_parent(verdict: str) -> dict[str, Any]:
    """What the report on a second version has besides: seven questions that neither version has learned."""
    systems = {
        "tuned": {"score": 6 / 7, "interval": [0.49, 0.97]},
        "parent": {"score": 4 / 7, "interval": [0.25, 0.84]},
    }
    parent = {
        "run": "run-a",
        "version": 1,
        "items": 7,
        "left_out": 1,
        "asked": 0,
        "clusters": 7,
        "least_provable_gain": 6 / 7,
        "systems": systems,
    }
    return {"against_parent": verdict, "parent": parent}
