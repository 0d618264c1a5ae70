"""The commands about training runs: train, runs, show, rename, stop, resume, delete."""

import argparse
from dataclasses import replace
from typing import Any

from backend.errors import BadInput, BadUsage
from backend.records.lengths import LengthLimits
from backend.records.specs import TrainSettings
from backend.records.training import TrainingResult
from backend.settings import PROGRAM, Workspace
from jobs.records import Job, State
from ui.cli.data_commands import warnings
from ui.cli.follow import follow
from ui.cli.model_commands import require_model, resolve_model
from ui.cli.options import (
    add_answer_options,
    add_data_option,
    add_reading_options,
    add_validation_option,
    imported,
    refuse_reading_options,
    require_answers,
)
from ui.cli.output import AddCommand, Answer, say
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import losses, verdicts

HELP = f"See: {PROGRAM} train --help"


def add_commands(add: AddCommand) -> None:
    training = add("train", train, "train a model; Ctrl-C stops and saves")
    add_data_option(training)
    training.add_argument(
        "--continue",
        dest="parent",
        metavar="RUN",
        help="train the next version of RUN: it continues what RUN learned, on its examples or on --data",
    )
    training.add_argument(
        "--from-base",
        action="store_true",
        help="with --continue: start from the base model again",
    )
    add_validation_option(training)
    add_reading_options(training)
    add_answer_options(training)
    training.add_argument(
        "--model", metavar="ID", help="or the folder of a model on this computer"
    )
    training.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
    )
    training.add_argument("--name", metavar="N", help="a name for the run")
    training.add_argument(
        "--no-evaluation",
        action="store_true",
        help="do not evaluate the model when it is trained",
    )
    add("runs", runs, "list the runs")
    for name, command, text in (
        ("show", show, "show one run"),
        ("stop", stop, "stop a run and save what it learned"),
        ("resume", resume, "continue a run that was stopped or interrupted"),
        ("delete", delete, "delete a run and its exports"),
    ):
        add(name, command, text).add_argument("run", metavar="RUN")
    renaming = add("rename", rename, "give a run another name")
    renaming.add_argument("run", metavar="RUN")
    renaming.add_argument(
        "name", metavar="NAME", help="an empty name restores the original"
    )


def train(options: argparse.Namespace, workspace: Workspace) -> Answer:
    if options.parent is None:
        if options.data is None:
            raise BadUsage("Train needs --data FILE, or --continue RUN.", "", HELP)
        if options.from_base:
            raise BadUsage("--from-base needs --continue RUN.", "", HELP)
    elif not options.data:
        refuse_reading_options(options, "without --data", "add --data FILE")
    app = App(workspace)
    run_id = _start(app, options)
    say(f"Run {run_id}. Ctrl-C stops and saves.")
    return _ended(app, follow(app, run_id))


def _start(app: App, options: argparse.Namespace) -> str:
    """Queues a run on a file, or on the examples of the run that it continues."""
    typed = dict(pair.partition("=")[::2] for pair in options.settings)
    if wrong := [pair for pair in options.settings if "=" not in pair]:
        raise BadInput(
            f"{wrong[0]!r} is not a setting.",
            "It needs the form key=value.",
            "For example: --set seed=1",
        )
    trainer = TrainSettings.parse_new(
        typed
    ).trainer  # reports a misspelled setting before anything else is done
    version = (
        app.versions.next(options.parent, from_base=options.from_base)
        if options.parent
        else None
    )
    model_id = resolve_model(
        app,
        options.model or (app.runs.spec(options.parent).model.id if version else None),
    )
    require_model(app, model_id)
    data_id = (
        imported(app, options) if options.data else app.versions.data_id(options.parent)
    )
    if options.validation:
        app.validation_files.set(data_id, options.validation, options.validation.name)
    advice = app.advice.settings(
        Choice(data_id=data_id, model_id=model_id, settings={"trainer": trainer})
    )
    if version and version.continues:
        advice = app.versions.settings(options.parent, advice)
    settings = TrainSettings.parse_new({**advice.settings.model_dump(), **typed})
    app.versions.check(version, model_id, settings)
    checked = app.datasets.checked(
        data_id, model_id, LengthLimits.from_settings(settings)
    )
    require_answers(checked)
    for warning in warnings(checked.fixed_report):
        say(warning)
    evaluate = not options.no_evaluation
    return app.planning.start(
        data_id,
        model_id,
        settings,
        options.name or "",
        evaluate=evaluate,
        version=version,
    )


