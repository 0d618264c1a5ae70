"""The commands that share a model: serve-model opens an endpoint for other programs
until Ctrl-C, push uploads an exported model to Hugging Face, space writes the files of
a demo.
"""

import argparse
import json
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend import child_process
from backend.errors import ApprenticeError, BadInput, RunProblem
from backend.export import hub_push
from backend.export import space as space_files
from backend.export.snippets import with_openai
from backend.records.exports import PushResult
from backend.records.units import MIB
from backend.serving.state import LOOPBACK
from backend.settings import Workspace
from jobs.folder import JobFolder
from ui.cli.follow import completed
from ui.cli.options import positive
from ui.cli.output import AddCommand, Answer, say, write
from ui.records.share import Endpoint
from ui.services.app import App
from ui.text import format as fmt

_NEXT = """Written to {folder}: {files} files, {size}. To put them online as YOU/NAME, with your account:
  hf repos create YOU/NAME --repo-type space --space-sdk gradio --flavor {hardware}
  hf upload YOU/NAME {folder} . --repo-type space"""
_POLL = 0.2  # seconds
_ENDING = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None))
]
_STOPPED_WITHIN = 20.0  # seconds


def add_commands(add: AddCommand) -> None:
    serving = add(
        "serve-model",
        serve_model,
        "let other programs use a trained model through an OpenAI-style API",
    )
    serving.add_argument("run", metavar="RUN")
    serving.add_argument(
        "--port",
        type=positive,
        default=0,
        metavar="N",
        help="default: 8080 or the next free one",
    )
    serving.add_argument(
        "--host",
        default=LOOPBACK,
        metavar="H",
        help="default: 127.0.0.1, only for this computer",
    )
    serving.add_argument(
        "--origin",
        dest="origins",
        action="append",
        default=[],
        metavar="URL",
        help="a web site whose pages may ask it",
    )
    serving.add_argument(
        "--in-form",
        action="store_true",
        help="every answer is JSON in the form of the examples",
    )
    pushing = add(
        "push",
        push,
        "upload a model to your Hugging Face account; lists the files first",
    )
    pushing.add_argument("run", metavar="RUN")
    pushing.add_argument(
        "--as",
        dest="form",
        choices=hub_push.FORMS,
        default="adapter",
        help="default: adapter; page: a static Space",
    )
    pushing.add_argument(
        "--repo", required=True, metavar="NAME", help="its name there, or OWNER/NAME"
    )
    pushing.add_argument(
        "--public", action="store_true", help="for everybody (default: private)"
    )
    pushing.add_argument("--yes", action="store_true", help="agree to the upload")
    writing = add("space", space, "write the files for a demo on Hugging Face Spaces")
    writing.add_argument(
        "-o",
        dest="output",
        type=Path,
        required=True,
        metavar="DIR",
        help="a new folder",
    )
    writing.add_argument(
        "--flavor",
        default=space_files.ZERO_GPU,
        metavar="F",
        help=f"the Space's hardware, by Hugging Face's name (default: {space_files.ZERO_GPU}, which is ZeroGPU)",
    )


def push(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Lists the files, and with --yes uploads them, exporting them first where that was
    not done.
    """
    repo = hub_push.check_repo(options.repo)
    app = App(workspace)
    app.runs.spec(options.run)
    if options.yes:
        hub_push.token()  # a person without one should not wait for an export first
    if options.form not in app.hub_pushes.forms(options.run):
        to = "gguf:Q8_0" if options.form == "gguf" else options.form
        completed(
            app,
            app.results.start_export(options.run, to),
            ApprenticeError,
            "The export was stopped.",
        )
    offer = app.hub_pushes.offer(
        options.run, options.form, repo, private=not options.public
    )
    for name, size in offer.sizes.items():
        say(f"{name}  {fmt.bytes_of(round(size * MIB))}")
    say(f"The card:\n\n{offer.card}")
    if not options.yes:
        seen = "anyone can see it" if options.public else "only you can see it"
        quoted = (
            " The card quotes the instruction of your examples."
            if offer.instruction
            else ""
        )
        quoted = (
            " The page shows your instruction and up to three questions."
            if options.form == "page"
            else quoted
        )
        why = f"These files would go to {repo} on Hugging Face, where {seen}.{quoted}"
        raise BadInput("Nothing was uploaded.", why, "Agree to that with --yes.")
    push_id = app.hub_pushes.start(
        options.run, options.form, repo, private=not options.public, agreed=offer.mark
    )
    job = completed(
        app,
        push_id,
        ApprenticeError,
        "The upload was stopped. Run the command again to continue.",
    )
    document: dict[str, Any] = {**job.result, "files": list(offer.sizes)}
    return Answer(document, f"Uploaded: {PushResult.model_validate(job.result).url}")


def space(options: argparse.Namespace, _: Workspace) -> Answer:
    made = space_files.write(options.output, options.flavor)
    document = {
        "folder": str(made.folder),
        "hardware": made.hardware,
        "files": made.files,
        "bytes": made.bytes,
    }
    size = fmt.size(made.bytes / MIB)
    text = _NEXT.format(
        folder=options.output, files=made.files, size=size, hardware=made.hardware
    )
    return Answer(document, text)


def serve_model(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Prints address and key once they are ready, with --json as one line, and serves
    until it is stopped.
    """
    app = App(workspace)
    before = [signal.signal(number, _interrupt) for number in _ENDING]
    opened, key = app.endpoints.start(
        options.run,
        options.host,
        options.port,
        origins=options.origins,
        in_form=options.in_form,
    )
    try:
        ready = _wait(app, opened.job.id, until_ready=True)
        if ready.url:
            _announce(ready, key, app.endpoints.name(options.run), options)
            ready = _wait(app, opened.job.id, until_ready=False)
        if failure := ready.job.failure:
            raise ApprenticeError(failure.what, failure.why, failure.next)
    finally:
        _stop(app, opened.job.id)
        for number, handler in zip(_ENDING, before, strict=True):
            signal.signal(number, handler)
    return Answer(None, "")


def _announce(
    ready: Endpoint, key: str, name: str, options: argparse.Namespace
) -> None:
    if options.json:
        write(
            sys.stdout, json.dumps({"url": ready.url, "key": key, "model": name}) + "\n"
        )
        return
    write(sys.stdout, f"{with_openai(ready.url, key, name)}\n")
    say(f"Serving at {ready.url}. The key is shown only now: {key}")
    if options.host != LOOPBACK:
        say(
            "Other computers can reach it, and the key travels unencrypted: use it only in a network that you trust."
        )
    say("Stop it with Ctrl-C.")


def _wait(app: App, job_id: str, until_ready: bool) -> Endpoint:
    """The endpoint once it is ready, or once it has ended. Its worker ends with this
    process, even a killed one.
    """
    worker = None
    while True:
        app.runner.tick()
        if worker is None and (
            worker := JobFolder(app.runner.folder(job_id)).status().pid
        ):
            child_process.end_with_us(worker)
        endpoint = app.endpoints.find(job_id)
        if endpoint.job.state.is_terminal or (until_ready and endpoint.url):
            return endpoint
        time.sleep(_POLL)


def _stop(app: App, job_id: str) -> None:
    with suppress(RunProblem):  # it has ended already
        app.endpoints.stop(job_id)
    deadline = time.monotonic() + _STOPPED_WITHIN
    while (
        not app.endpoints.find(job_id).job.state.is_terminal
        and time.monotonic() < deadline
    ):
        app.runner.tick()
        time.sleep(_POLL)


def _interrupt(*_: Any) -> None:
    """Once: a second Ctrl-C would end this process before it has stopped the endpoint."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
