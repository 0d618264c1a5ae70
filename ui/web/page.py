"""The page: a rail of five steps, My models apart, one timer, and what one tab means for another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.settings import PROJECT_ROOT
from ui.services.app import App
from ui.services.selection import Choice
from ui.web import errors as web_errors
from ui.web import guard, session_memory
from ui.web.components import LISTEN, Given, Kept, Tab, Updates, drawn, pressed
from ui.web.data import tab as data_tab
from ui.web.errors import handler
from ui.web.runs import tab as runs_tab
from ui.web.share import tab as share_tab
from ui.web.start import tab as start_tab
from ui.web.theme import theme
from ui.web.train import tab as train_tab
from ui.web.try_it import tab as try_it_tab

STATIC = PROJECT_ROOT / "static"
TABS = {
    "start": ("Start", start_tab),
    "data": ("Data", data_tab),
    "train": ("Train", train_tab),
    "try": ("Try", try_it_tab),
    "share": ("Share", share_tab),
    "runs": ("My models", runs_tab),
}
STEPS = {name: label for name, (label, _) in TABS.items() if name != "runs"}
HEADER = Markup('<header class="top"><h1>Apprentice</h1><span>Teach a small language model your way</span></header>')
LOGO = STATIC / "icon.svg"


@dataclass
class _Page:
    """The page's own parts. here: the open tab; signature: of what it shows; opens: the run to open.

    The browser holds these: with a gr.State gradio keeps a connection open for every page, and a browser has six of
    them for all its pages here."""

    app: App
    kept: Kept
    here: gr.Textbox
    signature: gr.Textbox
    opens: gr.Textbox
    marks: gr.HTML
    rail: gr.Tabs
    rooms: dict[str, gr.Tab]
    tabs: dict[str, Any]

    def opened(self, name: str) -> Callable[[Given], Updates]:
        """A handler that shows a tab as it stands."""

        @handler
        def show(given: Given) -> Updates:
            choice = self.app.validated(self.kept.choice(given))
            return {**self.showing(name, choice), **self.restored(name, choice, given)}

        return show

    def restored(self, name: str, choice: Choice, given: Given) -> Updates:
        """What a tab holds besides what `show` fills: a typed table, numbers changed by hand, the conversation."""
        if name == "train":
            recipe: Updates = self.tabs["train"].recipe.restore(choice)
            return recipe
        if name == "data":
            panel: Updates = self.tabs["data"].bring.restore(given)
            return panel
        return self.tabs["try"].restore(choice, given) if name == "try" else {}

    def showing(self, name: str, choice: Choice) -> Updates:
        """The tab as it stands. The browser may hold a newer choice by now, so it has no signature of what it shows,
        and the next tick shows the tab again."""
        return {self.signature: "", **self.refreshed(name, choice)}

    def refreshed(self, name: str, before: Choice) -> Updates:
        """The tab as it stands, without ids that no longer exist. An error takes the place of the guide line."""
        tab: Tab = self.tabs[name]
        try:
            choice = self.app.validated(before)
            marks = rail_marks(self.app, choice)
            return {**self.kept.keep(before, choice), self.marks: marks, **tab.show(choice)}
        except Exception as error:
            return {tab.line: web_errors.error_alert(error)}

    def signature_of(self, name: str, before: Choice) -> str:
        """A short text that differs whenever the tab should be shown again: what it shows, the choice or an error."""
        try:
            choice = self.app.validated(before)
            found = repr((before, choice, self.tabs[name].signature(choice), _reached(self.app, choice)))
        except Exception as error:
            found = repr(error)
        return f"{name} {hashlib.sha256(found.encode()).hexdigest()[:32]}"

    def outputs(self, name: str) -> list[Any]:
        return [*self.kept.outputs, self.signature, self.marks, *self.tabs[name].outputs]


def build(app: App) -> gr.Blocks:
    """The whole page over `app`."""
    return _draw(app)[0]


def _draw(app: App) -> tuple[gr.Blocks, _Page]:
    session_memory.install()
    blocks = gr.Blocks(title="Apprentice", analytics_enabled=False, delete_cache=(3600, 86400))
    with blocks:
        kept = Kept()
        here = gr.Textbox("start", label="The open step", visible=False)
        signature = gr.Textbox("", label="What is shown", visible=False)
        opens = gr.Textbox("", label="The run to open", visible=False)
        timer = gr.Timer(1.0)
        drawn(HEADER)
        marks = drawn(rail_marks(app, Choice()), elem_id="reached")
        rooms, tabs = {}, {}
        with gr.Tabs(selected="start", elem_id="rail", overflow_behavior="wrap") as rail:
            for name, (label, module) in TABS.items():
                side: Any = "left" if name in STEPS else "right"
                with gr.Tab(label, id=name, elem_id=f"tab-{name}", alignment=side) as rooms[name]:
                    tabs[name] = module.build(app, kept)
        page = _Page(app, kept, here, signature, opens, marks, rail, rooms, tabs)
        _restores(blocks, page)
        _ticks(timer, page)
        _leads_on(page)
    return blocks, page


def _restores(blocks: gr.Blocks, page: _Page) -> None:
    """A page that opens or reloads gets everything from the app."""
    start = page.tabs["start"]

    @handler
    def show(given: Given) -> Updates:
        """The first tab. Which one is open is not touched: a quick person has already gone to another one, and the
        timer shows that one again."""
        return page.showing("start", page.kept.choice(given))

    answered = [page.kept.part("task"), page.kept.part("facts_change")]
    blocks.load(None, answered, start.answers, js=start_tab.RESTORE, **LISTEN)
    blocks.load(show, page.kept.inputs(), page.outputs("start"), **LISTEN)


def _ticks(timer: gr.Timer, page: _Page) -> None:
    """Once a second the browser asks for the signature of the open tab: one value. Where it differs from the one it
    has, it fetches that tab."""

    @handler
    def tick(given: Given) -> str:
        name = given[page.here]  # the browser says which
        return page.signature_of(name, page.kept.choice(given)) if name in page.tabs else ""

    def fetching(name: str) -> Callable[[Given], Updates]:
        return handler(lambda given: page.refreshed(name, page.kept.choice(given)))

    timer.tick(tick, page.kept.inputs(page.here), page.signature, concurrency_limit=8, **LISTEN)
    changed = {name: gr.Textbox("", label=f"A new signature of {name}", visible=False) for name in page.tabs}
    page.signature.change(None, page.signature, list(changed.values()), js=_TO_ITS_TAB, **LISTEN)
    for name, part in changed.items():
        outputs = [*page.kept.outputs, page.marks, *page.tabs[name].outputs]
        part.change(fetching(name), page.kept.inputs(), outputs, concurrency_limit=4, **LISTEN)


def _leads_on(page: _Page) -> None:
    """Opening a tab, the buttons that lead to the next one, and opening a run."""
    for name, room in page.rooms.items():
        # Noted at once, in the browser: showing the first tab may end after the second one is open.
        noted = room.select(None, None, page.here, js=f"() => '{name}'", **LISTEN)
        given = page.kept.inputs(page.tabs["try"].talk, page.tabs["data"].bring.typed_kept)
        noted.then(page.opened(name), given, page.outputs(name), concurrency_limit=4, **LISTEN)
    for name, following in (("start", "data"), ("data", "train"), ("train", "try"), ("try", "share")):
        pressed_on = page.tabs["start"].taken.then if name == "start" else page.tabs[name].forward.click
        pressed_on(None, None, None, js=_leads(name, following), **LISTEN)

    @handler
    def open_run(event: gr.EventData, given: Given) -> Updates:
        do, run_id = pressed(event)
        if do != "open":
            return {page.opens: ""}
        before = page.kept.choice(given)
        choice = page.app.with_run(before, run_id)
        if choice.run_id != before.run_id:
            page.app.results.stop_chat()  # what it writes would stand under the name of another model
        return {**page.kept.keep(before, choice), page.opens: run_id}

    chosen = page.tabs["runs"].listing.click(open_run, page.kept.inputs(), [*page.kept.outputs, page.opens], **LISTEN)
    chosen.success(None, page.opens, None, js=_leads("runs", "train"), **LISTEN)


# A signature as the value of the one component that fetches its tab, also when that tab has had it before.
_TO_ITS_TAB = f"""(signature) => {list(TABS)}.map((name) =>
  signature.startsWith(name + ' ') ? signature + ' ' + performance.now() : undefined)"""


def _leads(name: str, following: str) -> str:
    """Presses another tab in the browser, unless a quick person has left this one, or what it is given is empty."""
    return f"""(given = true) => {{
      const open = document.querySelector('#tab-{name}-button[aria-selected=true]');
      if (given && open) document.getElementById('tab-{following}-button').click();
    }}"""


def _reached(app: App, choice: Choice) -> list[str]:
    """The steps that are behind this person."""
    state = app.runs.state(choice.run_id)
    steps = {
        "start": bool(choice.task or choice.data_id or state),
        "data": bool(state) or app.datasets.is_ready(choice),
    }
    if state in ("completed", "stopped") and app.results.has_model(choice.run_id):
        tried, taken = app.results.was_tried(choice.run_id), app.results.was_exported(choice.run_id)
        steps |= {"train": True, "try": tried, "share": taken}
    return [name for name, done in steps.items() if done]


def rail_marks(app: App, choice: Choice) -> Markup:
    """Which steps carry a tick; the style sheet reads it, and it is said aloud."""
    done = _reached(app, choice)
    said = f"Done: {', '.join(STEPS[name] for name in done)}." if done else ""
    return Markup('<p class="unseen" data-done="{}">{}</p>').format(" ".join(done), said)


def launch_arguments(exports: Path, hosts: tuple[str, ...] = ()) -> dict[str, Any]:
    """For `build(...).launch(...)`: our look, nothing sent anywhere, nothing served but exports and our own icons.

    exports: the only folder of the workspace that may be fetched. hosts: further names the page is reached by.
    """
    return {
        "theme": theme(),
        "css_paths": [STATIC / "style.css"],
        "head": f"<script>{(STATIC / 'page.js').read_text('utf-8')}</script>",
        "favicon_path": LOGO,
        "allowed_paths": [str(exports)],
        "app_kwargs": {
            "middleware": guard.middleware(hosts),
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
        "state_session_capacity": session_memory.PAGES,
        "max_file_size": "1gb",
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
