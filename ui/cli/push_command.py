"""The command that uploads an exported model to Hugging Face."""

from __future__ import annotations

import argparse
from typing import Any

from backend.errors import ApprenticeError, BadInput
from backend.export import hub_push
from backend.records.units import MIB
from backend.settings import Workspace
from ui.cli.follow import follow, require_completed
from ui.cli.output import AddCommand, Answer, say
from ui.services.app import App
from ui.text import format as fmt

_DEFAULT = {"gguf": "gguf:Q8_0", "space": "merged"}  # the export that is made where there is none


def add_commands(add: AddCommand) -> None:
    command = add("push", push, "upload a model to your Hugging Face account; lists the files first")
    command.add_argument("run", metavar="RUN")
    command.add_argument("--as", dest="form", choices=hub_push.FORMS, default="adapter", help="default: adapter")
    command.add_argument("--repo", required=True, metavar="NAME", help="its name there, or OWNER/NAME")
    command.add_argument("--public", action="store_true", default=False, help="for everybody (default: private)")
    command.add_argument("--yes", action="store_true", default=False, help="agree to the upload")


def push(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Lists the files, and with --yes uploads them, exporting them first where that was not done."""
    repo = hub_push.check_repo(options.repo)
    app = App(workspace)
    app.runs.spec(options.run)
    if options.yes:
        hub_push.token()  # a person without one should not wait for an export first
    if options.form not in app.hub_pushes.forms(options.run):
        job = follow(app, app.results.start_export(options.run, _DEFAULT.get(options.form, options.form)))
        require_completed(job, ApprenticeError, "The export was stopped.")
    offer = app.hub_pushes.offer(options.run, options.form, repo, private=not options.public)
    for name, size in offer.sizes.items():
        say(f"{name}  {fmt.bytes_of(round(size * MIB))}")
    say(f"Also uploaded, written by Apprentice: {', '.join(offer.written)}")
    say(f"The card:\n\n{offer.card}")
    if not options.yes:
        seen = "anyone can see it" if options.public else "only you can see it"
        quoted = " The card quotes the instruction of your examples." if offer.instruction else ""
        raise BadInput(
            "Nothing was uploaded.",
            f"These files would go to {repo} on Hugging Face, where {seen}.{quoted}",
            "Agree to that with --yes.",
        )
    push_id = app.hub_pushes.start(options.run, options.form, repo, private=not options.public, agreed=offer.mark)
    job = follow(app, push_id)
    require_completed(job, ApprenticeError, "The upload was stopped. Run the command again to continue.")
    document: dict[str, Any] = {**job.result, "files": list(offer.sizes)}
    return Answer(document, f"Uploaded: {job.result['url']}")
