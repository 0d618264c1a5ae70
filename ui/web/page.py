"""The page: five steps and My models as tabs, what keeps the open one current, and what
leads to what.
"""

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import ApprenticeError
from ui.services.app import App
from ui.services.selection import Choice
from ui.web import at_work, demo_notice, session_memory
from ui.web import errors as web_errors
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked, html
from ui.web.data.tab import DataTab
from ui.web.per_visitor import PerVisitor
from ui.web.runs.tab import RunsTab
from ui.web.share.tab import ShareTab
from ui.web.start.tab import StartTab
from ui.web.train.tab import TrainTab
from ui.web.try_it.tab import TryTab

TICK, DEMO_TICK = (
    1,
    3,
)  # seconds between two looks whether the open tab has changed, while something runs
TABS: dict[str, tuple[str, type]] = {
    "start": ("Start", StartTab),
    "data": ("Data", DataTab),
    "train": ("Train", TrainTab),
    "try": ("Try", TryTab),
    "share": ("Share", ShareTab),
    "runs": ("My models", RunsTab),
}
SHOWN = "shown:"  # before the signature of a tab that has just been shown (static/js/address.js)
STEPS = {name: label for name, (label, _) in TABS.items() if name != "runs"}
HEADER = Markup(
    '<header class="top"><h1>Apprentice</h1><span>Teach a small language model your way</span></header>'
)


@dataclass
class Page:
    """The page's own parts. signature: of what the open tab shows. opens: the tab that
    a click opened last. finished: names the steps that carry a tick. working: what the
    app is doing. tabs: each draws itself inside the current gr.Tab and has `line`
    (where the person is and what comes next), `outputs` (all that `show` may update),
    `show(choice)` (the whole tab as it stands), and `signature(choice)`, cheap to
    compute: when it or the choice changes, the tab is shown again.
    """

    app: App
    state: BrowserState
    signature: gr.Textbox
    opens: gr.Textbox
    finished: gr.HTML
    working: gr.HTML
    blocks: gr.Blocks
    panels: dict[str, gr.Tab]
    tabs: dict[str, Any]

    def open(self, name: str, inputs: Inputs) -> Updates:
        """A tab as it is opened: besides `show`, also the typed table, the changed
        settings or the conversation. Its signature goes along, so that the next tick
        shows the tab again only if something differs by then, such as a newer choice in
        the browser.
        """
        before = self.state.choice(inputs)
        signature = f"{SHOWN}{self.signature_of(name, before)}"  # before the tab is read: a change meanwhile is seen
        choice = self.app.validated(before)
        more: Updates = {}
        if name == "train":
            more = self.tabs["train"].form.restore(choice)
        elif name == "data":
            more = self.tabs["data"].importing.restore(inputs)
        elif name == "try":
            more = self.tabs["try"].restore(choice, inputs)
        return {self.signature: signature, **self.show(name, inputs), **more}

    def show(self, name: str, inputs: Inputs) -> Updates:
        """The tab as it stands, without ids that no longer exist. An error takes the
        place of the guide line.
        """
        tab, before = self.tabs[name], self.state.choice(inputs)
        try:
            choice = self.app.validated(before)
            above = {
                self.finished: finished_steps(self.app, choice),
                self.working: at_work.line(self.app, choice, name),
            }
            return {**self.state.correct(before, choice), **above, **tab.show(choice)}
        except Exception as error:
            return {tab.line: web_errors.error_alert(error)}

    def show_latest(self, name: str, inputs: Inputs) -> Updates:
        """As `show`, but never older than the answer to a click that was quicker."""
        choice = self.state.choice(inputs)
        signature, shown = self.signature_of(name, choice), self.show(name, inputs)
        return (
            shown
            if self.signature_of(name, choice) == signature
            else self.show(name, inputs)
        )

    def signature_of(self, name: str, before: Choice) -> str:
        """The tab's name, a word that differs whenever it should be shown again, and
        words about training runs, unless the tab can't be shown.
        """
        try:
            choice = self.app.validated(before)
            jobs = [job for job in self.app.runner.jobs() if not job.state.is_terminal]
            above = (
                _finished(self.app, choice),
                [(job.id, job.state) for job in at_work.jobs(jobs)],
            )
            state = repr((before, choice, self.tabs[name].signature(choice), above))
            busy = (
                jobs or self.app.datasets.progress(choice) or self.app.chat.answering
            )  # the browser then asks often
            return f"{name} {'+' if busy else ''}{_digest(state)} {news(self.app, choice.run_id)}"
        except Exception as error:
            return f"{name} {_digest(repr(error))}"

    def sent_signature(self, choice: object, tab: object) -> str:
        """The signature of the open tab, as a browser sent its choice and the tab's
        name; "" for no tab of ours.
        """
        return (
            self.signature_of(tab, Choice.from_browser(choice))
            if isinstance(tab, str) and tab in self.tabs
            else ""
        )

    def outputs(self, name: str) -> list[Any]:
        return [self.finished, self.working, *self.tabs[name].outputs]


