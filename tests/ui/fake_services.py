"""An app whose services return invented records, so that the page can be drawn and used without any model."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from backend.advice import diagnose
from backend.advice.diagnose import Verdict
from backend.advice.recommend import Option, Recommendation
from backend.advice.settings import ChosenSettings
from backend.chat.client import PaneCheck
from backend.chat.documents import Combine
from backend.datasets.info import DatasetInfo
from backend.datasets.store import StoredDataset
from backend.errors import BadInput, RunProblem
from backend.evaluation.blind_test import BlindTest, Outcome, Question, Vote, new_test
from backend.export.hf_jobs import Computer, SubmittedJob
from backend.hardware import Probe, describe
from backend.models import catalogue
from backend.models.hub_token import TokenSource
from backend.records.lengths import LengthLimits
from backend.records.rows import Message
from backend.records.specs import Cpu, DataRef, Descent, Gpu, Hardware, ModelRef, RunSpec, Trainer, TrainSettings
from backend.runs.next_version import NextVersion
from jobs.records import Job, Progress, State
from tests.ui.fake_records import (
    APOLOGY,
    ASKED,
    DATA,
    MODEL,
    NAME,
    ORDER,
    curve,
    dataset_state,
    job,
    option,
    preview,
    report,
    trial_report,
)
from ui.records import (
    Correction,
    Curve,
    DatasetFiles,
    DatasetProgress,
    DatasetState,
    DownloadStatus,
    EditableExample,
    ExampleField,
    ExportFile,
    ExportStatus,
    Instruction,
    Matches,
    Plan,
    Preview,
    RunDetails,
    RunInfo,
    RunSummary,
    Sample,
    Shortening,
    TokenStatus,
    UnseenQuestion,
)
from ui.services import losses
from ui.services.chat import Answer, Loading
from ui.services.documents import Part, Piece, Whole
from ui.services.opponents import BASE, Opponent
from ui.services.selection import Choice


class FakeModels:
    def __init__(self) -> None:
        self.simulated: Hardware | None = None
        self.token: TokenSource = ""

    def probe(self) -> Probe:
        gpu = Gpu(name="NVIDIA GeForce RTX 3060", memory_total_mib=12288, memory_free_mib=11878)
        memory = {"memory_total_mib": 32768, "memory_available_mib": 28000, "disk_free_mib": 194560}
        hardware = Hardware(gpus=(gpu,), cpu=Cpu(cores=8), **memory)
        return Probe(hardware=hardware, sentences=tuple(describe(hardware)))

    def hardware(self) -> Hardware:
        return self.probe().hardware

    def probe_again(self) -> None:
        pass

    def downloads(self) -> dict[str, Job]:
        return {}

    def cancel_download(self, model_id: str) -> None:
        pass

    def download(self, model_id: str) -> str:
        return "download-1"

    def download_status(self, model_id: str) -> DownloadStatus:
        entry = catalogue.find(model_id)
        return DownloadStatus(entry, None, False, TokenStatus(self.token, "keyring") if entry.gated else None)

    def save_token(self, typed: str) -> TokenSource:
        if not typed.startswith("hf_"):
            raise BadInput("This is not an access token of Hugging Face.")
        self.token = "keyring"
        return self.token

    def delete_token(self) -> None:
        self.token = ""

    def size_mib(self, model_id: str) -> float | None:
        return 258.0 if self.is_ready(model_id) else None

    def is_ready(self, model_id: str) -> bool:
        return model_id in ("", f"HuggingFaceTB/{MODEL}", "meta-llama/Llama-3.2-1B-Instruct")

    def why_not_ready(self, model_id: str = "") -> str:
        return "" if self.is_ready(model_id) else "This model is not on this computer. Choose one that is ready."

    def unpacking(self) -> Job | None:
        return None


class FakeAdvice:
    def __init__(self, models: FakeModels) -> None:
        self._models = models

    def recommendation(self, task: str = "", data_id: str = "", model_id: str = "") -> Recommendation:
        why = "The smallest model that handles your longest example and already knows how to chat."
        needs = {"Llama-3.2-1B-Instruct": 3100.0, "Llama-3.2-3B-Instruct": 10300.0, "gemma-2-9b-it": 22000.0}
        name = model_id.rpartition("/")[2]
        chosen = (name, needs[name], "Knows more and takes longer.") if name in needs else (MODEL, 1200.0, why)
        return Recommendation(
            **option(*chosen),
            why={"lora_rank": "Rank 8 suits up to 1,000 examples.", "learning_rate": "Measured best on this model."},
            hardware=self._models.hardware(),
            least_mib=chosen[1],
            assumed=None if data_id else 512,
            others=tuple(Option(**option(name, mib, "Knows more and takes longer.")) for name, mib in needs.items()),
        )

    def options(self, task: str = "", data_id: str = "") -> tuple[Option, ...]:
        found = self.recommendation(task, data_id)
        return (found, *found.others)

    def better(self, task: str = "", data_id: str = "") -> Recommendation | None:
        return None

    def settings(
        self, task: str = "", data_id: str = "", model_id: str = "", trainer: Trainer = "sft"
    ) -> ChosenSettings:
        found = self.recommendation(task, data_id, model_id)
        return ChosenSettings(settings=found.settings, estimate=found.estimate, why=found.why)


class FakeDatasets:
    def __init__(self) -> None:
        self.accepted: dict[str, Any] = {}
        self.refused: dict[str, Any] = {}
        self.edits: list[str] = []  # their kinds
        self.undone: list[str] = []
        self.system = ""

    def samples(self) -> list[Sample]:
        orders = "Messy customer messages become the same tidy fields every time."
        support = "A telecom company's chat support that answers in one warm, brief voice."
        return [
            Sample("orders", "Orders into fields", orders, Path("orders.jsonl"), Path("orders.held_out.jsonl")),
            Sample("support", "A support voice", support, Path("support.jsonl"), Path("support.held_out.jsonl")),
        ]

    def import_file(self, path: Path, name: str, model_id: str = "") -> str:
        return DATA

    def import_text(self, text: str, model_id: str = "") -> str:
        return DATA

    def import_table(self, rows: list[list[str]], model_id: str = "") -> str:
        return DATA

    def read_again(self, data_id: str, options: dict[str, Any], model_id: str = "") -> None:
        pass

    def import_again(self, import_id: str, options: dict[str, Any], model_id: str = "") -> None:
        pass

    def progress(self, choice: Choice) -> DatasetProgress | None:
        return None

    def cancel_import(self, choice: Choice) -> None:
        pass

    def all(self) -> list[StoredDataset]:
        return [StoredDataset(DATA, "orders.jsonl", 48_000, 1_700_000_000.0)]

    def delete(self, data_id: str) -> None:
        pass

    def change_token(self, data_id: str) -> Hashable:
        return repr((self.accepted, self.refused, self.edits, self.system))

    def is_ready(self, choice: Choice) -> bool:
        return bool(choice.data_id)

    def state_soon(self, choice: Choice) -> DatasetState | None:
        return self.state(choice)

    def state(self, choice: Choice) -> DatasetState:
        chosen = {"accepted": dict(self.accepted), "refused": dict(self.refused)}
        found = dataset_state(DatasetInfo("orders.jsonl", **chosen, edits=[*self.edits], undone=[*self.undone]))
        source = replace(found.original.source, edits=tuple(self.edits))
        return replace(found, original=replace(found.original, source=source))

    def lengths(self, choice: Choice) -> LengthLimits:
        return LengthLimits(200)

    def accept(self, data_id: str, kind: str, rows: Literal["all"] | list[int]) -> None:
        self.accepted[kind] = rows

    def refuse(self, data_id: str, kind: str, rows: Literal["all"] | list[int] = "all") -> None:
        self.accepted.pop(kind, None)
        self.refused[kind] = rows

    def undo(self, data_id: str, kind: str) -> None:
        self.accepted.pop(kind, None)
        self.refused.pop(kind, None)

    def write_files(self, choice: Choice) -> DatasetFiles:
        here = Path("/tmp/examples.jsonl")
        return DatasetFiles(here, here, 3)

    def written_files(self, choice: Choice) -> DatasetFiles | None:
        return None

    def preview(self, choice: Choice) -> Preview:
        return preview(choice.row)

    def step(self, choice: Choice, direction: int) -> int:
        return max(1, choice.row + direction)

    def find(self, choice: Choice, text: str, direction: int) -> Matches:
        return Matches(3, choice.row + direction, 1)

    def example_to_edit(self, choice: Choice) -> EditableExample:
        fields = ExampleField("message-0", "Question", ASKED), ExampleField("message-1", "Answer", ORDER)
        return EditableExample(choice.row, fields)

    def new_example(self, choice: Choice) -> EditableExample:
        fields = ExampleField("message-0", "Question", ""), ExampleField("message-1", "Answer", "")
        return EditableExample(241, fields, is_new=True)

    def _edit(self, kind: str) -> None:
        self.edits.append(kind)
        self.undone.clear()

    def save_example(self, choice: Choice, row: int, texts: dict[str, str]) -> None:
        if not all(text.strip() for text in texts.values()):
            raise BadInput("This example can't be learned as it is.", "Message 2, an answer, is empty.")
        self._edit("replace")

    def add_example(self, data_id: str, texts: dict[str, str]) -> int:
        self.save_example(Choice(), 241, texts)
        self.edits[-1] = "add"
        return 241

    def delete_example(self, data_id: str, row: int) -> None:
        self._edit("delete")

    def undo_edit(self, data_id: str) -> None:
        self.undone.append(self.edits.pop())

    def redo_edit(self, data_id: str) -> None:
        self.edits.append(self.undone.pop())

    def nearest(self, data_id: str, row: int) -> int:
        return min(row, 240)

    def instruction(self, choice: Choice) -> Instruction:
        return Instruction(self.system, 240 if self.system else 0, 0, 240, "You are a helpful AI assistant.")

    def set_instruction(self, data_id: str, text: str) -> None:
        self._edit("instruction")
        self.system = text

    def set_validation(self, data_id: str, path: Path, name: str) -> None:
        pass

    def clear_validation(self, data_id: str) -> None:
        pass


INSTRUCTION = "Answer with one JSON object."  # in the examples of run-a


class FakeRuns:
    def __init__(self, datasets: FakeDatasets) -> None:
        self._datasets = datasets
        states = {"run-a": State.COMPLETED, "run-b": State.RUNNING, "run-c": State.INTERRUPTED}
        self.known = {run_id: job(run_id, state) for run_id, state in states.items()}
        self.notes: dict[str, str] = {}
        self.descents: dict[str, Descent] = {}
        self.undivided: set[str] = set()  # runs that can have no next version

    def job(self, run_id: str) -> Job:
        if run_id not in self.known:
            raise RunProblem("This run is no longer here.")
        return self.known[run_id]

    def is_divided(self, run_id: str) -> bool:
        return run_id not in self.undivided

    def is_training(self) -> bool:
        return any(one.state.is_active for one in self.known.values())

    def unfinished(self) -> list[Job]:
        return [one for one in self.known.values() if not one.state.is_terminal]

    def all(self) -> list[RunSummary]:
        return [
            RunSummary(
                self.info(one.id),
                one.state,
                one.created,
                losses.compute(one, self.curve(one.id)),
                self.descents.get(one.id),
                self.note(one.id),
                self.is_divided(one.id),
            )
            for one in sorted(self.known.values(), key=lambda one: one.created, reverse=True)
        ]

    def plan(self, data_id: str, model_id: str, settings: TrainSettings, version: NextVersion | None = None) -> Plan:
        return Plan(
            settings=settings,
            model_name=NAME,
            data_name="orders.jsonl",
            train_rows=216,
            validation_rows=24,
            learned_tokens=12400,
            longest=212,
            steps=81,
            evaluations=9,
            seconds=(170.0, 230.0),
            memory_mib=1740.0,
            memory_parts={"weights": 257.0, "adapter": 30.0, "activations": 753.0, "programs": 700.0},
            available_mib=11600.0,
            blocked=self._datasets.state(Choice(data_id=data_id)).blocked,
        )

    def start(
        self,
        data_id: str,
        model_id: str,
        settings: TrainSettings,
        name: str = "",
        *,
        evaluate: bool = True,
        version: NextVersion | None = None,
    ) -> str:
        far = Progress(phase="Training", done=30, total=81, seconds_left=170.0)
        now = time.time()
        self.known["run-new"] = job("run-new", State.RUNNING, name=name or "Orders", created=now, progress=far)
        return "run-new"

    def note(self, run_id: str) -> str:
        return self.notes.get(run_id, "")

    def stop(self, run_id: str) -> None:
        self.known[run_id] = self._again(run_id, State.STOPPED, stop_requested=True)

    def resume(self, run_id: str) -> None:
        self.known[run_id] = self._again(run_id, State.RUNNING, attempt=2)

    def _again(self, run_id: str, state: State, **changes: Any) -> Job:
        before = self.job(run_id)
        return job(run_id, state, name=before.name, created=before.created, progress=before.progress, **changes)

    def info(self, run_id: str) -> RunInfo:
        return RunInfo(run_id, self.job(run_id).name, NAME, "orders.jsonl", 216)

    def state(self, run_id: str) -> str:
        return self.known[run_id].state.value if run_id in self.known else ""

    def curve(self, run_id: str) -> Curve:
        return curve(30, 1e-4) if run_id == "run-new" else curve(74)

    def curve_position(self, run_id: str) -> int:
        return 74

    def queue_position(self, run_id: str) -> int:
        return 0

    def verdict(self, run_id: str) -> Verdict | None:
        curve = self.curve(run_id)
        return diagnose.diagnose(curve.steps, curve.evals, TrainSettings())

    def details(self, run_id: str) -> RunDetails:
        halved = {"learning_rate": 1e-4} if run_id == "run-new" else {}  # as in its curve
        one = self.job(run_id)
        data = DataRef(
            name="orders.jsonl", sha256="0" * 64, train_rows=216, validation_rows=24, train_tokens=31200,
            learned_tokens=12400, longest=212,
        )  # fmt: skip
        model = ModelRef(id=MODEL, path=Path("models/bundled"))
        spec = RunSpec(name=one.name, model=model, data=data, settings=TrainSettings(**halved))
        return RunDetails(spec, one, self.curve(run_id))


class FakeVersions:
    """run-a is version 1 of a model; the next one is version 2."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.why_not = ""  # why the next version can't continue this one

    def next(self, run_id: str, *, from_base: bool = False) -> NextVersion:
        self._runs.job(run_id)
        return NextVersion(run_id, run_id, 2, Path("run"), None if from_base else Path("run/result/adapter"), ())

    def number(self, run_id: str) -> int:
        return 1

    def next_number(self, run_id: str) -> int:
        return 2

    def why_not_continue(self, run_id: str, model_id: str, settings: TrainSettings) -> str:
        return self.why_not

    def check(self, version: NextVersion | None, model_id: str, settings: TrainSettings) -> None:
        if version and version.continues and self.why_not:
            raise BadInput(self.why_not)

    def settings(self, run_id: str, advice: ChosenSettings) -> ChosenSettings:
        return advice

    def train_on(self, run_id: str, epochs: float, *, evaluate: bool = True) -> str:
        self._runs.job(run_id)
        self._runs.known["run-new"] = job("run-new", State.QUEUED, name="Orders")
        return "run-new"

    def rename(self, run_id: str, name: str) -> None:
        self._runs.known[run_id] = self._runs.job(run_id).model_copy(update={"name": name})

    def set_note(self, run_id: str, note: str) -> None:
        self._runs.notes[run_id] = note


