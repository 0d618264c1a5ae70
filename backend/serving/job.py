"""The job "serve": an endpoint for the model of a run, until it is stopped. It outlives
the page.
"""

import errno
import logging
import secrets
import socket
import threading
import time
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from backend.chat.client import Chat
from backend.chat.engine import BASE, TUNED
from backend.errors import ApprenticeError, BadSetting
from backend.files.json_file import write_json
from backend.models import local, model_folder
from backend.models.bundled import ReportProgress
from backend.records.base import Record
from backend.runs.answer_form import answer_form, form_of_examples
from backend.runs.conversations import usual_instruction
from backend.serving.answers import ChatAnswers, ServerAnswers
from backend.serving.endpoint import Endpoint
from backend.serving.requests import Abilities
from backend.serving.state import LOOPBACK, STATE
from backend.work import JobContext

log = logging.getLogger(__name__)

FIRST_PORT, PORTS = 8080, 20  # where no port is asked for, the first free one
_TICK = 0.5  # seconds
_LAST_ANSWERS = 3  # seconds that answers in progress may take after a stop
# Seconds that uvicorn keeps an unused connection. Its own 5 are also those of httpx,
# whose next request then meets a reset; `Impatient` closes the connection after 10 to
# 20.
_KEPT = 60


class ServeSpec(Record):
    """Which run, under which name, and where. key_sha256: of the key that requests
    need. port: 0 for a free one. origins: of web pages that may ask. in_form: whether
    answers keep to the form of the examples' answers.
    """

    run: str
    name: str
    key_sha256: str
    host: str = LOOPBACK
    port: int = 0
    origins: tuple[str, ...] = ()
    in_form: bool = False


def run(context: JobContext) -> dict[str, Any]:
    """Serve until the job is stopped. Raises BadSetting, RunProblem, MissingPart,
    ChatFailed.
    """
    import uvicorn

    from backend.serving.connections import Impatient

    spec = ServeSpec.requested(context.spec, "The model can't be served.")
    run_folder = context.workspace.run_folder(spec.run)
    trained = local.read_run(run_folder)
    result = local.learned(run_folder, trained.settings.method)
    full = trained.settings.method == "full"
    (model_folder.check if full else model_folder.check_adapter)(result)
    bound = listen(spec.host, spec.port)
    host = f"[{spec.host}]" if ":" in spec.host else spec.host  # IPv6
    url = f"http://{host}:{bound.getsockname()[1]}/v1"
    with (
        bound,
        closing(Chat(context.workspace, log_file=context.folder / "chat.log")) as chat,
    ):
        able = Abilities(
            spec.name,
            usual_instruction(run_folder),
            answer_form(run_folder) if spec.in_form else None,
            form_of_examples(run_folder),
        )
        answers, slots, able = _open(
            chat, trained.model.path, result, able, context.progress
        )
        endpoint = Endpoint(answers, slots, able, spec.key_sha256, spec.origins)
        config = uvicorn.Config(
            endpoint.app, log_config=None, access_log=False, timeout_graceful_shutdown=_LAST_ANSWERS, lifespan="off",
            http=Impatient, timeout_keep_alive=_KEPT,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        _watch(context, thread, server, endpoint, url)
        chat.stop()
        thread.join(_LAST_ANSWERS + 2)
        return {"url": url, **asdict(endpoint.counts)}


def _open(
    chat: Chat, model: Path, result: Path, able: Abilities, progress: ReportProgress
) -> tuple[httpx.AsyncBaseTransport, int, Abilities]:
    """Who answers, how many requests at a time, and what they can do. Raises
    MissingPart, ChatFailed.
    """
    key = secrets.token_urlsafe()
    serve = partial(chat.serve, model, result, able.name, key)
    try:
        served = serve(progress)
    except ApprenticeError as error:
        log.info("the engine of Try answers: %s", error)
        if able.schema:
            raise BadSetting(
                "Answers can't be kept to a form here.",
                str(error),
                "Start it without that.",
            ) from error
        chat.open(model, result, progress=progress)
        return (
            ChatAnswers(chat, TUNED if TUNED in chat.panes else BASE),
            1,
            replace(able, whole=False),
        )
    can = served.model_dump(include={"tools", "skips_thought", "marks"})
    return ServerAnswers(serve, key), served.slots, replace(able, **can)


def _watch(
    context: JobContext,
    thread: threading.Thread,
    server: Any,
    endpoint: Endpoint,
    url: str,
) -> None:
    """Writes the state while the server runs, and ends it when the job is stopped."""
    written: dict[str, Any] = {}
    while thread.is_alive():
        if context.should_stop():
            server.should_exit = True
            return
        context.alive()
        state = {"url": url, **asdict(endpoint.counts)}
        if server.started and state != written:
            write_json(context.folder / STATE, state)
            context.progress("Serving")
            written = state
        time.sleep(_TICK)


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `port`, or for 0 to the first free one. Raises BadSetting."""
    for number in [port] if port else [*range(FIRST_PORT, FIRST_PORT + PORTS), 0]:
        try:
            return _bind(host, number)
        except (OSError, OverflowError) as error:
            in_use = getattr(error, "errno", None) == errno.EADDRINUSE
            reason = (
                "Another program uses it"
                if in_use
                else getattr(error, "strerror", None) or str(error)
            )
    where = f"Port {port} of {host[:60]}" if port else host[:60]
    raise BadSetting(
        f"{where} can't be used.", f"{reason}.", "Choose another port or host."
    )


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()
    except BaseException:
        bound.close()
        raise
    return bound
