"""The commands about Hugging Face: push uploads an exported model, space writes the files of a demo."""

import argparse
from pathlib import Path
from typing import Any

from backend.errors import ApprenticeError, BadInput
from backend.export import hub_push
from backend.export import space as space_files
from backend.records.exports import PushResult
from backend.records.units import MIB
from backend.settings import Workspace
from ui.cli.follow import follow, require_completed
from ui.cli.output import AddCommand, Answer, say
from ui.services.app import App
from ui.text import format as fmt

_DEFAULT = {"gguf": "gguf:Q8_0", "space": "merged"}  # the export that is made where there is none
_NEXT = """Written to {folder}: {files} files, {size}. To put them online as YOU/NAME, with your account:
  hf repos create YOU/NAME --repo-type space --space-sdk gradio --flavor {hardware}
  hf upload YOU/NAME {folder} . --repo-type space"""


def add_commands(add: AddCommand) -> None:
    pushing = add("push", push, "upload a model to your Hugging Face account; lists the files first")
    pushing.add_argument("run", metavar="RUN")
    pushing.add_argument("--as", dest="form", choices=hub_push.FORMS, default="adapter", help="default: adapter")
    pushing.add_argument("--repo", required=True, metavar="NAME", help="its name there, or OWNER/NAME")
    pushing.add_argument("--public", action="store_true", default=False, help="for everybody (default: private)")
    pushing.add_argument("--yes", action="store_true", default=False, help="agree to the upload")
    writing = add("space", space, "write the files for a demo on Hugging Face Spaces")
    writing.add_argument("-o", dest="output", type=Path, required=True, metavar="DIR", help="a new folder")
    writing.add_argument(
        "--flavor",
        default=space_files.ZERO_GPU,
        metavar="F",
        help=f"the Space's hardware, by Hugging Face's name (default: {space_files.ZERO_GPU}, which is ZeroGPU)",
    )


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
    return Answer(document, f"Uploaded: {PushResult.model_validate(job.result).url}")


def space(options: argparse.Namespace, _: Workspace) -> Answer:
    made = space_files.write(options.output, options.flavor)
    document = {"folder": str(made.folder), "hardware": made.hardware, "files": made.files, "bytes": made.bytes}
    size = fmt.size(made.bytes / MIB)
    text = _NEXT.format(folder=options.output, files=made.files, size=size, hardware=made.hardware)
    return Answer(document, text)
