"""The command that opens an endpoint for a trained model, until Ctrl-C."""

import argparse
import json
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from backend.errors import ApprenticeError, RunProblem
from backend.export.snippets import with_openai
from backend.serving.state import LOOPBACK
from backend.settings import Workspace
from ui.cli.options import positive
from ui.cli.output import AddCommand, Answer, say, write
from ui.records.share import Endpoint
from ui.services.app import App

_POLL = 0.2  # seconds
_ENDING = (signal.SIGINT, signal.SIGTERM)
_STOPPED_WITHIN = 20.0  # seconds


def add_commands(add: AddCommand) -> None:
    serving = add("serve-model", serve_model, "let other programs use a trained model through an OpenAI-style API")
    serving.add_argument("run", metavar="RUN")
    serving.add_argument("--port", type=positive, default=0, metavar="N", help="default: 8080 or the next free one")
    serving.add_argument(
        "--host", default=LOOPBACK, metavar="H", help="default: 127.0.0.1, only programs on this computer"
    )


def serve_model(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Prints address and key once they are ready, with --json as one line, and serves until it is stopped."""
    app = App(workspace)
    before = [signal.signal(number, _interrupt) for number in _ENDING]
    opened, key = app.endpoints.start(options.run, options.host, options.port)
    try:
        ready = _wait(app, opened.id, until_ready=True)
        if ready.url:
            _announce(ready, key, app.endpoints.name(options.run), options)
            ready = _wait(app, opened.id, until_ready=False)
        if ready.failure:
            raise ApprenticeError(ready.failure.what, ready.failure.why, ready.failure.next)
    finally:
        _stop(app, opened.id)
        for number, handler in zip(_ENDING, before, strict=True):
            signal.signal(number, handler)
    return Answer(None, "")


def _announce(ready: Endpoint, key: str, name: str, options: argparse.Namespace) -> None:
    if options.json:
        write(sys.stdout, json.dumps({"url": ready.url, "key": key, "model": name}) + "\n")
        return
    write(sys.stdout, f"{with_openai(ready.url, key, name)}\n")
    say(f"Serving at {ready.url}. The key is shown only now: {key}")
    if options.host != LOOPBACK:
        say("Other computers can reach it, and the key travels unencrypted: use it only in a network that you trust.")
    say("Stop it with Ctrl-C.")


def _wait(app: App, job_id: str, until_ready: bool) -> Endpoint:
    """The endpoint once it is ready, or once it has ended."""
    while True:
        app.runner.tick()
        endpoint = app.endpoints.find(job_id)
        if not endpoint.active or (until_ready and endpoint.url):
            return endpoint
        time.sleep(_POLL)


def _stop(app: App, job_id: str) -> None:
    with suppress(RunProblem):  # it has ended already
        app.endpoints.stop(job_id)
    deadline = time.monotonic() + _STOPPED_WITHIN
    while app.endpoints.find(job_id).active and time.monotonic() < deadline:
        app.runner.tick()
        time.sleep(_POLL)


def _interrupt(*_: Any) -> None:
    """Once: a second Ctrl-C would end this process before it has stopped the endpoint."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