class FakeRetries:
    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs

    def retry(self, run_id: str) -> str:
        self._runs.known["run-new"] = job("run-new", State.QUEUED, name="Orders (learning rate 0.0001)")
        return "run-new"

    def retry_evaluated(self, run_id: str, report: Mapping[str, Any] | None) -> str:
        return self.retry(run_id)

    def shortening(self, run_id: str) -> Shortening | None:
        return None

    def retry_shortened(self, run_id: str) -> str:
        raise RunProblem("Shorter examples would not help this run.")

    def first_run(self, run_id: str) -> str:
        return "run-a" if run_id == "run-new" else ""


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

    def chat_check(self, run_id: str) -> PaneCheck | None:
        said = (
            "Checked: with the training switched off, all 49,152 numbers that the model computes for a test question "
            "are exactly those of the base model; with it on, they differ."
        )
        return PaneCheck(True, True, said) if run_id in self.asked else None

    def engine(self, run_id: str) -> str:
        return "llama.cpp, 8-bit" if run_id in self.asked else ""

    def is_answering(self) -> bool:
        return self.busy

    def was_tried(self, run_id: str) -> bool:
        self._runs.job(run_id)
        return run_id in self.asked

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
        opponent: str = "",
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

    def opponents(self, run_id: str) -> list[Opponent]:
        runs = [Opponent(one, self._runs.job(one).name, "another trained model") for one in self._runs.known]
        return [BASE, *(one for one in runs if one.id != run_id and self.has_model(one.id))]

    def opponent(self, run_id: str, opponent_id: str) -> Opponent:
        return next((one for one in self.opponents(run_id) if one.id == opponent_id), BASE)

    def stop_chat(self) -> None:
        pass

    def export_sizes(self, run_id: str) -> dict[str, tuple[float, float]]:
        return {"gguf:Q8_0": (138.0, 138.0), "adapter": (18.6, 18.6), "merged": (258.0, 516.0)}

    def exports(self, run_id: str) -> list[ExportStatus]:
        return self.exported.get(run_id, [])

    def start_export(self, run_id: str, to: str) -> str:
        checks = (
            (True, "The trained chat template and end token travel in the file."),
            (True, "The same question gives the same tokens here and in llama.cpp."),
            (True, "It loads, answers and stops by itself."),
        )
        file = ExportFile("orders-Q8_0.gguf", Path("/tmp/model.gguf"), 138.0)
        made = ExportStatus("export-1", to, State.COMPLETED, False, None, None, (file,), checks)
        self.exported.setdefault(run_id, []).insert(0, made)
        return "export-1"

    def was_exported(self, run_id: str) -> bool:
        self._runs.job(run_id)
        return bool(self.exports(run_id))


