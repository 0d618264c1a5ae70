"""The command `evaluate`: is the model of a run any good, on the examples that it has not seen?"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from backend.errors import ChatFailed
from backend.settings import Workspace
from ui.cli.follow import follow, require_completed
from ui.cli.options import positive
from ui.cli.output import AddCommand, Answer
from ui.services.app import App
from ui.text import verdicts


def add_commands(add: AddCommand) -> None:
    evaluating = add("evaluate", evaluate, "is a trained model any good, on examples it has not seen?")
    evaluating.add_argument("run", metavar="RUN")
    evaluating.add_argument("--baselines", action="store_true", help="also try prompts and examples with the base")
    evaluating.add_argument("--items", type=positive, metavar="N", help="at most N questions (default: all)")


def evaluate(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Evaluates a run and prints the report. Raises what the evaluation's job failed with."""
    app = App(workspace)
    job = follow(app, app.evaluations.start(options.run, baselines=options.baselines, items=options.items))
    require_completed(job, ChatFailed, "The evaluation was stopped.")
    report = app.evaluations.report(job.id)
    return Answer(report, _text(report))


def _text(report: Mapping[str, Any]) -> str:
    lines = [verdicts.sentence(report)]
    lines += [verdicts.system_line(name, report) for name in report["systems"]]
    return "\n".join([*lines, verdicts.forgetting(report), report["next"]])
