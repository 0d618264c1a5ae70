"""The page: a rail of five steps, My models apart, one timer, and what one tab means for another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from backend.settings import PROJECT_ROOT
from ui.services.app import App
from ui.services.selection import Choice
from ui.web import errors as web_errors
from ui.web import guard
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
HEADER = '<header class="top"><h1>Apprentice</h1><span>Teach a small language model your way</span></header>'
LOGO = STATIC / "icon.svg"


@dataclass
class _Page:
    """The page's own parts. here: the open tab; seen: what the timer last showed; opens: the run to open.

    The browser holds these: with a gr.State gradio keeps a connection open for every page, and a browser has six of
    them for all its pages here."""

    app: App
    kept: Kept
    here: gr.Textbox
    seen: gr.Textbox
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
        """A tab as it stands. `choice` may be older than what the browser keeps by now, where two answers cross; so
        nothing counts as seen, and the timer looks again."""
        marks = rail_marks(self.app, choice)
        return {self.seen: "", self.marks: marks, **self.tabs[name].show(choice)}

    def refreshed(self, name: str, before: Choice, seen: str) -> Updates | None:
        """The open tab again if anything changed since `seen`; None when nothing did.

        The choice counts too: an answer to an older one, which comes late, is put right by the next look. What no
        longer exists (a run that was deleted elsewhere) is no longer chosen. An error stands in the place of the
        guide line, once: this is called every second.
        """
        tab: Tab = self.tabs[name]
        try:
            choice = self.app.validated(before)
            now = _short(name, choice, tab.signature(choice), _reached(self.app, choice))
            if now == seen and choice == before:
                return None
            forgotten, shown = self.kept.keep(before, choice), self.showing(name, choice)
        except Exception as error:
            now = _short(error)
            return None if now == seen else {self.seen: now, tab.line: web_errors.error_alert(error)}
        return {**forgotten, **shown, self.seen: now}

    def outputs(self, name: str) -> list[Any]:
        return [self.seen, self.marks, *self.tabs[name].outputs]

    @property
    def every_output(self) -> list[Any]:
        return [self.seen, self.marks, *(part for tab in self.tabs.values() for part in tab.outputs)]


def build(app: App) -> gr.Blocks:
    """The whole page over `app`."""
    return _draw(app)[0]


def _draw(app: App) -> tuple[gr.Blocks, _Page]:
    blocks = gr.Blocks(title="Apprentice", analytics_enabled=False, delete_cache=(3600, 86400))
    with blocks:
        kept = Kept()
        here = gr.Textbox("start", label="The open step", visible=False)
        seen = gr.Textbox("", label="What is shown", visible=False)
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
        page = _Page(app, kept, here, seen, opens, marks, rail, rooms, tabs)
        _restores(blocks, page)
        _ticks(timer, page)
        _leads_on(page)
    return blocks, page


def _restores(blocks: gr.Blocks, page: _Page) -> None:
    """A page that opens or reloads gets everything from the app."""
    start = page.tabs["start"]

    @handler
    def restore(given: Given) -> Updates:
        before = page.kept.choice(given)
        choice = page.app.validated(before)
        return {
            **page.kept.keep(before, choice),
            page.marks: rail_marks(page.app, choice),
        }

    @handler
    def show(given: Given) -> Updates:
        """The first tab. Which one is open is not touched: a quick person has already gone to another one, and the
        timer shows that one again."""
        choice = page.kept.choice(given)
        return {page.seen: "", page.marks: rail_marks(page.app, choice), **start.show(choice)}

    answered = [page.kept.part("task"), page.kept.part("facts_change")]
    blocks.load(None, answered, start.answers, js=start_tab.RESTORE, **LISTEN)
    restored = blocks.load(restore, page.kept.inputs(), [*page.kept.outputs, page.marks], **LISTEN)
    restored.then(show, page.kept.inputs(), [page.seen, page.marks, *start.outputs], **LISTEN)


def _ticks(timer: gr.Timer, page: _Page) -> None:
    """Once a second the open tab is shown again if anything changed."""

    @handler
    def tick(given: Given) -> Any:
        if given[page.here] not in page.tabs:  # the browser says which
            return gr.skip()
        return page.refreshed(given[page.here], page.kept.choice(given), given[page.seen]) or gr.skip()

    outputs = [*page.kept.outputs, *page.every_output]
    timer.tick(tick, page.kept.inputs(page.here, page.seen), outputs, concurrency_limit=8, **LISTEN)


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


def _short(*what: Any) -> str:
    """Stands for `what`: short, since it goes to the browser and comes back every second."""
    return hashlib.sha256(repr(what).encode()).hexdigest()


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
        tried, taken = app.results.was_asked(choice.run_id), app.results.was_exported(choice.run_id)
        steps |= {"train": True, "try": tried, "share": taken}
    return [name for name, done in steps.items() if done]


def rail_marks(app: App, choice: Choice) -> str:
    """Which steps carry a tick; the style sheet reads it, and it is said aloud."""
    done = _reached(app, choice)
    said = f"Done: {', '.join(STEPS[name] for name in done)}." if done else ""
    return f'<p class="unseen" data-done="{" ".join(done)}">{said}</p>'


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
