"""Serves the page: one app for each workspace, on a free port, on loopback unless there
is a password.
"""

import errno
import logging
import logging.handlers
import os
import shutil
import signal
import socket
import sys
import threading
import time
import webbrowser
from contextlib import suppress
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import BadSetting, WorkspaceProblem
from backend.files.json_file import read_if_json, write_json
from backend.files.private import make_private
from backend.hardware.process import share_arenas
from backend.hosting import policy as hosting
from backend.hosting.policy import Policy
from backend.records.machine import Hardware
from backend.settings import PROGRAM, Workspace, on_colab, on_zero_gpu
from ui.web import key as page_key
from ui.web.guard import in_url, is_loopback

LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS = 7860, 100
_NO_PAGE_ON_COLAB = (
    "This is a Colab notebook, so your browser can't reach the page. Stop this cell and use the commands instead: "
    f"`{PROGRAM} --help` lists them."
)
# Python's threads take turns (the GIL), and a handler loses its turn each time it reads
# a file. While another thread compares models, it then waits this long; with the
# default of 5 ms, the first click took seconds.
_TURN = 0.001  # seconds
# uvicorn closes an unused connection after 5 seconds: a request that comes at that
# moment meets a reset. Browsers, proxies and programs let most go within a minute.
_KEPT = 75  # seconds
PASSWORD = "APPRENTICE_PASSWORD"  # noqa: S105 (the name of a variable, not a password)