class FakeEvaluations:
    """seconds: how long an evaluation runs before its report is there."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.jobs: dict[str, Job] = {}
        self.baselines: dict[str, bool] = {}
        self.facts = ""
        self.held_out = 8
        self.seconds = 1.5

    def questions(self, run_id: str) -> int:
        self._runs.job(run_id)
        return self.held_out

    def has_texts(self, run_id: str) -> bool:
        return False

    def start(self, run_id: str, *, baselines: bool = False, items: int | None = None, facts: str = "") -> str:
        self.facts = facts
        far = Progress(phase="Asking the base model", done=3, total=self.held_out)
        self.jobs[run_id] = job(
            f"evaluate-{run_id}", State.RUNNING, kind="evaluate", parent=run_id, created=time.time(), progress=far
        )
        self.baselines[run_id] = baselines
        return self.jobs[run_id].id

    def stop(self, run_id: str) -> None:
        if (found := self.latest(run_id)) and not found.state.is_terminal:
            self.jobs[run_id] = found.model_copy(update={"state": State.STOPPED})

    def latest(self, run_id: str) -> Job | None:
        found = self.jobs.get(run_id)
        if found and found.state is State.RUNNING and time.time() >= found.created + self.seconds:
            self.jobs[run_id] = found.model_copy(update={"state": State.COMPLETED})
        return self.jobs.get(run_id)

    def latest_report(self, run_id: str) -> dict[str, Any] | None:
        found = self.latest(run_id)
        return report(self.baselines[run_id]) if found and found.state is State.COMPLETED else None

    def page(self, run_id: str, draw: Callable[[Mapping[str, Any]], str]) -> Path | None:
        return Path("/tmp/report.html")

    def summaries(self) -> dict[str, dict[str, Any]]:
        found = {run_id: self.latest_report(run_id) for run_id in self._runs.known}
        return {run_id: one for run_id, one in found.items() if one}


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

    def conversation(self, run_id: str, question: str, expected: str) -> list[Message]:
        return [{"role": "user", "content": question}]

    def add(
        self, run_id: str, messages: Sequence[Mapping[str, Any]], answer: str, wrong: str, restore: bool = False
    ) -> Correction:
        if not answer.strip():
            raise BadInput("There is no answer.")
        if self.gone and not restore:
            raise BadInput("The examples of this run were deleted.")
        self.asked.append((list(messages), answer, wrong))
        self.made[messages[-1]["content"]] = answer
        self.gone = False
        return Correction(DATA, "orders.jsonl", 241, restored=restore)


class FakeDocuments:
    def __init__(self, results: FakeResults) -> None:
        self._results = results

    def pieces(self, run_id: str, text: str, words: str, instruction: str = "", answer: int = 256) -> list[str]:
        return text.split("\n\n")

    def answers(
        self,
        run_id: str,
        text: str,
        words: str,
        instruction: str,
        how: Combine,
        opponent: str = "",
        **sampling: Any,
    ) -> Iterator[Part]:
        self._results.asked.add(run_id)
        pieces = self.pieces(run_id, text, words)
        for number, piece in enumerate(pieces, 1):
            yield Piece(number, len(pieces))
            for pane in ("base", "tuned"):
                yield Answer(pane, f"{words} {piece}", "")
                time.sleep(0.05)
        yield Whole("base", APOLOGY, "end", "The answers follow each other.")
        yield Whole("tuned", f"[{ORDER}]", "end", "The answers are one JSON list, without repetitions.")


class FakePromptTrials:
    """seconds: how long a trial runs before its result is there."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.current = True
        self.seconds = 1.5

    def why_not(self, choice: Choice) -> str:
        return "" if choice.data_id else "Add examples first, in step 2."

    def questions(self, choice: Choice) -> int:
        return 8

    def start(self, choice: Choice, items: int | None = None, facts: str = "") -> str:
        far = Progress(phase="Trying instructions", done=3, total=8)
        self.job = job("prompts-1", State.RUNNING, kind="try_prompts", created=time.time(), progress=far)
        return self.job.id

    def stop(self, choice: Choice) -> None:
        if (found := self.latest(choice)) and not found.state.is_terminal:
            self.job = found.model_copy(update={"state": State.STOPPED})

    def latest(self, choice: Choice) -> Job | None:
        if self.job and self.job.state is State.RUNNING and time.time() >= self.job.created + self.seconds:
            self.job = self.job.model_copy(update={"state": State.COMPLETED})
        return self.job if choice.data_id else None

    def is_current(self, job: Job, choice: Choice) -> bool:
        return self.current

    def report(self, job_id: str) -> dict[str, Any]:
        return trial_report()


