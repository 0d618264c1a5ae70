"""What each command does. Every function gives an Answer: a JSON document, and the same in words."""

from __future__ import annotations

import argparse
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backend.datasets.checks.fix import SAFE_FIXES
from backend.datasets.checks.report import summary
from backend.datasets.dataset import CheckedDataset, check_and_fix, require_compatible
from backend.datasets.info import DatasetInfo, RowsByKind
from backend.datasets.read.load import load
from backend.datasets.token_counts import TokenCounter
from backend.datasets.write_fixed import write_fixed
from backend.errors import ApprenticeError, BadInput, MissingPart, RunProblem
from backend.hardware import load_hardware
from backend.models import local
from backend.records.events import DownloadedEvent, DryRunEvent, EvalEvent, LoggedEvent, NoteEvent, StepEvent
from backend.records.lengths import LengthLimits
from backend.records.specs import parse_new_settings
from backend.settings import Workspace
from jobs.records import Job, State
from ui.records import RunSummary
from ui.services import losses
from ui.services.app import App
from ui.text import format as fmt


@dataclass(frozen=True)
class Answer:
    """document: what --json prints. text: the same for reading. exit_code: 0, or 1 when the input is at fault."""

    document: Any
    text: str = ""
    exit_code: int = 0


def say(text: str) -> None:
    """A message for people; stdout is left for the answer."""
    print(text, file=sys.stderr, flush=True)


def serve(options: argparse.Namespace, workspace: Workspace) -> Answer:
    from ui.web.serve import serve as open_page

    simulated = load_hardware(options.hardware) if options.hardware else None
    open_page(workspace, options.host, options.port, not options.no_browser, simulated)
    return Answer({})


# Data


def check(options: argparse.Namespace, workspace: Workspace) -> Answer:
    found = checked_for(options.file, workspace, options.model, options.max_tokens, validation=options.validation)
    lines = [
        f"{p.severity}: " + (f"line {p.line}, row {p.row}: " if p.row else "") + p.message
        for p in found.report.problems
    ]
    return Answer(found.report.to_json(), "\n".join([*lines, *summary(found.report)]))


def fix(options: argparse.Namespace, workspace: Workspace) -> Answer:
    accepted = [kind.strip() for kind in options.accept.split(",")] if options.accept else SAFE_FIXES
    fixed = checked_for(options.file, workspace, accepted=dict.fromkeys(accepted, "all")).fixed
    if not fixed.dataset.rows:
        raise BadInput(
            "No example is left, so nothing was written.",
            f"None of {options.file.name} can be used as it is: {fmt.count(fixed.dropped, 'row')} left out.",
            "See what is wrong with: check FILE",
        )
    log = write_fixed(fixed, options.output)
    document = {"changed": fixed.changed, "dropped": fixed.dropped, "rows": len(fixed.dataset.rows), "log": str(log)}
    return Answer(document, f"{fixed.changed} rows changed, {fixed.dropped} left out. What was done: {log}")


def checked_for(
    path: Path,
    workspace: Workspace,
    model_id: str | None = None,
    max_length: int | None = None,
    accepted: RowsByKind | None = None,
    validation: Path | None = None,
) -> CheckedDataset:
    """The file as it stands for a model, with the fixes accepted; nothing is kept. validation: to test with."""
    dataset, test = load(path), load(validation) if validation else None
    if test:
        require_compatible(test, dataset)
    app = App(workspace)
    measurer = TokenCounter(ready_tokenizer(app, model_id))
    reader, about = app.models.target_model(model_id or ""), DatasetInfo(path.name, accepted=accepted or {})
    languages = reader.languages if reader else ()
    return check_and_fix("", about, dataset, measurer, LengthLimits(max_length), test, languages=languages)


