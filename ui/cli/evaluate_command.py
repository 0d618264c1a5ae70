"""The command `evaluate`: is a model any good, on examples that it has not seen, after training or before it?"""

import argparse
from pathlib import Path

from backend.datasets.read.document import read_document
from backend.errors import BadUsage, ChatFailed
from backend.records.evaluation import PROMPT, EvaluationReport
from backend.settings import PROGRAM, Workspace
from ui.cli.follow import follow, require_completed
from ui.cli.model_commands import require_model, resolve_model
from ui.cli.options import (
    add_data_option,
    add_reading_options,
    add_validation_option,
    imported,
    positive,
    reading_options_typed,
)
from ui.cli.output import AddCommand, Answer
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import verdicts


def add_commands(add: AddCommand) -> None:
    evaluating = add("evaluate", evaluate, "evaluate a model on examples it has not seen")
    evaluating.add_argument("run", metavar="RUN", nargs="?", help="a trained model")
    evaluating.add_argument("--baselines", action="store_true", help="also try prompts and examples with the base")
    about_facts = "also try this text of facts in the prompt of the base (retrieval)"
    evaluating.add_argument("--facts", type=Path, metavar="FILE", help=about_facts)
    evaluating.add_argument("--items", type=positive, metavar="N", help="at most N questions (default: all)")
    add_data_option(evaluating, "instead of RUN: examples to try prompts on with the base model, without training")
    evaluating.add_argument("--model", metavar="ID", help="with --data: the base model")
    add_validation_option(evaluating)
    add_reading_options(evaluating)


def evaluate(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Evaluates a run, or tries prompts, and prints the report. Raises what the job failed with."""
    if bool(options.run) == bool(options.data):
        raise BadUsage("Name a RUN, or a file with --data.", "", f"See: {PROGRAM} evaluate --help")
    if options.run and (options.model or options.validation):
        raise BadUsage("--model and --validation are for --data only.", "A run has its own.", "Remove them.")
    if options.run and (typed := reading_options_typed(options)):
        why = "A run keeps its examples as they were read when it was trained."
        raise BadUsage(f"{', '.join(typed)} can't be used with a RUN.", why, "Remove it, or use --data.")
    if options.data and options.baselines:
        raise BadUsage("--baselines is for a RUN only.", "With --data, prompts are always tried.", "Remove it.")
    facts = read_document(options.facts) if options.facts else ""
    app = App(workspace)
    if options.data:
        return _try_prompts(app, options, facts)
    started = app.evaluations.start(options.run, baselines=options.baselines, items=options.items, facts=facts)
    job = follow(app, started)
    require_completed(job, ChatFailed, "The evaluation was stopped.")
    report = app.evaluations.report(job.id)
    return Answer(report.to_json(), _text(report))


def _try_prompts(app: App, options: argparse.Namespace, facts: str) -> Answer:
    model_id = resolve_model(app, options.model)
    require_model(app, model_id)
    data_id = imported(app, options)
    choice = Choice(data_id=data_id, model_id=model_id)
    if options.validation:
        app.validation_files.set(choice.data_id, options.validation, options.validation.name)
    job = follow(app, app.prompt_trials.start(choice, options.items, facts))
    require_completed(job, ChatFailed, "The trial of prompts was stopped.")
    report = app.prompt_trials.report(job.id)
    lines = [f"{verdicts.trial_title(report)}. {report.next}"]
    lines += [verdicts.system_line(name, report) for name in report.systems]
    if instruction := report.systems[PROMPT].instruction:
        lines.append(f"The best instruction: {instruction}")
    return Answer(report.to_json(), "\n".join(lines))


def _text(report: EvaluationReport) -> str:
    lines = [verdicts.sentence(report)]
    if parent := verdicts.against_parent(report):
        lines.append(": ".join(parent))
    lines += [verdicts.system_line(name, report) for name in report.systems]
    return "\n".join([*lines, report.next])
