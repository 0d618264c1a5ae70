"""Services with invented but plausible records, so that the page can be drawn and walked without any model."""

# ruff: noqa: E501 (records are easier to read on one line)
from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace as Record
from typing import Any

from backend.data.rows import Problem, Source
from backend.encoded import Piece
from backend.specs import Cpu, Gpu, Hardware, TrainSettings
from ui.choice import Choice

ORDER = '{"intent": "refund", "order_id": "77120", "item": "garden chair", "quantity": 3, "name": "Marta Quiroga"}'


def state(value: str) -> Any:
    return Record(value=value)


def model(name: str, key: str, parameters: float, download: float, licence: str) -> Any:
    return Record(id=key, name=name, parameters=parameters, download_mib=download, licence=licence)


def option(of: Any, needs: float, have: float, *reasons: str) -> Any:
    parts = {"weights": needs * 0.45, "addition and optimizer": needs * 0.15, "work": needs * 0.4}
    fit = "no" if needs > have else "tight" if needs > 0.85 * have else "yes"
    return Record(
        model=of, memory=Record(total_mib=needs, parts=parts), have_mib=have, fit=fit, reasons=list(reasons)
    )


def curve(steps: int, seed: int = 1) -> Any:
    noise = random.Random(seed)
    losses = [
        {
            "step": i,
            "loss": 1.75 * math.exp(-i / (steps / 4)) + 0.1 + noise.gauss(0, 0.035),
            "tokens_per_second": 412,
            "memory_mib": 1740,
        }
        for i in range(1, steps + 1)
    ]
    evals = [
        {"step": i, "loss": 1.72 * math.exp(-i / (steps / 4)) + 0.16} for i in range(0, steps + 1, max(1, steps // 9))
    ]
    prompt = [
        {"role": "user", "content": "hi, order 77120, 3 garden chairs, one cracked, refund please. Marta Quiroga"}
    ]
    samples = [
        {
            "step": 10,
            "prompt": prompt,
            "answer": "I'm sorry to hear that your chairs arrived damaged.",
            "expected": ORDER,
        },
        {"step": 40, "prompt": prompt, "answer": ORDER.replace("refund", "return"), "expected": ORDER},
        {"step": 60, "prompt": prompt, "answer": ORDER, "expected": ORDER},
    ]
    return Record(steps=losses, evals=evals, samples=samples)


@dataclass
class FakeRunner:
    jobs_by_id: dict[str, Any] = field(default_factory=dict)

    def job(self, run_id: str) -> Any:
        return self.jobs_by_id[run_id]

    def stop(self, run_id: str) -> None:
        job = self.jobs_by_id[run_id]
        job.stop_requested, job.state, job.ended, job.result = True, state("stopped"), time.time(), {"best_step": 72}

    def resume(self, run_id: str) -> None:
        self.jobs_by_id[run_id].stop_requested = False
        self.jobs_by_id[run_id].state = state("running")


class FakeServices:
    """What ui/services.py offers, over made-up records."""

    def __init__(self) -> None:
        self.runner = FakeRunner()
        self.accepted: dict[str, Any] = {}
        self.asked: set[str] = set()
        self.exported: list[Any] = []
        self.hold = False
        small = model("SmolLM2, 135 M, Instruct", "smollm2-135m", 134_515_008, 269, "Apache 2.0, free for any use")
        others = [
            option(
                model("Llama 3.2, 1 B, Instruct", "llama-1b", 1.24e9, 2357, "Llama licence, ask once"),
                3100,
                11600,
                "Knows more, takes longer.",
            ),
            option(
                model("Llama 3.2, 3 B, Instruct", "llama-3b", 3.2e9, 6130, "Llama licence, ask once"),
                10300,
                11600,
                "The strongest that fits.",
            ),
            option(model("Gemma 2, 9 B", "gemma-9b", 9.2e9, 17600, "Gemma terms"), 22000, 11600, "For larger cards."),
        ]
        self.advice = option(
            small, 1200, 11600, "The smallest model that handles your longest example and already knows how to chat."
        )
        self.advice.settings, self.advice.others = TrainSettings(), others
        for run in (("run-a", "completed"), ("run-b", "running"), ("run-c", "interrupted")):
            self.make_run(*run)

    def make_run(self, run_id: str, of: str, done: int = 74, total: int = 81) -> None:
        now = time.time()
        self.runner.jobs_by_id[run_id] = Record(
            id=run_id, name="Orders to fields", state=state(of), created=now - 7200, started=now - 240,
            ended=now if of == "completed" else None, stop_requested=False, failure=None,
            progress=Record(phase="Practising, round 2 of 3", done=done, total=total, seconds_left=80.0),
            result={"best_step": 72} if of in ("completed", "stopped") else {},
        )  # fmt: skip

    # Start
    def hardware(self) -> Any:
        gpu = Gpu(name="NVIDIA GeForce RTX 3060", memory_total_mib=12288, memory_free_mib=11878)
        return Record(
            hardware=Hardware(
                gpus=(gpu,),
                cpu=Cpu(cores=8),
                memory_total_mib=32768,
                memory_available_mib=28000,
                disk_free_mib=194560,
            ),
            problems=[],
        )

    def recommendation(self, task: str = "", data_id: str = "", model_id: str = "") -> Any:
        return self.advice

    def model_ready(self, model_id: str) -> bool:
        return model_id in ("", "smollm2-135m")

    def preparing(self) -> Any:
        return None

    # Data
    def samples(self) -> list[Any]:
        return [
            Record(
                name="orders",
                title="Orders into fields",
                what="Messy customer messages become the same tidy fields every time. 240 examples.",
                path=Path("orders.jsonl"),
            ),
            Record(
                name="support",
                title="A support voice",
                what="A telecom company answers in one warm, brief voice. 240 examples.",
                path=Path("support.jsonl"),
            ),
        ]

    def add_data(self, path: Path, name: str) -> str:
        return "data-1"

    def add_text(self, text: str) -> str:
        return "data-1"

    def add_table(self, rows: list[list[str]]) -> str:
        return "data-1"

    def data(self, data_id: str, model_id: str = "") -> Any:
        found = [
            Problem(
                18,
                18,
                "empty_answer",
                "error",
                "The answer is empty, so there is nothing to learn.",
                "Leave these examples out.",
            ),
            Problem(
                51,
                51,
                "empty_answer",
                "error",
                "The answer is empty, so there is nothing to learn.",
                "Leave these examples out.",
            ),
            Problem(
                40,
                40,
                "duplicate",
                "warning",
                "It is the same as another example.",
                "Keep one of each.",
                "order 5512: two lamps, one never came",
            ),
            Problem(
                77,
                77,
                "ends_with_question",
                "error",
                "It ends with a question that no answer follows.",
                "Trim the last turn.",
                "And the invoice?",
            ),
        ]
        found = [problem for problem in found if problem.kind not in self.accepted]
        errors = sum(problem.severity == "error" for problem in found)
        report = Record(
            rows=240, usable=240 - errors, problems=found, duplicates=Record(exact=1, near=2, groups=[]),
            tokens=Record(total=31200, learned=12400, longest=212, truncated=0),
        )  # fmt: skip
        return Record(
            source=Source("orders.jsonl", "JSON lines", "chat messages", "utf-8", "0" * 64), report=report, rows=240,
            accepted=self.accepted, split="216 will be used for practice, 24 are kept back to test it.", advice="", blocked="",
        )  # fmt: skip

    def accept(self, data_id: str, kind: str, rows: Any) -> None:
        self.accepted[kind] = rows

    def refuse(self, data_id: str, kind: str) -> None:
        self.accepted.pop(kind, None)

    def preview(self, data_id: str, row: int, model_id: str) -> Any:
        question = f"hi, order 77{row:03}, 3 garden chairs, one cracked, refund please. Marta Quiroga"
        return Record(
            messages=[
                {"role": "system", "content": "Answer with the fields as JSON."},
                {"role": "user", "content": question},
                {"role": "assistant", "content": ORDER},
            ],
            pieces=[
                Piece("<|im_start|>system\n", "template", 3), Piece("Answer with the fields as JSON.", "read", 7),
                Piece("<|im_end|>\n<|im_start|>user\n", "template", 5), Piece(question, "read", 24),
                Piece("<|im_end|>\n<|im_start|>assistant\n", "template", 5), Piece(ORDER + "<|im_end|>", "learned", 41),
                Piece("\n", "template", 1),
            ],
        )  # fmt: skip

    # Train
    def plan(self, data_id: str, model_id: str, settings: TrainSettings) -> Any:
        return Record(
            model_name="SmolLM2, 135 M, Instruct", data_name="orders.jsonl", settings=settings, train_rows=216, validation_rows=24,
            steps=81, evaluations=9, learned_tokens=12400, longest=212, memory_mib=1740.0, memory_measured=True, have_mib=11600.0,
            memory_parts={"weights": 600.0, "addition and optimizer": 300.0, "work": 840.0},
            seconds_low=170.0, seconds_high=230.0, time_measured=False, notes=[], blocked="",
        )  # fmt: skip

    def start_training(self, data_id: str, model_id: str, settings: TrainSettings, name: str) -> str:
        self.make_run("run-new", "running")
        return "run-new"

    def curve(self, run_id: str) -> Any:
        return curve(74)

    def curve_position(self, run_id: str) -> int:
        return 74

    def queue_position(self, run_id: str) -> int:
        return 0

    def verdict(self, run_id: str) -> Any:
        return Record(tone="good", title="Learning well", what="Both curves fall together.", next="Nothing to do.")

    # Try
    def chat_proof(self, run_id: str) -> Any:
        return Record(
            ok=True,
            sentence="The left one is the untouched base model: its answers were the same with and without the adapter file loaded.",
        )

    def held_out(self, run_id: str) -> list[Any]:
        return [
            Record(
                question="hi, order 77120, 3 garden chairs, one cracked, refund please. Marta Quiroga", expected=ORDER
            ),
            Record(question="Where is my parcel 88-1203? It was meant to come on Tuesday. Jo", expected=ORDER),
            Record(question="cancel the two lamps from order 4411 pls", expected=ORDER),
        ]

    def ask(
        self, run_id: str, asked: dict[str, Any], temperature: float, max_new_tokens: int, seed: int
    ) -> Iterator[Any]:
        self.asked.add(run_id)
        answers = {
            "base": "I'm sorry to hear that your chairs arrived damaged. Please contact the seller and ask for a refund.",
            "tuned": ORDER,
        }
        for end in range(8, 140, 8):
            for pane, answer in answers.items():
                yield pane, answer[:end], end >= len(answer)
            time.sleep(0.05)

    def stop_chat(self) -> None:
        pass

    def was_asked(self, run_id: str) -> bool:
        return run_id in self.asked

    # Share
    def export_sizes(self, run_id: str) -> dict[str, float]:
        return {"gguf:Q8_0": 138.0, "adapter": 18.6, "merged": 258.0}

    def exports(self, run_id: str) -> list[Any]:
        return self.exported

    def start_export(self, run_id: str, to: str) -> str:
        proofs = [
            (True, "The trained chat template and end token travel in the file."),
            (True, "The same question gives the same tokens here and in llama.cpp."),
            (True, "It loads, answers and stops by itself."),
        ]
        files = [Record(path=Path("/tmp/model.gguf"), name="orders-Q8_0.gguf", size_mib=138.0)]
        self.exported.insert(
            0,
            Record(
                id="export-1",
                to=to,
                state=state("completed"),
                active=False,
                progress=None,
                failure=None,
                files=files,
                proofs=proofs,
            ),
        )
        return "export-1"

    def was_exported(self, run_id: str) -> bool:
        return bool(self.exported)

    # My models
    def runs(self) -> list[Any]:
        return [
            Record(id=job.id, name=job.name, state=job.state, created=job.created, model_name="SmolLM2, 135 M", data_name="orders.jsonl",
                   first_eval_loss=1.88, eval_loss=0.24 if job.state.value == "completed" else None)
            for job in self.runner.jobs_by_id.values()
        ]  # fmt: skip

    def delete(self, run_id: str) -> None:
        del self.runner.jobs_by_id[run_id]

    def run_state(self, run_id: str) -> str:
        return self.runner.jobs_by_id[run_id].state.value if run_id in self.runner.jobs_by_id else ""

    def known(self, choice: Choice) -> Choice:
        return choice if choice.run_id in self.runner.jobs_by_id else choice.but(run_id="")

    def opened(self, choice: Choice, run_id: str) -> Choice:
        self.runner.job(run_id)
        return choice.but(run_id=run_id, data_id="data-1")