def ready_tokenizer(app: App, model_id: str | None) -> Any:
    """The model's tokeniser, the embedded model being unpacked first if it is not."""
    tokenizer = app.models.tokenizer(model_id or "")
    if tokenizer is None and not model_id:
        prepare_model(app)
        tokenizer = app.models.tokenizer("")
    if tokenizer is None:
        raise MissingPart(
            f"The model {model_id} is not on this computer.", "", "Leave --model out to use the embedded one."
        )
    return tokenizer


def named(app: App, model: str | None) -> str:
    """The id of a model given by its id or as a folder on this computer; "" for none."""
    place = Path(model).expanduser() if model else None
    return local.register_folder(app.workspace, place) if place and place.is_dir() else model or ""


def prepare_model(app: App) -> None:
    """Unpacks the embedded model, showing its progress."""
    say("Unpacking the embedded model, once.")
    job = follow(app, app.runner.submit("prepare", {}, "Unpack the model"))
    if job.failure:
        raise MissingPart(job.failure.what, job.failure.why, job.failure.next)


def datasets(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    if options.delete:
        app.datasets.delete(options.delete)
        return Answer({"deleted": options.delete}, "Deleted. Runs keep the rows that they practise on.")
    kept = app.datasets.all()
    text = "\n".join(f"{one.id}  {one.bytes:>12,} bytes  {one.name}" for one in kept)
    return Answer({"datasets": [vars(one) for one in kept]}, text or "No examples are kept.")


# Runs


def train(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    typed = dict(pair.partition("=")[::2] for pair in options.settings)
    if wrong := [pair for pair in options.settings if "=" not in pair]:
        raise BadInput(
            f"{wrong[0]!r} is not a setting.", "A setting has the form key=value.", "For example: --set seed=1"
        )
    trainer = parse_new_settings(typed).trainer  # a misspelt setting is told before anything else is done
    model_id = named(app, options.model)
    ready_tokenizer(app, model_id)
    data_id = app.datasets.add(options.data, options.data.name)
    if options.validation:
        app.datasets.set_validation(data_id, options.validation, options.validation.name)
    base = app.advice.settings("", data_id, model_id, trainer).settings
    settings = parse_new_settings({**base.model_dump(), **typed})
    run_id = app.runs.start(data_id, model_id, settings, options.name or "")
    say(f"Run {run_id}. Ctrl-C stops and saves.")
    return ended(app, follow(app, run_id))


def resume(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    told = app.runner.events(options.run).position
    app.runs.resume(options.run)
    return ended(app, follow(app, options.run, told))


def stop(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    app.runner.stop(options.run)
    return run_answer(app, app.runner.wait(options.run))


def show(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    app.runner.tick()
    return run_answer(app, app.runner.job(options.run), detailed=True)


def runs(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    app.runner.tick()
    lines = app.runs.all()
    document = {"runs": [_listed(run) for run in lines]}
    text = "\n".join(f"{run.info.id}  {run.state.value:11}  {run.info.name}" for run in lines)
    return Answer(document, text or "Nothing is trained yet.")


def _listed(run: RunSummary) -> dict[str, Any]:
    return {**asdict(run.info), "state": run.state, "created": run.created, **losses.as_json(run.losses)}


def delete(options: argparse.Namespace, workspace: Workspace) -> Answer:
    App(workspace).runner.delete(options.run)
    return Answer({"deleted": options.run}, "Deleted.")


def ended(app: App, job: Job) -> Answer:
    """A run that was waited for: exit code 1 unless it completed or was stopped."""
    well = job.state in (State.COMPLETED, State.STOPPED)
    return replace(run_answer(app, job), exit_code=0 if well else 1)


def follow(app: App, job_id: str, told: int = 0) -> Job:
    """Waits for a job, showing its events from position `told` on stderr; Ctrl-C asks it to stop and waits on."""
    shown = Shown(told)
    while True:
        try:
            return app.runner.wait(job_id, on_event=shown.event, after=shown.position(app, job_id))
        except KeyboardInterrupt:
            say("Stopping and saving.")
            with suppress(RunProblem):  # it has just ended by itself
                app.runner.stop(job_id)


class Shown:
    """Prints the events of a run as lines, each once."""

    def __init__(self, told: int) -> None:
        self._told, self._began = told, False

    def position(self, app: App, job_id: str) -> int:
        """Where to go on: what was told before is not told again."""
        if self._began:
            self._told = app.runner.events(job_id).position
        self._began = True
        return self._told

    def event(self, logged: LoggedEvent) -> None:
        match logged.event:
            case StepEvent() as step:
                say(f"step {step.step}: training loss {step.loss:.3f}, {step.tokens_per_second or 0:.0f} tokens/s")
            case EvalEvent() as test:
                say(f"step {test.step}: validation loss {test.loss:.3f}")
            case DryRunEvent() as measured:
                memory, speed = fmt.size(measured.memory_mib), measured.tokens_per_second
                say(f"Measured on your longest examples: {memory} of memory at the peak; {speed:.0f} tokens/s.")
            case DownloadedEvent() as download:
                say(f"{download.mib:,} of {download.of:,} MiB")
            case NoteEvent() as note:
                say(" ".join(filter(None, (note.title, note.what, note.next))))


def run_answer(app: App, job: Job, detailed: bool = False) -> Answer:
    """A run as `train --json` promises it."""
    document: dict[str, Any] = {"run_id": job.id, "name": job.name, "state": job.state.value, **job.result}
    figures = losses.as_json(app.runs.losses(job)) if job.kind == "train" else {}
    document |= figures
    text = [f"{job.name}: {job.state.value}."]
    if job.failure:
        document["failure"] = job.failure.model_dump()
        text += [job.failure.what, job.failure.why, job.failure.next]
        if shorter := app.retries.shortening(job.id) if job.kind == "train" else None:
            document["failure"]["shorter"] = asdict(shorter)
            text.append(fmt.shorter(shorter))
    if figures.get("eval_loss") is not None:
        text.append(tested(**figures))
    if detailed and job.kind == "train":
        document["spec"] = app.runs.spec(job.id).model_dump(mode="json")
        document["folder"] = str(app.runner.folder(job.id))
    return Answer(document, "\n".join(filter(None, text)))


def tested(first_eval_loss: float | None, eval_loss: float, eval_step: int | None) -> str:
    """The losses on the held-back examples, and when the last was measured."""
    if eval_step == 0:
        return f"Test loss {eval_loss:.4f} before training; not tested since."
    began = "" if first_eval_loss is None else f"{first_eval_loss:.4f} -> "
    return f"Test loss {began}{eval_loss:.4f}" + (f" (tested at step {eval_step})." if eval_step else ".")


# Using a model


def chat(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    try:
        gguf = options.gguf.resolve() if options.gguf else None
        if gguf and not gguf.is_file():
            raise BadInput(f"There is no file {options.gguf}.", "", "Give the path of a GGUF file.")
        answer = app.results.answer_once(options.run, options.prompt, options.base, gguf, options.seed)
        return Answer(answer, answer["text"])
    finally:
        app.close()


def export(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    job = follow(app, app.results.start_export(options.run, options.to))
    if job.state is not State.COMPLETED:
        failure = job.failure
        raise ApprenticeError(*(failure.what, failure.why, failure.next) if failure else ("The export was stopped.",))
    made = workspace.exports / job.id
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for path in sorted(made.iterdir()):
            target = options.output / path.name
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            shutil.move(path, target)
    except OSError as error:
        raise BadInput(
            f"The files could not be put into {options.output}.",
            f"The system says: {error.strerror or error}.",
            f"They lie in {made}.",
        ) from error
    app.runner.delete(job.id)
    files = [{**file, "path": str(options.output / file["name"])} for file in job.result["files"]]
    document = {**job.result, "files": files}
    return Answer(document, "\n".join(file["path"] for file in files))
