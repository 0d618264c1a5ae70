"""The real app over a made-up workspace. Only what a model would compute is made up:
answers, and what jobs do.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from backend.advice.recommend import Recommendation
from backend.chat.engine import BASE, TUNED
from backend.datasets.read.table import read_table
from backend.evaluation.models import Answer
from backend.evaluation.report import REPORT
from backend.export import answers, programs
from backend.export.formats import slug
from backend.files.json_file import write_json
from backend.records.chat import Chunk, EngineReport, Phase
from backend.records.exports import (
    Check,
    ExportFile,
    ExportResult,
    GgufFile,
    PushResult,
)
from backend.records.training import TrainingResult
from backend.records.units import MIB
from backend.serving.state import STATE
from backend.settings import Workspace
from jobs.context import Context
from jobs.folder import JobFolder
from jobs.records import State
from jobs.scheduler import Busy
from tests.ui import made_up_workspace
from tests.ui.fake_records import (
    APOLOGY,
    DATA,
    ORDER,
    events,
    report_json,
    trial_report,
)
from tests.ui.made_up_workspace import FAULTS, PROBE, end, save_model
from ui.services.app import App
from ui.services.machine.background_cache import BackgroundCache
from ui.services.results import chat as chat_service

CHECK = "Checked: without its training it is its base."
ANSWERS = {BASE: APOLOGY, TUNED: ORDER}


class NeverCompared(BackgroundCache[Recommendation]):
    """Comparing all models takes seconds of a thread, and the page changes when it is
    done.
    """

    def get(self, key: Hashable, compute: Callable[[], Recommendation]) -> None:
        return None


class MadeUpChat:
    """Stands in for a chat process. asked: what each pane was asked, and how."""

    pause = 0.0  # seconds between the pieces of an answer

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.panes: tuple[str, ...] = ()
        self.report = EngineReport()
        self.asked: list[tuple[Mapping[str, Any], dict[str, Any]]] = []

    def opening(
        self,
        model: Path | None = None,
        adapter: Path | None = None,
        *,
        gguf: Path | None = None,
    ) -> Iterator[Phase]:
        if not self.panes:
            yield Phase("Loading the model")
        self.report = EngineReport(
            engine="llama.cpp", precision="8-bit", pane_check=CHECK
        )
        self.panes = (BASE, TUNED) if adapter else ("only",)

    def ask_each(
        self, histories: Mapping[str, Any], **sampling: Any
    ) -> Iterator[Chunk]:
        self.asked.append((histories, sampling))
        for at in range(0, len(ORDER), 8):
            for pane in histories:
                answer = ANSWERS.get(pane, ORDER)
                ends = "end" if at < len(answer) <= at + 8 else ""
                if at < len(answer):
                    yield Chunk(pane, answer[at : at + 8], at // 8 + 1, 9.0, ends)
            time.sleep(self.pause)

    def stop(self) -> None: ...

    def close(self) -> None:
        self.panes, self.engine = (), ""


def evaluate(context: Context) -> dict[str, Any]:
    return _reported(
        context, report_json(context.spec["baselines"]), "Asking the base model"
    )


def try_prompts(context: Context) -> dict[str, Any]:
    return _reported(context, trial_report(), "Trying instructions")


def _reported(context: Context, found: dict[str, Any], phase: str) -> dict[str, Any]:
    context.progress(phase, 3, 8)
    if not _lasts(context, MadeUpApp.seconds):
        return {}
    write_json(context.folder / REPORT, found)
    return {name: value for name, value in found.items() if name != "answers"}


def train(context: Context) -> dict[str, Any]:
    """Stands still at step 30 of 81 until it is stopped."""
    save_model(context.folder)
    for event in events(30):
        context.emit(event)
    context.progress("Training", 30, 81, 170.0)
    _lasts(context, float("inf"))
    return TrainingResult(best_step=27).to_json()


def answer(context: Context) -> dict[str, Any]:
    spec = answers.AnswersSpec.model_validate(context.spec)
    table = read_table(answers.table_file(context.folder), spec.name, answers.MOST_ROWS)
    given = [Answer(f"={row[spec.column]}", True) for row in table.rows]
    return answers.write(context, spec, table, given).to_json()


def export(context: Context) -> dict[str, Any]:
    """A file with nothing in it."""
    made = (
        context.workspace.exports
        / context.folder.name
        / f"{slug(context.spec['name'])}-Q8_0.gguf"
    )
    made.parent.mkdir(parents=True)
    made.write_bytes(bytes(MIB))
    said = (
        "The trained chat template and end token travel in the file.",
        "It loads, answers and stops by itself.",
    )
    return ExportResult(
        to=context.spec["to"],
        files=(ExportFile(name=made.name, bytes=MIB, sha256="0f" * 32),),
        checks=tuple(Check(ok=True, sentence=sentence) for sentence in said),
        sizes=(
            GgufFile(
                kind="Q8_0",
                bytes=138 * MIB,
                same_choice=0.997,
                places=304,
                recommended=True,
            ),
            GgufFile(
                kind="Q4_K_M",
                bytes=100 * MIB,
                same_choice=0.94,
                places=304,
                too_narrow=0.78,
            ),
        ),
        programs=tuple(programs.for_gguf(made.name)),
    ).to_json()


def serve(context: Context) -> dict[str, Any]:
    counts = {
        "url": "http://127.0.0.1:8080/v1",
        "requests": 12,
        "tokens": 480,
        "tokens_per_second": 71.0,
    }
    write_json(context.folder / STATE, counts)
    _lasts(context, float("inf"))
    return counts


def push(context: Context) -> dict[str, Any]:
    where = {"repo": context.spec["repo"], "private": context.spec["private"]}
    return PushResult(url="https://huggingface.co/ana/orders", **where).to_json()


def _lasts(context: Context, seconds: float) -> bool:
    """Waits; False when it is stopped meanwhile."""
    until = time.monotonic() + seconds
    while not context.should_stop():
        if time.monotonic() >= until:
            return True
        time.sleep(0.1)
    return False


MADE_UP = {
    work.__name__: work
    for work in (train, evaluate, try_prompts, export, answer, serve, push)
}


class MadeUpApp(App):
    """template: a made-up workspace, of which `root` becomes a copy. run-b trains until
    `end`. Other jobs wait until `work` does them, or, after `start`, begin at once: it
    has no lanes.
    """

    seconds = 0.0  # that an evaluation takes

    def __init__(self, template: Path, root: Path) -> None:
        made_up_workspace.copy(template, root)
        self._training = JobFolder(root / "runs" / "run-b").lock()
        self._training.acquire()
        with patch.object(chat_service, "Chat", MadeUpChat):
            super().__init__(Workspace.open(root))
        self.models._probe, self.advice.recommended = PROBE, NeverCompared()
        self._advice = self.advice  # which a page with payloads wraps
        self.runner._supervisor.launch = self._launch  # type: ignore[method-assign]
        self._closing = threading.Event()

    def start(self) -> None:
        """Does jobs, and compares models, in threads until `close`."""
        self._advice.recommended = BackgroundCache()
        self._served = threading.Thread(target=self._serve, daemon=True)
        self._served.start()

    def _serve(self) -> None:
        news = self.runner._thread.wake
        news.set()
        while not self._closing.wait(0.1):
            try:
                if self.runner.has_news():
                    self.work("train", "serve")
            except Busy:  # the page's threads hold the lock for moments, too
                news.set()

    def work(self, *more: str) -> None:
        """Does the jobs that wait, but for trainings and endpoints, which never end."""
        for job in self.runner.scheduler.unfinished():
            if job.state is State.QUEUED and self.runner.job(job.id).kind in (
                *MADE_UP,
                *more,
            ):
                self.runner.scheduler.start_queued(job)

    def _launch(self, folder: JobFolder) -> State:
        """Does a job in this process instead of one of its own."""
        with folder.claim():
            folder.write_status(
                folder.status().changed(state=State.STARTING, started=time.time())
            )

        def work() -> None:
            with folder.claim(10):
                context = Context(folder, self.workspace, folder.status())
                context.begin()
                result = MADE_UP[folder.identity().kind](context)
                context.close()
                state = State.STOPPED if context.stopping else State.COMPLETED
                folder.write_status(context.status.ended_as(state, result=result))

        if hasattr(self, "_served"):
            threading.Thread(target=work, daemon=True).start()
        else:
            work()
        return State.STARTING

    def fix(self) -> None:
        """Fixes all that is wrong with the examples."""
        for kind in FAULTS:
            self.fixes.accept(DATA, kind, "all")

    def end(self, run_id: str, state: State, **changes: Any) -> None:
        """Ends a run."""
        if run_id == "run-b" and self._training.is_locked:
            self._training.release()
        end(self.workspace, run_id, state, **changes)

    def close(self) -> None:
        self._closing.set()
        super().close()
        self._training.release()