class FakeBlindTests:
    def __init__(self, evaluations: FakeEvaluations) -> None:
        self._evaluations = evaluations
        self.tests: dict[str, BlindTest] = {}

    def systems(self, run_id: str) -> list[str]:
        found = self._evaluations.latest_report(run_id)
        return list(found["systems"]) if found else []

    def start(self, run_id: str, first: str, second: str) -> None:
        found = self._evaluations.latest_report(run_id)
        if not found or first == second or not {first, second} <= set(found["systems"]):
            raise BadInput("Choose two different ones to compare.")
        self.tests[run_id] = new_test(found["answers"], (first, second), 1)

    def state(self, run_id: str) -> Question | Outcome | None:
        return self.tests[run_id].state if run_id in self.tests else None

    def outcome(self, run_id: str) -> Outcome | None:
        state = self.state(run_id)
        return state if isinstance(state, Outcome) else None

    def change_token(self, run_id: str) -> Hashable:
        return self.tests.get(run_id)

    def vote(self, run_id: str, at: int, vote: str) -> None:
        self.tests[run_id] = self.tests[run_id].voted(at, cast("Vote", vote))

    def undo(self, run_id: str, at: int) -> None:
        self.tests[run_id] = self.tests[run_id].undone(at)

    def end(self, run_id: str) -> None:
        self.tests[run_id] = self.tests[run_id].ended()


