"""The section of Share that lets other programs use the model: an endpoint that is started and stopped here."""

from collections.abc import Hashable

import gradio as gr
from markupsafe import Markup

from backend.export import snippets
from backend.hosting.policy import Feature
from ui.records.share import Endpoint
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, html
from ui.web.errors import handler
from ui.web.html import components

LEAD = (
    "Other programs on this computer can ask this model, as they would ask ChatGPT, with an address and a key. It "
    "keeps running when you close this page, until you stop it. (an OpenAI-compatible endpoint)"
)
KEY_NOTE = "The key is shown only now. Copy it; to get another one, stop and start again."


class EndpointCard:
    """secret: the key of the endpoint that was started here, until the page is loaded again."""

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        with gr.Accordion("Use it from other programs", open=False, elem_classes="fold-block"):
            html(components.text(LEAD))
            with gr.Row(elem_classes="actions"):
                self.start = button("Start", interactive=False, elem_id="endpoint-start")
                self.stop = button("Stop", visible=False, elem_id="endpoint-stop")
            self.state, self.secret, self.examples = html(), html(elem_id="endpoint-key"), html()
        self.outputs = [self.start, self.stop, self.state, self.secret, self.examples]
        state.listen(self.start.click, self._open, self.outputs)
        state.listen(self.stop.click, self._close, self.outputs)

    def show(self, choice: Choice, why_not: str) -> Updates:
        """The section as it is now, except for the key."""
        if refused := self.app.policy.why_not(Feature.SERVE):
            return {self.start: gr.update(interactive=False), self.state: components.text(refused, "small")}
        latest = self.app.endpoints.latest(choice.run_id) if choice.run_id else None
        serving = bool(latest and latest.active)
        updates: Updates = {
            self.start: gr.update(visible=not serving, interactive=bool(choice.run_id and not why_not)),
            self.stop: gr.update(visible=serving),
            self.state: status(latest) if latest else components.EMPTY,
            self.examples: components.EMPTY,
        }
        if latest and latest.url:
            instruction = self.app.results.instruction(choice.run_id)
            updates[self.examples] = examples(latest.url, self.app.endpoints.name(choice.run_id), instruction)
        return updates if serving else {**updates, self.secret: components.EMPTY}

    def signature(self, choice: Choice) -> Hashable:
        return repr(self.app.endpoints.latest(choice.run_id)) if choice.run_id else ""

    @handler
    def _open(self, inputs: Inputs) -> Updates:
        choice = self._state.choice(inputs)
        _, key = self.app.endpoints.start(choice.run_id)
        return {**self.show(choice, ""), self.secret: key_notice(key)}

    @handler
    def _close(self, inputs: Inputs) -> Updates:
        choice = self._state.choice(inputs)
        latest = self.app.endpoints.latest(choice.run_id)
        if latest and latest.active:
            self.app.endpoints.stop(latest.id)
        return {**self.show(choice, ""), self.secret: components.EMPTY}


def key_notice(key: str) -> Markup:
    return Markup("<h3>The key</h3>{}{}").format(components.code(key), components.text(KEY_NOTE, "small"))


def status(endpoint: Endpoint) -> Markup:
    """Whether it is running, and what it has done so far."""
    if endpoint.failure:
        return components.problem_alert(endpoint.failure)
    if not endpoint.active:
        return components.text("It is stopped.", "small")
    if not endpoint.url:
        return components.text(f"{endpoint.phase}.")
    speed = f"{endpoint.tokens_per_second:.0f} tokens a second" if endpoint.tokens else "–"
    return components.rows(
        [
            ("Address", endpoint.url, "for programs on this computer"),
            ("Questions", f"{endpoint.requests:,}", f"{endpoint.tokens:,} tokens answered"),
            ("Speed", speed, "latest answer"),
        ]
    )


def examples(url: str, name: str, instruction: str) -> Markup:
    """How to ask it: Python, the command line, a spreadsheet, a web page."""
    note = "The instruction of your examples is added automatically. " if instruction else ""
    folds = [
        components.fold(title, components.text(how, "small"), components.code(code), key=f"ask-{title}")
        for title, how, code in (
            ("Python", f"{note}Needs: pip install openai", snippets.with_openai(url, KEY, name)),
            ("Command line", "On Windows in Git Bash or WSL.", snippets.with_curl(url, KEY, name)),
            (
                "Spreadsheet",
                "Save the questions as questions.csv with a column “question”. Save the text below as fill.py next "
                "to it and run: python fill.py. It writes answers.csv. Needs Python only.",
                snippets.for_a_spreadsheet(url, KEY, name),
            ),
            (
                "Web form",
                "Save the text below as ask.html and open it on this computer. Whoever has the file has the key.",
                snippets.as_web_form(url, KEY, name),
            ),
        )
    ]
    return Markup('<div class="guides"><h3>How to ask it</h3>{}</div>').format(components.join(folds))


KEY = "YOUR_KEY"