def news(app: App, run_id: str) -> str:
    """A word about the open run, and one about each job at work: "" if there is
    neither. "f9ab2c:42" stands for 42 percent of a training run; otherwise it is
    "f9ab2c:completed" and the like, and "f9ab2c=42" for other jobs. run_end.js makes
    the title of the browser's tab of them, and keeps the line about them current.
    """
    jobs = at_work.jobs(app.runner.jobs())
    if run_id:
        with suppress(ApprenticeError):
            jobs.insert(0, app.runs.job(run_id))
    words = (
        f"{at_work.short_id(job)}{':' if job.kind == 'train' else '='}{at_work.how_far(job)}"
        for job in jobs
    )
    return " ".join(dict.fromkeys(words))  # in order, each once


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def build(app: App, demo: PerVisitor | None = None) -> Page:
    """The whole page, with its parts."""
    session_memory.install()
    stored = (
        (600, 3600) if demo else (3600, 86400)
    )  # seconds: how often uploads are checked, and their age
    blocks = web_errors.Blocks(
        title="Apprentice", analytics_enabled=False, delete_cache=stored
    )
    with blocks:
        state = BrowserState(blocks)
        signature = gr.Textbox("", label="Signature", visible=False)
        opens = gr.Textbox("", label="Opens", visible=False)
        every = 1000 * (DEMO_TICK if demo else TICK)
        pulse = html(
            js=f"apprentice.pulse.start(trigger, {every})",
            elem_id="pulse",
            visible="hidden",
        )
        html(HEADER)
        if demo:
            demo_notice.build(demo, blocks)
        finished = html(finished_steps(app, Choice()), elem_id="reached")
        working = clickable(elem_id="at-work")
        panels, tabs = {}, {}
        with gr.Tabs(selected="start", elem_id="rail", overflow_behavior="wrap"):
            for name, (label, tab) in TABS.items():
                side: Any = "left" if name in STEPS else "right"
                with gr.Tab(
                    label, id=name, elem_id=f"tab-{name}", alignment=side
                ) as panels[name]:
                    tabs[name] = tab(app, state)
        page = Page(
            app, state, signature, opens, finished, working, blocks, panels, tabs
        )
        # The first tab is filled. Which tab is open stays as it is: a quick person has
        # already gone to another one, and the timer shows that one.
        page.state.listen(
            blocks.load,
            partial(page.open, "start"),
            [page.signature, *page.outputs("start")],
        )
        _tick(pulse, page)
        _open_tabs(page)
        _open_runs(page)
    return page


def _tick(pulse: gr.HTML, page: Page) -> None:
    """Now and then (static/js/pulse.js) the browser asks for the signature of the open
    tab: one value, in one request. If it differs from the one it has, the browser sends
    this event, and fetches that tab.
    """

    @web_errors.handler
    def tick(inputs: Inputs) -> str:
        return page.sent_signature(
            asdict(page.state.choice(inputs)), inputs[page.state.open_tab]
        )

    pulse.click(
        tick,
        outputs=page.signature,
        queue=False,
        **page.state.sending(page.state.open_tab),
    )
    changed = {
        name: gr.Textbox("", label=f"Signature of {name}", visible=False)
        for name in page.tabs
    }
    to_its_tab = (
        f"(signature) => apprentice.address.toItsTab({list(changed)}, signature)"
    )
    page.signature.change(
        None, page.signature, list(changed.values()), js=to_its_tab, **PRIVATE
    )
    to_title = "(signature) => (apprentice.pulse.follow(signature), apprentice.runEnd.follow(signature))"
    page.signature.change(None, page.signature, None, js=to_title, **PRIVATE)
    for name, part in changed.items():
        page.state.listen(
            part.change,
            partial(page.show_latest, name),
            page.outputs(name),
            concurrency_limit=4,
        )