def runs(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    app.runner.tick()
    summaries = app.runs.all()
    lines = (
        f"{run.info.id}  {run.state.value:11}  {run.info.name}, v{run.info.version}"
        for run in summaries
    )
    listed = []
    for run in summaries:
        info, descent = run.info, run.info.descent
        names = ("id", "name", "model_name", "data_name", "examples", "version")
        about = {name: getattr(info, name) for name in names}
        about |= {"parent": descent.parent if descent else None, "note": run.note}
        listed.append(
            {
                **about,
                "state": run.state,
                "created": run.created,
                **losses.as_json(run.losses),
            }
        )
    return Answer({"runs": listed}, "\n".join(lines) or "There are no runs yet.")


def show(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    app.runner.tick()
    return run_answer(app, app.runner.job(options.run), detailed=True)


def rename(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    app.versions.describe(options.run, name=options.name)
    name = app.runs.job(options.run).name
    return Answer({"run_id": options.run, "name": name}, f"Renamed to {name}.")


def stop(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    app.runner.stop(options.run)
    return run_answer(app, app.runner.wait(options.run))


def resume(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    position = app.runner.events(options.run).position
    app.runs.resume(options.run)
    return _ended(app, follow(app, options.run, position))


def delete(options: argparse.Namespace, workspace: Workspace) -> Answer:
    App(workspace).delete_run(options.run)
    return Answer({"deleted": options.run}, "Deleted.")


def _ended(app: App, job: Job) -> Answer:
    """A run that has ended, and its evaluation: exit code 1 unless it completed or was
    stopped.
    """
    evaluation = (
        app.evaluations.latest(job.id) if job.state is State.COMPLETED else None
    )
    if evaluation and not evaluation.state.is_terminal:
        say("Checking its answers on examples it has not seen.")
        if failure := follow(app, evaluation.id).failure:
            say(f"The answers could not be checked: {failure.what} {failure.why}")
    well = job.state in (State.COMPLETED, State.STOPPED)
    return replace(run_answer(app, job), exit_code=0 if well else 1)


def run_answer(app: App, job: Job, detailed: bool = False) -> Answer:
    """A run as `train --json` prints it."""
    if job.kind == "train":
        job = job.model_copy(update={"name": app.runs.job(job.id).name})
    document: dict[str, Any] = {
        "run_id": job.id,
        "name": job.name,
        "state": job.state.value,
        **job.result,
    }
    figures = losses.as_json(app.runs.losses(job)) if job.kind == "train" else {}
    document |= figures
    text = [f"{job.name}: {job.state.value}."]
    if job.failure:
        document["failure"] = job.failure.model_dump()
        text += [job.failure.what, job.failure.why, job.failure.next]
    if figures.get("eval_loss") is not None:
        result = job.result_as(TrainingResult)
        text.append(
            _format_losses(**figures, saved=result.best_step if result else None)
        )
    if job.kind == "train":
        report = app.evaluations.summaries().get(job.id)
        names = ("verdict", "against_prompt", "against_parent")
        document["evaluation"] = evaluation = report.to_json() if report else None
        document |= {name: (evaluation or {}).get(name) for name in names}
        if report:
            parent = verdicts.against_parent(report)
            text += [verdicts.sentence(report), ": ".join(parent or ()), report.next]
    if detailed and job.kind == "train":
        spec, blind_test = app.runs.spec(job.id), app.blind_tests.outcome(job.id)
        document |= {"version": spec.version, "note": app.runs.note(job.id)}
        document["parent"] = spec.descent.parent if spec.descent else None
        document["blind_test"] = blind_test.to_json() if blind_test else None
        document["spec"] = spec.model_dump(mode="json")
        document["folder"] = str(app.runner.folder(job.id))
        text += [
            verdicts.blind_test(blind_test) if blind_test else "",
            app.runs.note(job.id),
        ]
    return Answer(document, "\n".join(filter(None, text)))


def _format_losses(
    first_eval_loss: float | None,
    eval_loss: float,
    eval_step: int | None,
    saved: int | None,
) -> str:
    """The validation loss before training and now, the step at which it was measured,
    and the saved one.
    """
    if eval_step == 0:
        measured = (
            f"Validation loss {eval_loss:.4f} before training; not measured since."
        )
    else:
        before = "" if first_eval_loss is None else f"{first_eval_loss:.4f} -> "
        measured = f"Validation loss {before}{eval_loss:.4f}" + (
            f", at step {eval_step}." if eval_step else "."
        )
    if saved is None:
        return measured
    return f"{measured} The saved model is from {'this step' if saved == eval_step else f'the last step, {saved}'}."