def serve(
    workspace: Workspace,
    host: str | None = None,
    port: int | None = None,
    browser: bool = True,
    simulated: Hardware | None = None,
) -> None:
    """Serves the page until Ctrl-C. If the app already runs on this workspace, opens
    its page instead. Raises BadSetting for a host other than loopback without a
    password (a demo needs none), and for a port that can't be used.

    host: the address to serve at; None for this computer only
    port: None for the first free one
    simulated: another machine to show the page for
    """
    policy = hosting.chosen()
    if policy.demo:
        host, port, browser = (
            host or os.environ.get("GRADIO_SERVER_NAME"),
            port or port_of_environment(),
            False,
        )
    host = (host or LOOPBACK).strip("[]")
    credentials = password_for(host, policy)
    if port is not None and not 1 <= port <= 65535:
        raise BadSetting(
            f"Port {port} does not exist.",
            "Ports go from 1 to 65535.",
            "Choose another port.",
        )
    lock = FileLock(workspace.root / "app.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        url = running_at(workspace)
        key = "" if credentials else page_key.of(workspace)
        ticket = with_ticket(url, key)
        at = (
            url
            if browser or not key
            else f"{ticket} (this address works once, within two minutes)"
        )
        show(f"Apprentice is already open: {at}", ticket, browser)
        return
    with lock:
        (workspace.root / "app.json").unlink(
            missing_ok=True
        )  # of an app that was killed
        chosen = free_port(host, port)
        url = f"http://{in_url(reachable_at(host))}:{chosen}"
        logs_to(workspace)
        if on_colab():
            print(_NO_PAGE_ON_COLAB, file=sys.stderr, flush=True)
        run(workspace, host, chosen, credentials, url, browser, simulated, policy)


def port_of_environment() -> int | None:
    """$GRADIO_SERVER_PORT; None without one. Raises BadSetting if it is not a number."""
    text = os.environ.get("GRADIO_SERVER_PORT", "")
    if text and not text.isdecimal():
        raise BadSetting(
            f"The port {text[:20]!r} is not a number.",
            "$GRADIO_SERVER_PORT names it.",
            "Correct it.",
        )
    return int(text) if text else None


def receive_uploads_in(workspace: Workspace) -> None:
    """Has gradio put uploaded files into the workspace, and deletes what was uploaded
    before a restart. Its own choice, /tmp/gradio, belongs to whoever started a gradio
    app first on this computer, and no other user can open the page then. To be called
    before gradio is imported: gradio 6.31 reads the variable then, and again at each
    upload.
    """
    shutil.rmtree(workspace.uploads, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(workspace.uploads)


def register_on_zero_gpu() -> None:
    """Decorates a function that nobody calls. ZeroGPU ends a Space that has registered
    no function for its GPU by the time the page is launched, and the page does not use
    that GPU: training takes the processor. To be called after `receive_uploads_in`,
    because `spaces` imports gradio.
    """
    if on_zero_gpu():
        import spaces

        spaces.GPU(lambda: None)


def run(
    workspace: Workspace,
    host: str,
    port: int,
    credentials: Any,
    url: str,
    browser: bool,
    simulated: Hardware | None = None,
    policy: Policy = hosting.HOME,
) -> None:
    """Builds the page and serves it until the process gets SIGTERM or SIGINT.

    port: a free one
    credentials: as for gradio's `auth`; None for no password
    url: at which people reach the page
    simulated: another machine to show the page for
    """
    sys.setswitchinterval(_TURN)
    share_arenas()
    receive_uploads_in(workspace)
    register_on_zero_gpu()
    from ui.services.app import App
    from ui.services.demo.visitor_apps import VisitorApps
    from ui.web import page as web_page
    from ui.web.demo import demo_page
    from ui.web.launch import launch_arguments

    hosts = () if is_loopback(host) else (in_url(host),)
    key = ""
    app: App | VisitorApps
    if policy.demo:
        app, page, arguments = demo_page(workspace, policy, hosts, simulated)
    else:
        app = App(workspace, simulated, open_to_network=not is_loopback(host))
        key = "" if credentials else page_key.of(workspace)
        built = web_page.build(app)
        page, arguments = (
            built.blocks,
            launch_arguments(workspace.exports, built.sent_signature, hosts, key=key),
        )
    ended = threading.Event()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: ended.set())
    page.launch(
        server_name=in_url(host),
        server_port=port,
        auth=credentials,
        inbrowser=False,
        prevent_thread_lock=True,
        **arguments,
    )
    page.server.config.timeout_keep_alive = _KEPT
    try:
        with suppress(
            OSError
        ):  # a full disk: only a second start does not find this page then
            write_json(workspace.root / "app.json", {"url": url})
        at = f"{url}/?{page_key.PARAMETER}={key}" if key and not browser else url
        show(
            f"Apprentice is open at {at} (Ctrl-C closes it; training continues)",
            with_ticket(url, key),
            browser,
        )
        app.start()
        while not ended.wait(1.0):
            pass
    finally:
        app.close()
        page.close(verbose=False)


def password_for(host: str, policy: Policy = hosting.HOME) -> tuple[str, str] | None:
    """The user name and password of the page, None on loopback. A demo has one only if
    it is set. Raises BadSetting if no password is set, or a short one.
    """
    password = os.environ.get(PASSWORD, "")
    if is_loopback(host) or (policy.demo and not password):
        return None
    if len(password) < 8:
        raise BadSetting(
            f"The page was not opened to the network at {host[:60]}.",
            "Anyone who can reach it could use this computer, so it needs a password.",
            f"Set the environment variable {PASSWORD} to at least 8 characters; the user name is apprentice.",
        )
    return "apprentice", password


def reachable_at(host: str) -> str:
    """`host`; for "all addresses of this computer" the one from which it reaches
    others, or else loopback. A UDP socket tells which address it would send from;
    nothing is sent. The far addresses are reserved for documentation (RFC 5737, RFC
    3849).
    """
    family, far, alone = {
        "0.0.0.0": (socket.AF_INET, "192.0.2.1", LOOPBACK),  # noqa: S104
        "::": (socket.AF_INET6, "2001:db8::1", "::1"),
    }.get(host, (None, "", ""))
    if family is None:
        return host
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((far, 9))
            return str(asking.getsockname()[0])
    except OSError:
        return alone


def free_port(host: str, wanted: int | None) -> int:
    """`wanted`, or the next free port, which is then reported; by default from 7860 on.
    Raises BadSetting if the host is not an address of this computer or no port is free.
    """
    first = FIRST_PORT if wanted is None else wanted
    for port in range(first, min(first + PORTS, 65536)):
        try:
            with socket.socket(
                socket.AF_INET6 if ":" in host else socket.AF_INET
            ) as probe:
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except (
            PermissionError
        ) as error:  # on Windows also for a port in use, or in a reserved range
            if port < 1024:
                what = f"Port {port} can't be used."
                raise BadSetting(
                    what, "The system reserves it.", "Choose one above 1024."
                ) from error
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno != errno.EADDRINUSE:
                raise BadSetting(
                    f"{host[:60]} is not an address of this computer.",
                    "",
                    "Remove --host.",
                ) from error
        else:
            if port != first:
                print(f"Port {first} is in use; using {port} instead.", file=sys.stderr)
            return port
    raise BadSetting(
        f"No port from {first} up is free.", "", "Choose another with --port."
    )


def running_at(workspace: Workspace) -> str:
    """The address of the app that runs on this workspace. Raises WorkspaceProblem if it
    reports none.
    """
    for tried in range(500):  # a first start compiles all that it imports
        if url := read_if_json(workspace.root / "app.json").get("url"):
            return str(url)
        if tried == 10:  # two seconds
            print(
                "Another Apprentice is just starting. Waiting for its page.",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(0.2)
    what = f"Another Apprentice uses the workspace {workspace.root} but shows no page."
    raise WorkspaceProblem(
        what, "", "Close its window or restart the computer, then start again."
    )


def with_ticket(url: str, key: str) -> str:
    """The address with which a browser opens a page that has a key: it works once."""
    return f"{url}/?{page_key.PARAMETER}={page_key.ticket(key)}" if key else url


def show(text: str, url: str, browser: bool) -> None:
    print(text, file=sys.stderr, flush=True)
    if browser and not webbrowser.open(url):
        print(
            f"No browser could be opened. Open this address within two minutes: {url}",
            file=sys.stderr,
            flush=True,
        )


def logs_to(workspace: Workspace) -> None:
    """Logs technical details to WORKSPACE/app.log, up to a few megabytes."""
    file = workspace.root / "app.log"
    make_private(file)
    handler = logging.handlers.RotatingFileHandler(
        file, maxBytes=2_000_000, backupCount=2, encoding="utf-8"
    )
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(
        logging.WARNING
    )  # gradio checks whether it is up