class FakeHfJobs:
    def __init__(self) -> None:
        self.jobs: list[SubmittedJob] = []

    def script_folder(self, run_id: str) -> Path | None:
        return None

    def look_up_computers(self) -> list[Computer]:
        return [Computer("t4-small", "Nvidia T4", "16 GB", 0.4)]

    def find_computer(self, flavor: str) -> Computer:
        return self.look_up_computers()[0]

    def uploads(self, run_id: str) -> dict[str, int]:
        return {"train.py": 9_000, "train.jsonl": 48_000}

    def sends_token(self, run_id: str) -> bool:
        return False

    def submit(self, run_id: str, flavor: str, hours: float, agreed: bool) -> SubmittedJob:
        self.jobs.insert(0, SubmittedJob("1", "https://huggingface.co/jobs/1", flavor, hours, 0.4 * hours, "out"))
        return self.jobs[0]

    def submitted(self, run_id: str) -> list[SubmittedJob]:
        return self.jobs


class FakeApp:
    """What ui/services/app.py offers to the page."""

    def __init__(self) -> None:
        self.models = FakeModels()
        self.advice = FakeAdvice(self.models)
        self.datasets = FakeDatasets()
        self.runs = FakeRuns(self.datasets)
        self.retries = FakeRetries(self.runs)
        self.versions = FakeVersions(self.runs)
        self.results = FakeResults(self.runs)
        self.documents = FakeDocuments(self.results)
        self.prompt_trials = FakePromptTrials()
        self.evaluations = FakeEvaluations(self.runs)
        self.corrections = FakeCorrections(self.runs)
        self.blind_tests = FakeBlindTests(self.evaluations)
        self.hf_jobs = FakeHfJobs()

    def remove_model(self, model_id: str) -> float:
        return 0.0

    def delete_run(self, run_id: str) -> None:
        del self.runs.known[run_id]

    def validated(self, choice: Choice) -> Choice:
        if choice.import_id:
            choice = choice.replace(data_id=choice.import_id, import_id="")
        return choice if choice.run_id in self.runs.known else choice.replace(run_id="")

    def for_training(self, choice: Choice) -> Choice:
        return choice

    def for_next_version(self, choice: Choice, run_id: str) -> Choice:
        return choice.replace(run_id="", parent=self.runs.job(run_id).id, from_base=False, data_id=DATA)

    def with_run(self, choice: Choice, run_id: str) -> Choice:
        return choice.replace(run_id=self.runs.job(run_id).id, data_id=DATA)
