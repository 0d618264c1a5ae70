"""Opens the page: one app a workspace, a free port, loopback unless there is a password."""

from __future__ import annotations

import ipaddress
import logging
import logging.handlers
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import BadSetting, WorkspaceProblem
from backend.files.json_file import read_json, write_json
from backend.records.specs import Hardware
from backend.settings import Workspace

LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS = 7860, 100
PASSWORD = "APPRENTICE_PASSWORD"  # noqa: S105 (the name of a variable, not a password)


def serve(
    workspace: Workspace,
    host: str | None = None,
    port: int | None = None,
    browser: bool = True,
    simulated: Hardware | None = None,
) -> None:
    """Serves the page until Ctrl-C. When the app is already open on this workspace, opens that page instead.

    simulated: the machine to show it for, this one when it is left out.

    Raises BadSetting for a host that is not this computer's own without a password, and for a port that can't be had.
    """
    host = (host or LOOPBACK).strip("[]")
    credentials = password_for(host)
    lock = FileLock(workspace.root / "app.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        show(f"Apprentice is already open: {running_at(workspace)}", running_at(workspace), browser)
        return
    with lock:
        (workspace.root / "app.json").unlink(missing_ok=True)  # of an app that ended without a word
        chosen = free_port(host, port)
        url = f"http://{in_url(reachable_at(host))}:{chosen}"
        logs_to(workspace)
        run(workspace, host, chosen, credentials, url, browser, simulated)


def run(
    workspace: Workspace,
    host: str,
    port: int,
    credentials: Any,
    url: str,
    browser: bool,
    simulated: Hardware | None = None,
) -> None:
    """Builds the page and serves it until the process is told to end."""
    from ui.services.app import App
    from ui.web import page as web_page

    app = App(workspace, simulated, open_to_network=not is_loopback(host))
    page = web_page.build(app)
    ended = threading.Event()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: ended.set())
    page.launch(
        server_name=in_url(host),
        server_port=port,
        auth=credentials,
        inbrowser=False,
        prevent_thread_lock=True,
        **web_page.launch_arguments(workspace.exports, () if is_loopback(host) else (in_url(host),)),
    )
    try:
        note_running(workspace, url)
        show(f"Apprentice is open at {url} (Ctrl-C ends it; training goes on without it)", url, browser)
        app.start()
        while not ended.wait(1.0):
            pass
    finally:
        app.close()
        page.close(verbose=False)


def password_for(host: str) -> tuple[str, str] | None:
    """The name and password that the page asks for, None on loopback. Raises BadSetting where none is set."""
    if is_loopback(host):
        return None
    password = os.environ.get(PASSWORD, "")
    if len(password) < 8:
        raise BadSetting(
            f"The page was not opened to the network at {host[:60]}.",
            "Anyone who reaches it could use this computer, so it needs a password.",
            f"Set the environment variable {PASSWORD} to at least 8 characters; the user name is apprentice.",
        )
    return "apprentice", password


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def reachable_at(host: str) -> str:
    """`host`, or for "every address of this computer" the one by which it reaches others (loopback if it has none).

    A UDP socket is asked which address it would send from; nothing is sent. The far addresses are those kept for
    documentation (RFC 5737, RFC 3849).
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
    """`wanted` or, when it is not free, the next free port (said); without a wish, from 7860 on.

    Raises BadSetting when the host is not this computer's or no port is free.
    """
    first = FIRST_PORT if wanted is None else wanted
    if not 1 <= first <= 65535:
        raise BadSetting(f"There is no port {first}.", "Ports go from 1 to 65535.", "Choose another port.")
    for port in range(first, min(first + PORTS, 65536)):
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except PermissionError as error:  # on Windows also for a port that is taken, or in a range kept back
            if port < 1024:
                raise BadSetting(
                    f"Port {port} may not be used.", "The system keeps it.", "Choose one above 1024."
                ) from error
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno not in _IN_USE:
                raise BadSetting(
                    f"{host[:60]} is not an address of this computer.", "", "Leave --host out."
                ) from error
        else:
            if port != first:
                print(f"Port {first} is not free; taking {port}.", file=sys.stderr)
            return port
    raise BadSetting(f"No port from {first} on is free.", "", "Choose another with --port.")


_IN_USE = {98, 48, 10048}  # EADDRINUSE on Linux, macOS and Windows


def note_running(workspace: Workspace, url: str) -> None:
    write_json(workspace.root / "app.json", {"url": url})


def running_at(workspace: Workspace) -> str:
    """Where the app that holds this workspace shows its page. Raises WorkspaceProblem when it does not say."""
    for _ in range(50):
        try:
            return str(read_json(workspace.root / "app.json")["url"])
        except (OSError, ValueError, KeyError):
            time.sleep(0.2)
    raise WorkspaceProblem(
        f"Another Apprentice holds the workspace {workspace.root} but shows no page.", "", "End it, then start again."
    )


def show(text: str, url: str, browser: bool) -> None:
    print(text, file=sys.stderr, flush=True)
    if browser:
        webbrowser.open(url)


def logs_to(workspace: Workspace) -> None:
    """Technical detail goes to WORKSPACE/app.log, kept to a few megabytes."""
    handler = logging.handlers.RotatingFileHandler(
        workspace.root / "app.log", maxBytes=2_000_000, backupCount=2, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio asks itself whether it is up
