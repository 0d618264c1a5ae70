"""How the page is served by gradio: our look and scripts, who may reach it, and all
that stays off.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.routes import templates
from jinja2 import BaseLoader, FunctionLoader
from starlette.middleware import Middleware

from backend.files.json_file import read_json
from backend.hosting.policy import HOME
from backend.records.units import MIB
from backend.settings import PROJECT_ROOT
from ui.web import pulse, session_memory
from ui.web.gate import Door, Gate
from ui.web.guard import Guard, LoginLimit
from ui.web.key import OwnersOnly

STATIC = PROJECT_ROOT / "static"
SCRIPTS = (  # in this order
    "store", "redraw", "address", "buttons", "tables", "typed_table", "drafts", "question", "making", "reading", "settings",
    "run_end", "pulse", "blind_test",
)  # fmt: skip
# These run before gradio's own; those in `head` only after gradio has begun.
FIRST_SCRIPTS = ("key", "gradio")
_OFF = (
    "show_error",
    "share",
    "enable_monitoring",
    "run_history",
    "mcp_server",
    "pwa",
    "ssr_mode",
)

SYSTEM = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
)
MONO = (
    "ui-monospace",
    "SFMono-Regular",
    "Menlo",
    "Consolas",
    "Liberation Mono",
    "monospace",
)
VALUES = read_json(
    Path(__file__).with_name("theme.json")
)  # a value, and the variables of gradio that take it


def launch_arguments(
    exports: Path,
    signature: Callable[[object, object], str],
    hosts: tuple[str, ...] = (),
    space: str = "",
    door: Door | None = None,
    key: str = "",
) -> dict[str, Any]:
    """The arguments of gradio's `launch`: our look, no telemetry, no file served but
    exports, uploads and our icon.

    exports: the folder of the workspace that is served; in a demo that of all visitors,
        and the gate lets each read their own exports
    signature: of the page's open tab
    hosts: further names by which the page is reached
    space: the name of the Space that it is on
    door: of a demo
    key: without which nobody gets the page; "" for none
    """
    if (pages := templates.env.loader) and not isinstance(pages, FunctionLoader):
        templates.env.loader = _with_script(pages)
    gate = [Middleware(Gate, door=door)] if door else []
    limit = (
        [Middleware(LoginLimit)] if hosts or space or door else []
    )  # where strangers may try
    owner = [Middleware(OwnersOnly, key=key)] if key else []
    return {
        "theme": theme(),
        "css_paths": [STATIC / "style.css"],
        "head": _scripts(SCRIPTS),
        "favicon_path": STATIC / "icon.svg",
        "allowed_paths": [str(exports)],
        "app_kwargs": {
            "middleware": [
                Middleware(Guard, hosts=hosts, space=space),
                *limit,
                *owner,
                *gate,
            ],
            "routes": [pulse.route(signature)],
            **dict.fromkeys(("docs_url", "redoc_url", "openapi_url")),
        },
        "state_session_capacity": session_memory.PAGES_OF_A_DEMO
        if door
        else session_memory.PAGES,
        "max_file_size": int((door.limits if door else HOME.limits).upload * MIB),
        "strict_cors": True,
        **dict.fromkeys(_OFF, False),
        "footer_links": [],
        "quiet": True,
    }


def theme() -> gr.themes.Base:
    """Gradio's own components in our colors, with system fonts only, so nothing is
    loaded from other servers. Every value is a variable of static/style.css, the one
    source of the look, light and dark.
    """
    look = gr.themes.Base(
        font=[gr.themes.Font(name) for name in SYSTEM],
        font_mono=[gr.themes.Font(name) for name in MONO],
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_md,
    )
    variables = set(dir(look))
    for value, names in VALUES.items():
        for name in names:
            setattr(look, name, value)
            if f"{name}_dark" in variables:
                setattr(look, f"{name}_dark", value)
    return look


def _scripts(names: Sequence[str]) -> str:
    """Each script has a scope of its own. It runs before gradio draws the page, which a
    module would not.
    """
    codes = ((STATIC / "js" / f"{name}.js").read_text("utf-8") for name in names)
    return "".join(
        f"<script>(() => {{ 'use strict';\n{code}}})();</script>" for code in codes
    )


def _with_script(pages: BaseLoader) -> FunctionLoader:
    """Gradio's pages with our script at the beginning of their head."""

    def load(name: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, file, is_current = pages.get_source(templates.env, name)
        first = _scripts(FIRST_SCRIPTS)
        before, head, after = source.partition("<head>")
        return (
            f"{before}{head}{{% raw %}}{first}{{% endraw %}}{after}",
            file,
            is_current,
        )

    return FunctionLoader(load)
