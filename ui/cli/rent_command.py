"""The command `rent`: hands a run to Hugging Face Jobs, after saying what it costs and what is uploaded."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from backend.errors import ExportFailed
from backend.settings import Workspace
from jobs.records import State
from ui.cli.commands import Answer, follow, say
from ui.services.app import App
from ui.services.hf_jobs import ACCESS_NOTE


def rent(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Without --flavor what can be rented, else hands it over if --yes agrees. Makes the script first."""
    app = App(workspace)
    app.runs.spec(options.run)
    computers = app.hf_jobs.look_up_computers()
    if not options.flavor:
        lines = [f"{one.flavor:16} ${one.cost:6.2f} an hour  {one.name} {one.memory}" for one in computers]
        return Answer({"computers": [asdict(one) for one in computers]}, "\n".join(lines))
    app.hf_jobs.find_computer(options.flavor)
    if app.hf_jobs.script_folder(options.run) is None:
        say("Making the script of this run, which is what is sent.")
        job = follow(app, app.results.start_export(options.run, "script"))
        if job.state is not State.COMPLETED:
            failure = job.failure
            raise ExportFailed(*(failure.what, failure.why, failure.next) if failure else ("It was stopped.",))
    uploads = app.hf_jobs.uploads(options.run)
    say("Uploaded are: " + ", ".join(f"{name} ({size:,} bytes)" for name, size in uploads.items()))
    if app.hf_jobs.sends_token(options.run):
        say(f"Your access token for Hugging Face goes along, {ACCESS_NOTE}.")
    sent = app.hf_jobs.submit(options.run, options.flavor, options.hours, options.yes)
    return Answer({**asdict(sent), "uploads": uploads}, f"Started: {sent.url}\nIt costs at most ${sent.at_most:.2f}.")
