"""Invented answers of models, their corrections, and long documents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.chat.documents import Combine
from backend.errors import BadInput
from backend.records.chat import PaneCheck
from backend.records.exports import Check, ExportFile, ExportResult, GgufFile, Program
from backend.records.rows import Message
from backend.records.units import MIB
from jobs.records import State
from tests.ui.fake_records import (
    APOLOGY,
    ASKED,
    DATA,
    ORDER,
)
from tests.ui.fake_runs import FakeRuns
from ui.records.data import Correction
from ui.records.runs import RunInfo, UnseenQuestion
from ui.records.share import Endpoint, ExportStatus
from ui.services.results.chat import Answer, Loading
from ui.services.results.documents import Part, Piece, Whole
from ui.services.results.opponents import BASE_MODEL, OWN, Listed, Opponent, Pair
from ui.services.selection import Choice

INSTRUCTION = "Answer with one JSON object."  # in the examples of run-a


class FakeResults:
    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.asked: set[str] = set()
        self.busy = False  # an answer is being written
        self.exported: dict[str, list[ExportStatus]] = {}

    def has_model(self, run_id: str) -> bool:
        return bool(self._runs.job(run_id).result)

    def ready_to_try(self) -> list[RunInfo]:
        return [self._runs.info(run_id) for run_id in self._runs.known if self.has_model(run_id)][:3]

    def unseen_questions(self, run_id: str) -> list[UnseenQuestion]:
        asked = (ASKED, "Where is my parcel 88-1203? It was meant to come on Tuesday. Jo", "cancel the two lamps pls")
        return [UnseenQuestion(question, [{"role": "user", "content": question}], ORDER) for question in asked]

    def instruction(self, run_id: str) -> str:
        return INSTRUCTION if run_id == "run-a" else ""

    def answers(
        self,
        run_id: str,
        conversations: dict[str, Any],
        temperature: float = 0.0,
        max_new_tokens: int = 256,
        seed: int = 0,
        top_p: float = 0.95,
        others: Mapping[str, str] | None = None,
        *,
        ongoing: bool = False,
    ) -> Iterator[Loading | Answer]:
        self.busy = True
        try:
            if run_id not in self.asked:
                yield Loading("Loading the model")
            self.asked.add(run_id)
            for end in range(8, 140, 8):
                for pane, answer in (("base", APOLOGY), ("tuned", ORDER)):
                    yield Answer(pane, answer[:end], "end" if end >= len(answer) else "")
                time.sleep(0.05)
        finally:
            self.busy = False

    @property
    def gguf_folder(self) -> Path:
        return Path("/home/you/apprentice/gguf")

    def opponents(self, run_id: str) -> Listed:
        others = [one for one in self._runs.known if one != run_id and self.has_model(one)]
        return Listed([Opponent(one, self._runs.job(one).name, "another trained model", True) for one in others])

    def pair(self, choice: Choice) -> Pair:
        found = {one.id: one for one in self.opponents(choice.run_id).models} if choice.run_id else {}
        return Pair(found.get(choice.left, BASE_MODEL), found.get(choice.right, OWN))

    def too_narrow(self, run_id: str) -> dict[str, float]:
        return {"F16": 0.0, "Q8_0": 0.0, "Q6_K": 0.78, "Q5_K_M": 0.78, "Q4_K_M": 0.78}

    def export_sizes(self, run_id: str) -> dict[str, tuple[float, float]]:
        sizes = {"F16": 259.0, "Q8_0": 138.0, "Q6_K": 132.0, "Q5_K_M": 107.0, "Q4_K_M": 100.0}
        gguf = {f"gguf:{kind}": (mib, mib) for kind, mib in sizes.items()}
        return {**gguf, "adapter": (18.6, 18.6), "merged": (258.0, 516.0)}

    def exports(self, run_id: str) -> list[ExportStatus]:
        return self.exported.get(run_id, [])

    def trained_in_4_bit(self, run_id: str) -> bool:
        return False

    def export_needs(self, run_id: str) -> str:
        return ""

    def finished_export(self, run_id: str, to: str, base: str = "original") -> ExportStatus | None:
        return None

    def start_export(self, run_id: str, to: str, base: str = "original") -> str:
        sentences = (
            "The trained chat template and end token travel in the file.",
            "The same question gives the same tokens here and in llama.cpp.",
            "It loads, answers and stops by itself.",
        )
        sizes = (
            GgufFile(kind="Q8_0", bytes=138 * MIB, kl=0.0004, same_choice=0.997, places=304, recommended=True),
            GgufFile(kind="Q4_K_M", bytes=100 * MIB, kl=0.041, same_choice=0.94, places=304, too_narrow=0.78),
        )
        guide = Program(
            name="Ollama",
            what="Runs in the background.",
            steps=("Install Ollama.", "Put both files into one folder.", "Type the command below."),
            code="ollama run orders",
            source="https://docs.ollama.com",
        )
        result = ExportResult(
            files=(ExportFile(name="orders-Q8_0.gguf", bytes=138 * MIB, sha256="0f" * 32),),
            checks=tuple(Check(ok=True, sentence=sentence) for sentence in sentences),
            sizes=sizes if to.startswith("gguf:") else (),
            programs=(guide,),
        )
        made = ExportStatus("export-1", to, State.COMPLETED, False, None, None, Path("/tmp"), result)
        self.exported.setdefault(run_id, []).insert(0, made)
        return "export-1"

    def was_exported(self, run_id: str) -> bool:
        self._runs.job(run_id)
        return bool(self.exports(run_id))


class FakeChat:
    def __init__(self, results: FakeResults) -> None:
        self._results = results

    released = False

    @property
    def answering(self) -> bool:
        return self._results.busy

    def check(self, run_id: str) -> PaneCheck | None:
        said = (
            "Checked: with the training switched off, all 49,152 numbers that the model computes for a test question "
            "are exactly those of the base model; with it on, they differ."
        )
        return (
            PaneCheck(base_is_base=True, tuned_differs=True, sentence=said) if run_id in self._results.asked else None
        )

    def engine(self, run_id: str) -> str:
        return "llama.cpp, 8-bit" if run_id in self._results.asked else ""

    def stop(self) -> None:
        pass


class FakeCorrections:
    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.gone = False  # the examples of the runs were deleted
        self.made: dict[str, str] = {}
        self.asked: list[Any] = []

    def has_examples(self, run_id: str) -> bool:
        return not self.gone

    def all(self, run_id: str) -> dict[str, str]:
        return dict(self.made)

    def held_out(self, run_id: str, question: str, expected: str) -> tuple[list[Message], bool]:
        return [{"role": "user", "content": question}], False

    def add(
        self,
        run_id: str,
        messages: Sequence[Mapping[str, Any]],
        answer: str,
        wrong: str,
        restore: bool = False,
        calls: bool = False,
    ) -> Correction:
        if not answer.strip():
            raise BadInput("There is no answer.")
        if self.gone and not restore:
            raise BadInput("The examples of this run were deleted.")
        self.asked.append((list(messages), answer, wrong))
        self.made[messages[-1]["content"]] = answer
        self.gone = False
        return Correction(DATA, "orders.jsonl", 241, restored=restore)


class FakeEndpoints:
    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.opened: dict[str, Endpoint] = {}

    def start(self, run_id: str, host: str = "127.0.0.1", port: int = 0) -> tuple[Endpoint, str]:
        url = "http://127.0.0.1:8080/v1"
        self.opened[run_id] = Endpoint("serve-1", run_id, State.RUNNING, True, "Serving", None, url, 12, 480, 71.0)
        return self.opened[run_id], "sk-shown-once"

    def name(self, run_id: str) -> str:
        return "orders"

    def latest(self, run_id: str) -> Endpoint | None:
        return self.opened.get(run_id)

    def stop(self, job_id: str) -> None:
        for run_id, one in self.opened.items():
            self.opened[run_id] = replace(one, state=State.STOPPED, active=False, url="")


class FakeDocuments:
    def __init__(self, results: FakeResults) -> None:
        self._results = results

    def pieces(self, run_id: str, text: str, question: str, instruction: str = "", answer: int = 256) -> list[str]:
        return text.split("\n\n")

    def answers(
        self,
        run_id: str,
        text: str,
        question: str,
        instruction: str,
        how: Combine,
        others: Mapping[str, str] | None = None,
        **sampling: Any,
    ) -> Iterator[Part]:
        self._results.asked.add(run_id)
        pieces = self.pieces(run_id, text, question)
        for number, piece in enumerate(pieces, 1):
            yield Piece(number, len(pieces))
            for pane in ("base", "tuned"):
                yield Answer(pane, f"{question} {piece}", "")
                time.sleep(0.05)
        yield Whole("base", APOLOGY, "end", "The answers follow each other.")
        yield Whole("tuned", f"[{ORDER}]", "end", "The answers are one JSON list, without repetitions.")
