"""What both faces do: the operations behind the page and the command line, put together from backend and jobs.

Light: nothing here imports torch. Whatever needs it runs in a job or in the chat process.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Literal, cast

from backend import calibrate, catalogue, download, embedded, hardware, models, monitor, preflight, prepare
from backend.catalogue import TASKS, Task
from backend.chat import Proof
from backend.data.brought import About, Brought
from backend.data.measure import Model
from backend.data.shelf import Kept, Shelf
from backend.data.windows import UNLIMITED, Lengths
from backend.errors import ApprenticeError, BadInput, MissingPart, RunProblem
from backend.estimate import Rates
from backend.recommend import Option, Recommendation, recommend
from backend.settings import Workspace, child
from backend.specs import Hardware, RunSpec, Trainer, TrainSettings, settings_from
from backend.tailor import Data, Tailored, tailor
from backend.template import Tokeniser
from backend.training import refusals, rescue
from backend.training.result import folder_of
from jobs.models import Job, State
from jobs.runner import Runner
from ui import bringing, planning, previewing, samples
from ui.bringing import Bringing
from ui.chatting import Chatting, Opened
from ui.choice import Choice
from ui.comparing import Comparing
from ui.exporting import export_line, sizes
from ui.records import (
    Compared,
    Curve,
    DataFiles,
    DataState,
    ExportLine,
    HeldOut,
    Hits,
    Plan,
    Preview,
    Reading,
    RunLine,
    Sample,
)
from ui.renting import Renting

WITH_MODEL = (State.COMPLETED, State.STOPPED, State.INTERRUPTED)
SIMULATED = "This machine is only simulated, so nothing can be trained on it."
NOT_HERE = "This model is not on this computer. Download it, or choose one that is ready."
COMING = "This model is being downloaded."
CURVE_KINDS = {"step": "steps", "eval": "evals", "sample": "samples", "note": "notes", "preflight": "preflights"}


class Services:
    """The operations on one workspace. `start` lets jobs run by themselves; the command line waits on them.

    simulated: another machine to show everything for; nothing can be trained on it.
    """

    def __init__(self, workspace: Workspace, simulated: Hardware | None = None) -> None:
        self.workspace, self.simulated = workspace, simulated
        self.runner = Runner(workspace)
        self.shelf = Shelf(workspace.datasets)
        self._bringing = Bringing(self.shelf)
        self.renting = Renting(self)
        self._chat = Chatting(workspace, self._training)
        self._files: dict[str, tuple[About, DataFiles]] = {}
        self._curves: dict[str, Curve] = {}
        self._speeds: dict[str, float | None] = {}
        self._probe = hardware.Probe.of(simulated) if simulated else None
        self._compared: Comparing[Recommendation] = Comparing()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Runs the queue in a thread, has the embedded model unpacked if it is not, and looks at the machine."""
        self.runner.start()
        threading.Thread(target=self._look, name="looking", daemon=True).start()
        if not self.model_ready(models.DEFAULT) and self.preparing() is None:
            self.runner.submit("prepare", {}, "Unpack the model")
        measuring = any(not job.state.is_terminal for job in self.runner.jobs(kind="calibrate"))
        if calibrate.rates(self.workspace) is None and not measuring and not self.simulated:
            self.runner.submit("calibrate", {}, "Measure this computer")

    def _look(self) -> None:
        """Works out what Start shows first, before it is asked for."""
        self.recommendation()
        self.others()
        self.better()

    def close(self) -> None:
        """Ends the chat process and the thread; jobs go on."""
        self._bringing.close()
        self._chat.close()
        self.runner.close()

    def _training(self) -> bool:
        return any(job.state.is_active for job in self.runner.jobs(kind="train"))

    # The machine and the models

    def hardware(self) -> hardware.Probe:
        """What this machine has, looked at once and again when it is asked for (`look_again`)."""
        with self._lock:
            if self._probe is None:
                self._probe = hardware.probe(self.workspace.root)
            return self._probe

    def look_again(self) -> None:
        """Has the machine probed anew, as after closing other programs."""
        with self._lock:
            self._probe = self._probe if self.simulated else None

    def model_ready(self, model_id: str) -> bool:
        return models.is_ready(self.workspace, self._chosen(model_id))

    def model_size(self, model_id: str) -> float | None:
        """MiB that the model takes on this computer's disk; None when it is not here."""
        return models.size(self.workspace, model_id) if self.model_ready(model_id) else None

    def preparing(self) -> Job | None:
        """The job that unpacks the embedded model, while it waits or works."""
        return next((job for job in self.runner.jobs(kind="prepare") if not job.state.is_terminal), None)

    def download(self, model_id: str) -> str:
        """Queues the download of a model of the catalogue and gives the job's id; `runner.stop` cancels it.

        A download that was stopped or broke off goes on where it was. The job's `progress` counts MiB; its `failure`
        says in plain words what to do about a gated model, no network or no room. Raises BadInput for another model.
        """
        if self.simulated:
            raise BadInput(SIMULATED, "", "Open the page without --hardware to download a model.")
        entry = catalogue.find(model_id)
        going = self.downloading(entry.id)
        return going.id if going else self.runner.submit("download", {"model": entry.id}, f"Download {entry.name}")

    def downloading(self, model_id: str) -> Job | None:
        """The job that downloads this model, while it waits or works."""
        latest = self.last_download(model_id)
        return latest if latest and not latest.state.is_terminal else None

    def last_download(self, model_id: str) -> Job | None:
        """The latest job that downloads or downloaded this model: how it stands, or why it failed."""
        jobs = self.runner.jobs(kind="download")
        return next((job for job in jobs if planning.downloaded_by(self.runner.folder(job.id)) == model_id), None)

    def downloads(self) -> dict[str, Job]:
        """The latest download of each model that one was asked for, by the model's id."""
        found: dict[str, Job] = {}
        for job in self.runner.jobs(kind="download"):
            found.setdefault(planning.downloaded_by(self.runner.folder(job.id)), job)
        found.pop("", None)
        return found

    def remove_model(self, model_id: str) -> float:
        """Deletes a downloaded model, or what came of it, and gives the MiB that are free again.

        Raises BadInput while a run needs it, and what `download.remove` raises.
        """
        entry = catalogue.find(model_id)
        waiting = [job for job in self.runner.jobs(kind="train") if not job.state.is_terminal]
        if any(self.spec(job.id).model.id == entry.id for job in waiting):
            raise BadInput(f"{entry.name} is being trained.", "", "Stop that training first.")
        self.stop_chat()
        freed = download.remove(self.workspace, entry.id)
        if latest := self.last_download(entry.id):
            self.runner.delete(latest.id)  # so that the next download begins anew in words too
        return freed

    def not_ready(self, model_id: str = "") -> str:
        """Why the model can't be used now, in sentences; "" when it can."""
        if self.model_ready(model_id):
            return ""
        if self._chosen(model_id) != models.DEFAULT:
            return NOT_HERE if self.downloading(self._chosen(model_id)) is None else COMING
        latest = next(iter(self.runner.jobs(kind="prepare")), None)
        if latest is None or latest.failure is None:
            return "The model is still being made ready; this takes a moment."
        told = (latest.failure.what, latest.failure.why, latest.failure.next, "Then start Apprentice again.")
        return " ".join(filter(None, told))

    def tokeniser(self, model_id: str) -> Tokeniser | None:
        """The model's tokeniser; None when the model is not here yet."""
        try:
            return models.tokeniser(self.workspace, self._chosen(model_id))
        except MissingPart:
            return None

    def reader(self, model_id: str) -> Model | None:
        """The model as far as examples are looked at for it; None when it is not here yet."""
        tokeniser = self.tokeniser(model_id)
        if tokeniser is None:
            return None
        return Model(tokeniser, catalogue.entry(self.workspace, self._chosen(model_id)).languages)

    def recommendation(self, task: str = "", data_id: str = "", model_id: str = "") -> Recommendation:
        """The model and settings for this machine, task and data; for one model when `model_id` is given."""
        return recommend(**self._question(task, data_id, model_id), model_id=model_id or None, compare=False)

    def others(self, task: str = "", data_id: str = "") -> tuple[Option, ...] | None:
        """All models for this machine, task and data, the recommended one first; None while they are compared."""
        question = self._question(task, data_id)
        found = self._compared.get(tuple(question.items()), lambda: recommend(**question))
        return found and (found, *found.others)

    def better(self, task: str = "", data_id: str = "") -> Recommendation | None:
        """The model that would be recommended if all were here; None while it is looked for and where it is here."""
        question = self._question(task, data_id) | {"available": None, "compare": False}
        found = self._compared.get(tuple(question.items()), lambda: recommend(**question))
        return found if found and found.model.id not in self._available() and not self.simulated else None

    def _question(self, task: str, data_id: str, model_id: str = "") -> dict[str, Any]:
        """What a recommendation depends on."""
        brought = self.brought(data_id, model_id) if self.shelf.has(data_id) else None
        return {
            "hardware": self.hardware().hardware,
            "task": cast(Task, task) if task in TASKS else None,
            "available": None if self.simulated else tuple(sorted(self._available())),
            "rates": self._rates(),
            **planning.told(brought),
        }

    def _rates(self) -> Rates | None:
        """This machine's speed, once it was measured."""
        return None if self.simulated else calibrate.rates(self.workspace)

    def tailored(self, task: str = "", data_id: str = "", model_id: str = "", trainer: Trainer = "sft") -> Tailored:
        """The settings for one model ("": the recommended one), what they need, and why each is as it is."""
        brought = self.brought(data_id, model_id) if self.shelf.has(data_id) else None
        asked = cast(Task, task) if task in TASKS else None
        data = Data(task=asked, trainer=trainer, **planning.told(brought, trainer))
        entry = catalogue.entry(self.workspace, self._chosen(model_id))
        return tailor(entry, self.hardware().hardware, data, self._rates())

    def _available(self) -> set[str]:
        """The models that can be trained now."""
        return {entry.id for entry in catalogue.all() if entry.embedded or models.is_ready(self.workspace, entry.id)}

    def _chosen(self, model_id: str) -> str:
        """The model that a person chose, else the recommended one."""
        if model_id or (self._available() == {models.DEFAULT} and not self.simulated):
            return model_id or models.DEFAULT
        return self.recommendation().model.id

    # Data

    def samples(self) -> list[Sample]:
        return list(samples.SAMPLES)

    def add_data(self, path: Path, name: str) -> str:
        """Reads a file and keeps it; waits until that is done."""
        return self.shelf.add(path, name)

    def bring(self, path: Path, name: str, model_id: str = "") -> str:
        """Begins to read a file in the background and gives the id that its examples will have; see `reading`."""
        return self._bringing.file(path, name, self.reader(model_id))

    def bring_text(self, text: str, model_id: str = "") -> str:
        return self._bringing.text(text, "Pasted text", self.reader(model_id))

    def bring_table(self, rows: list[list[str]], model_id: str = "") -> str:
        return self._bringing.text(samples.table_as_lines(rows), "Typed examples", self.reader(model_id))

    def read_again(self, data_id: str, how: dict[str, Any], model_id: str = "") -> None:
        """Begins to read a data set as `how` says (fields of ReadOptions; {}: as found)."""
        self._bringing.again(data_id, how, self.reader(model_id))

    def bring_again(self, reading_id: str, how: dict[str, Any], model_id: str = "") -> None:
        """Begins once more to bring what could not be read, now as `how` says."""
        self._bringing.once_more(reading_id, how, self.reader(model_id))

    def reading(self, choice: Choice) -> Reading | None:
        """How far the examples are that are being read or looked at now, or why they could not be read."""
        if choice.reading_id:
            return self._bringing.reading(choice.reading_id)
        return self._bringing.looking(choice.data_id)

    def data_mark(self, data_id: str) -> Hashable:
        """What is another whenever `data_soon` may have something new to say, in whichever window it was done."""
        return self._bringing.mark(data_id) if data_id else ()

    def cancel_reading(self, choice: Choice) -> None:
        self._bringing.cancel(choice.reading_id)

    def data_sets(self) -> list[Kept]:
        """The data sets that were brought, newest first."""
        return self.shelf.all()

    def delete_data(self, data_id: str) -> None:
        """Deletes a data set; runs keep the rows that they practise on. Raises BadInput when it is not here."""
        self.shelf.remove(data_id)
        shutil.rmtree(self._data_files(data_id), ignore_errors=True)
        self._files.pop(data_id, None)

    def brought(self, data_id: str, model_id: str = "", lengths: Lengths = UNLIMITED) -> Brought:
        found = self._bringing.look(data_id, self.reader(model_id), lengths)
        assert found is not None  # it was waited for
        return found

    def lengths(self, choice: Choice) -> Lengths:
        """How much the planned run gives the model of a row: as set by hand, else as is recommended. Waits until the
        examples are checked."""
        trainer: Trainer = "dpo" if choice.settings.get("trainer") == "dpo" else "sft"
        recommended = self.tailored(choice.task, choice.data_id, choice.model_id, trainer).settings
        try:
            return Lengths.of(settings_from({**recommended.model_dump(), **choice.settings}))
        except ApprenticeError:  # which Train tells at its field
            return Lengths.of(recommended)

    def _for_run(self, choice: Choice, seconds: float | None = None) -> Brought | None:
        """The examples as the planned run takes them; None when finding that out takes longer than `seconds`."""
        model = self.reader(choice.model_id)
        whole = self._bringing.look(choice.data_id, model, UNLIMITED, seconds)
        if whole is None or not whole.longest:
            return whole
        lengths = self.lengths(choice)
        if not whole.documents and whole.longest <= (lengths.max_length or whole.longest):
            return whole  # nothing is cut or divided
        return self._bringing.look(choice.data_id, model, lengths, seconds)

    def _waited_for(self, choice: Choice) -> Brought:
        found = self._for_run(choice)
        assert found is not None  # it was waited for
        return found

    def data(self, choice: Choice) -> DataState:
        """The chosen examples as they stand for the planned run; waits until they are checked."""
        return planning.data_state(self._waited_for(choice))

    def data_soon(self, choice: Choice) -> DataState | None:
        """The same, or None when it takes longer than a moment; `reading` then says how far it is."""
        found = self._for_run(choice, bringing.SOON)
        return planning.data_state(found) if found else None

    def accept(self, data_id: str, kind: str, rows: Literal["all"] | list[int]) -> None:
        self.shelf.accept(data_id, kind, rows)

    def refuse(self, data_id: str, kind: str, rows: Literal["all"] | list[int] = "all") -> None:
        """Leaves rows with this kind of problem as they are."""
        self.shelf.refuse(data_id, kind, rows)

    def undo(self, data_id: str, kind: str) -> None:
        """Takes back what was accepted or refused for a kind of problem."""
        self.shelf.undo(data_id, kind)

    def data_files(self, choice: Choice) -> DataFiles:
        """Writes the mended examples and the list of changes to where the page may serve them from."""
        brought = self._waited_for(choice)
        files = planning.data_files(brought, self._data_files(choice.data_id))
        self._files[choice.data_id] = brought.about, files
        return files

    def made_files(self, choice: Choice) -> DataFiles | None:
        """What `data_files` wrote, while nothing else was said of the examples."""
        about, files = self._files.get(choice.data_id, (None, None))
        return files if files and about == self.shelf.about(choice.data_id) else None

    def _data_files(self, data_id: str) -> Path:
        return child(self.workspace.exports, f"data-{data_id}")

    def set_validation(self, data_id: str, path: Path, name: str) -> None:
        """Tests with this file instead of a part of the examples. Raises BadInput when it can't serve as one."""
        self.shelf.set_validation(data_id, path, name)

    def clear_validation(self, data_id: str) -> None:
        self.shelf.clear_validation(data_id)

    def preview(self, choice: Choice) -> Preview:
        """The chosen example as the planned run takes it. Raises BadInput when it can't be shown."""
        brought, tokeniser = self._waited_for(choice), self.tokeniser(choice.model_id)
        lengths = self.lengths(choice) if tokeniser else UNLIMITED
        return previewing.preview(brought, choice.row, tokeniser, lengths, self.not_ready)

    def step(self, choice: Choice, way: int) -> int:
        """The number of the next example (way 1), or of the one before (-1); 0: the nearest."""
        return previewing.step(self._waited_for(choice), choice.row, way)

    def find(self, choice: Choice, text: str, way: int) -> Hits:
        """The next example (way 1), or the one before (-1), that holds `text`."""
        return previewing.find(self._waited_for(choice), text, choice.row, way)

    # Training

    def plan(self, data_id: str, model_id: str, settings: TrainSettings) -> Plan:
        brought = self.brought(data_id, model_id, Lengths.of(settings))
        entry, why_not = catalogue.entry(self.workspace, self._chosen(model_id)), self.not_ready(model_id)
        why_not = SIMULATED if self.simulated else why_not
        ahead = planning.plan(brought, entry, why_not, settings, self.hardware().hardware, self._rates())
        if why_not:
            return ahead
        sizes = ahead.train_rows, ahead.validation_rows, ahead.longest
        model = models.reference(self.workspace, entry.id)
        key = preflight.key(model, settings, brought.original.source.sha256, *sizes)
        return planning.with_measured(ahead, preflight.recall(self.workspace, key))

    def start_training(self, data_id: str, model_id: str, settings: TrainSettings, name: str = "") -> str:
        """Queues a run and gives its id.

        Raises BadInput naming the first row at fault, TrainingFailed or NotEnough; then nothing starts.
        """
        if self.simulated:
            raise BadInput(SIMULATED, "", "Open the page without --hardware to train.")
        model_id = self._chosen(model_id)
        model = models.reference(self.workspace, model_id)
        tokeniser = models.tokeniser(self.workspace, model_id)
        brought = self.shelf.open(data_id, self.reader(model_id), Lengths.of(settings))
        if brought.blocked:
            raise BadInput("Training can't begin with these examples.", brought.blocked, "Mend them first.")
        name = name[:100] or planning.run_name(brought.name)
        parts = planning.parts(brought, settings)
        refusals.must_have_template(tokeniser, any(row.messages for row in brought.rows))
        prepared = prepare.prepare_run(brought.rows, brought.original.source, parts, tokeniser, model, settings, name)
        refusals.before_start(prepared, self.workspace.runs, catalogue.entry(self.workspace, model_id).architecture)
        held_out = samples.held_out_of(brought, parts)

        def write(folder: Path) -> None:
            samples.write_held_out(folder, held_out)
            prepared.write(folder)

        return self.runner.submit("train", prepared.spec.model_dump(mode="json"), name, prepare=write)

    def resume(self, run_id: str) -> None:
        """Queues a run again. Raises RunProblem in a wrong state, and what `refusals.before_resume` raises."""
        job = self.runner.job(run_id)
        if job.kind == "train" and job.state.can_resume:
            refusals.before_resume(self.runner.folder(run_id), self.spec(run_id))
        self.runner.resume(run_id)

    def spec(self, run_id: str) -> RunSpec:
        """All that defines a run. Raises RunProblem when it is none of our trainings."""
        return models.read_run(self.runner.folder(run_id))

    def curve(self, run_id: str) -> Curve:
        """The run's steps, evaluations and sample answers so far."""
        with self._lock:
            known = self._curves.get(run_id, Curve())
            news = self.runner.events(run_id, known.position)
            curve = Curve() if news.reset else known
            for event in news.events:
                if event.kind in CURVE_KINDS:
                    getattr(curve, CURVE_KINDS[event.kind]).append(event.data)
            curve.position = news.position
            self._curves[run_id] = curve
            return curve

    def curve_position(self, run_id: str) -> int:
        return self.curve(run_id).position

    def queue_position(self, run_id: str) -> int:
        """How many runs go before this one."""
        runs = [job for job in self.runner.jobs() if job.kind == "train" and not job.state.is_terminal]
        return len([job for job in runs if job.created < self.runner.job(run_id).created])

    def verdict(self, run_id: str) -> Any:
        """What the curve says, in plain words; None while it says nothing yet."""
        curve, spec = self.curve(run_id), self.spec(run_id)
        return monitor.diagnose(curve.steps, curve.evals, spec.settings, self._expected_speed(run_id, spec))

    def _expected_speed(self, run_id: str, spec: RunSpec) -> float | None:
        """Tokens a second that the run should reach at least: measured before it, else computed; None before."""
        if measured := self.curve(run_id).preflights:
            return float(measured[-1]["tokens_per_second"]) / planning.SPREAD
        if run_id not in self._speeds:
            rates = calibrate.rates(self.workspace)
            if rates is None:
                return None
            self._speeds[run_id] = planning.expected_speed(spec, self.hardware().hardware, rates)
        return self._speeds[run_id]

    def retry(self, run_id: str) -> str:
        """Queues the run again with the one change that its verdict names, on the same rows; gives the new run's id.

        Raises RunProblem when the verdict names none.
        """
        verdict, spec, folder = self.verdict(run_id), self.spec(run_id), self.runner.folder(run_id)
        if verdict is None or not verdict.retry:
            raise RunProblem("There is nothing to change in this run.", "Its curve gives no reason to.", "")
        again = planning.repeated(spec, run_id, verdict.retry)

        def write(new: Path) -> None:
            shutil.copytree(folder / "data", new / "data", dirs_exist_ok=True)

        return self.runner.submit("train", again.model_dump(mode="json"), again.name, prepare=write)

    def compared(self, run_id: str) -> Compared:
        """A run, with the settings as used, as it is set beside another one."""
        spec = rescue.as_used(self.runner.folder(run_id), self.spec(run_id))
        return Compared(spec, self.runner.job(run_id), self.curve(run_id))

    def repeats(self, run_id: str) -> str:
        """The run that this one repeats with a change; "" if none, or if that one is no longer here."""
        first = self.spec(run_id).retry_of
        return first if first and self.run_state(first) else ""

    # Trying

    def has_model(self, run_id: str) -> bool:
        """Whether a run is done or stopped and has kept what it learned."""
        ended = self.runner.job(run_id).state in (State.COMPLETED, State.STOPPED)
        return ended and folder_of(self.runner.folder(run_id), self.spec(run_id).settings.method).is_dir()

    def trained(self, run_id: str) -> Path:
        """The folder of what a run learned. Raises RunProblem when there is nothing yet."""
        folder = folder_of(self.runner.folder(run_id), self.spec(run_id).settings.method)
        if self.runner.job(run_id).state not in WITH_MODEL or not folder.is_dir():
            raise RunProblem(
                "This run has nothing to try yet.", "It has not saved what it learned.", "Wait until it ends."
            )
        return folder

    def ask(
        self, run_id: str, asked: dict[str, Any], temperature: float = 0.0, max_new_tokens: int = 256, seed: int = 0
    ) -> Iterator[tuple[str, str, bool]]:
        """Answers of the base and the tuned model as they come: (pane, text so far, done)."""
        sampling = {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
        return self._chat.ask(self._opened(run_id), asked, **sampling)

    def _opened(self, run_id: str) -> Opened:
        spec, learned = self.spec(run_id), self.trained(run_id)
        return Opened(run_id, spec.model.path, learned)

    def answer_once(
        self, run_id: str, prompt: str, base: bool = False, gguf: Path | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """One answer of the tuned model, its base or an exported file, with `tokens` and `tokens_per_second`."""
        sampling = {} if seed is None else {"temperature": 0.8, "seed": seed}
        if gguf is None:
            return self._chat.once(self._opened(run_id), "base" if base else "tuned", prompt, **sampling)
        self.runner.job(run_id)
        return self._chat.once_from_file(gguf, prompt, **sampling)

    def chat_proof(self, run_id: str) -> Proof | None:
        """The proof about the open chat; None until the run was asked something."""
        return self._chat.proof(run_id)

    def answering(self) -> bool:
        """Whether an answer is being given."""
        return self._chat.answering

    def was_asked(self, run_id: str) -> bool:
        return self.chat_proof(run_id) is not None

    def stop_chat(self) -> None:
        self._chat.stop()

    def held_out(self, run_id: str) -> list[HeldOut]:
        return samples.read_held_out(self.runner.folder(run_id))

    # Sharing

    def start_export(self, run_id: str, to: str) -> str:
        """Queues an export ("gguf:Q8_0", "adapter", "script", …) and gives its job id."""
        if to != "script":  # which needs no model: it makes one
            self.trained(run_id)
        spec = {"run": run_id, "to": to, "name": self.runner.job(run_id).name}
        return self.runner.submit("export", spec, to, parent=run_id)

    def exports(self, run_id: str) -> list[ExportLine]:
        """The exports of a run, newest first."""
        jobs = self.runner.jobs(kind="export", parent=run_id)
        return [export_line(job, self.workspace.exports / job.id) for job in jobs]

    def was_exported(self, run_id: str) -> bool:
        return any(export.state is State.COMPLETED for export in self.exports(run_id))

    def export_sizes(self, run_id: str) -> dict[str, float]:
        """What each export will weigh (MiB), computed from the files that it is made of."""
        return sizes(self.spec(run_id).model.path, self.trained(run_id))

    # The runs

    def runs(self) -> list[RunLine]:
        """Every training, newest first."""
        jobs = self.runner.jobs(kind="train")
        return [planning.run_line(job, self.runner.folder(job.id), self.curve(job.id)) for job in jobs]

    def losses(self, job: Job) -> dict[str, Any]:
        """first_eval_loss, eval_loss and eval_step of a run, in whatever state it is."""
        return planning.losses(job, self.curve(job.id))

    def delete(self, run_id: str) -> None:
        self.runner.delete(run_id)
        self._chat.forget(run_id)

    def run_state(self, run_id: str) -> str:
        """The state's name; "" when there is no such run."""
        try:
            return self.runner.job(run_id).state.value if run_id else ""
        except ApprenticeError:
            return ""

    def known(self, choice: Choice) -> Choice:
        """The browser's choice without what is no longer here, and with what has been read since."""
        if choice.run_id and not self.run_state(choice.run_id):
            choice = choice.but(run_id="")
        if choice.beside and not self.run_state(choice.beside):
            choice = choice.but(beside="")
        if choice.model_id and not planning.is_known(choice.model_id):
            choice = choice.but(model_id="")
        if choice.reading_id and self._bringing.reading(choice.reading_id) is None:
            choice = choice.but(reading_id="", **self._chosen_now(choice.reading_id))
        return choice if not choice.data_id or self.shelf.has(choice.data_id) else choice.but(data_id="")

    def _chosen_now(self, data_id: str) -> dict[str, Any]:
        """What changes when these examples are read; nothing when reading them was cancelled."""
        if not self.shelf.has(data_id):
            return {}
        rows = self.shelf.original(data_id).rows
        return {"data_id": data_id, "run_id": "", "row": rows[0].row if rows else 1}

    def opened(self, choice: Choice, run_id: str) -> Choice:
        """The browser's choice with another run opened."""
        spec = self.spec(run_id)
        return choice.but(run_id=run_id, model_id=spec.model.id if spec.model.id != embedded.MODEL_ID else "")
