"""How the page is served by gradio: our look and scripts, who may reach it, and all that stays off."""

from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from backend.hosting.policy import HOME
from backend.records.units import MIB
from backend.settings import PROJECT_ROOT
from ui.web import first_script, guard, session_memory
from ui.web.gate import Door, Gate
from ui.web.guard import LoginLimit
from ui.web.key import OwnersOnly
from ui.web.theme import theme

STATIC = PROJECT_ROOT / "static"
SCRIPTS = (  # in this order
    "store", "redraw", "address", "buttons", "tables", "typed_table", "question", "drafts", "making", "settings",
    "run_end", "pulse", "blind_test",
)  # fmt: skip


def launch_arguments(
    exports: Path, hosts: tuple[str, ...] = (), space: str = "", door: Door | None = None, key: str = ""
) -> dict[str, Any]:
    """The arguments of gradio's `launch`: our look, no telemetry, no file served but exports, uploads and our icon.

    exports: the folder of the workspace that is served; in a demo that of all visitors, and the gate lets each read
        their own exports
    hosts: further names by which the page is reached
    space: the name of the Space that it is on
    door: of a demo
    key: without which nobody gets the page; "" for none
    """
    first_script.install()
    # Each script has a scope of its own. It runs before gradio draws the page, which a module would not.
    scripts = ((STATIC / "js" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    gate = [Middleware(Gate, door=door)] if door else []
    limit = [Middleware(LoginLimit)] if hosts or space or door else []  # where strangers may try
    owner = [Middleware(OwnersOnly, key=key)] if key else []
    return {
        "theme": theme(),
        "css_paths": [STATIC / "style.css"],
        "head": "".join(f"<script>(() => {{ 'use strict';\n{code}}})();</script>" for code in scripts),
        "favicon_path": STATIC / "icon.svg",
        "allowed_paths": [str(exports)],
        "app_kwargs": {
            "middleware": [*guard.middleware(hosts, space), *limit, *owner, *gate],
            **dict.fromkeys(("docs_url", "redoc_url", "openapi_url")),
        },
        "state_session_capacity": session_memory.PAGES_OF_A_DEMO if door else session_memory.PAGES,
        "max_file_size": int((door.limits if door else HOME.limits).upload * MIB),
        "show_error": False,
        "strict_cors": True,
        "share": False,
        "enable_monitoring": False,
        "run_history": False,
        "mcp_server": False,
        "pwa": False,
        "ssr_mode": False,
        "footer_links": [],
        "quiet": True,
    }