def _open_tabs(page: Page) -> None:
    """Shows a tab as it is opened; a button at the end of each leads to the next."""
    for name, panel in page.panels.items():
        show = partial(page.open, name)
        outputs = [page.signature, *page.outputs(name)]
        page.state.listen(
            panel.select,
            show,
            outputs,
            page.state.talk,
            page.state.table,
            concurrency_limit=4,
        )
    to_start = "() => apprentice.address.lead('try', 'start')"
    page.tabs["try"].begun.success(None, None, None, js=to_start, **PRIVATE)
    for name, following in pairwise(STEPS):
        events = {
            "start": page.tabs["start"].chosen.then,
            "data": page.tabs["data"].continued.then,
        }
        leave = events.get(name, page.tabs[name].forward.click)
        leave(
            None,
            None,
            None,
            js=f"() => apprentice.address.lead('{name}', '{following}')",
            **PRIVATE,
        )


def _open_runs(page: Page) -> None:
    """Opens a run from My models or from the line of what is at work, plans its next
    version (also from Try), or takes the next step that its verdict names, and switches
    to the tab for it.
    """
    app, leads_to = page.app, {"examples": "data", "share": "share", "try": "try"}

    def open_run(event: gr.EventData, inputs: Inputs) -> Updates:
        action, run_id = clicked(event)
        before = page.state.choice(inputs)
        choice, run_id = before, run_id or before.run_id
        if action == "open" or (action in ("try", "share") and run_id != before.run_id):
            choice = app.with_run(before, run_id)
        elif action in ("train-again", "examples"):
            choice = app.for_next_version(before, run_id)
        elif action == "resume-evaluated":
            app.runs.resume(run_id)
            choice = app.with_run(before, run_id)
        elif action == "retry-evaluated":
            again = app.versions.retry(run_id, app.evaluations.latest_report(run_id))
            choice = before.replace(run_id=again)
        elif action not in leads_to:
            return {page.opens: ""}
        if choice.run_id != before.run_id:
            app.chat.stop()  # the rest of its answer would appear under another model's name
        return {
            **page.state.change(before, choice),
            page.opens: leads_to.get(action, "train"),
        }

    tried, runs = page.tabs["try"], page.tabs["runs"]
    clicks = {
        "": [page.working.click],
        "train": [page.tabs["train"].running.outcome.click],
        "try": [
            tried.correction.card.click,
            tried.evaluation.answers.click,
            tried.evaluation.card.click,
        ],
        "runs": [runs.listing.click, runs.verdict.click],
    }
    for name, click in (
        (name, click) for name, listed in clicks.items() for click in listed
    ):
        opened = page.state.listen(click, open_run, [page.opens])
        lead = f"(tab) => tab && apprentice.address.lead('{name}' || apprentice.address.openTab(), tab)"
        opened.success(None, page.opens, None, js=lead, **PRIVATE)


def _finished(app: App, choice: Choice) -> list[str]:
    """The steps that are done."""
    state = app.runs.state(choice.run_id)
    learned = (
        state
        and choice.data_id
        and app.runs.spec(choice.run_id).data.data_id == choice.data_id
    )
    steps = {
        "start": bool(choice.task or choice.data_id or state),
        "data": app.datasets.is_ready(choice) or bool(learned),
    }
    if app.results.has_model(choice.run_id):
        taken = any(
            made.job.state.value == "completed"
            for made in app.results.exports(choice.run_id)
        )
        steps |= {
            "train": True,
            "try": choice.run_id in app.chat.tried or taken,
            "share": taken,
        }
    return [name for name, done in steps.items() if done]


def finished_steps(app: App, choice: Choice) -> Markup:
    """Names the steps that carry a tick, for the style sheet and for screen readers."""
    done = _finished(app, choice)
    text = f"Done: {', '.join(STEPS[name] for name in done)}." if done else ""
    return Markup('<p class="unseen" data-done="{}">{}</p>').format(
        " ".join(done), text
    )
