"""The command `evaluate`: is the model of a run any good, on the examples that it has not seen?"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from backend.errors import ChatFailed
from backend.settings import Workspace
from jobs.records import State
from ui.cli.commands import Answer, follow
from ui.services.app import App
from ui.text import verdicts


def evaluate(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Evaluates a run and prints the report. Raises what the evaluation's job failed with."""
    app = App(workspace)
    job = follow(app, app.evaluations.start(options.run, baselines=options.baselines, items=options.items))
    if job.state is not State.COMPLETED:
        failure = job.failure
        raise ChatFailed(*(failure.what, failure.why, failure.next) if failure else ("The evaluation was stopped.",))
    report = app.evaluations.report(job.id)
    return Answer(report, _text(report))


def _text(report: Mapping[str, Any]) -> str:
    lines = [verdicts.sentence(report)]
    lines += [verdicts.system_line(name, report) for name in report["systems"]]
    return "\n".join([*lines, report["next"]])
