"""The section of Share that lets other programs use the model: an endpoint that is
started and stopped here.
"""

from collections.abc import Hashable

import gradio as gr
from markupsafe import Markup

from backend.export import snippets
from backend.hosting.policy import Feature
from backend.records.units import format_speed
from ui.records.share import Endpoint
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html
from ui.web.html import components

ENDPOINT = (
    "A web form and other programs on this computer can ask this model as they would "
    "ask ChatGPT, by an address and a key. It keeps running when you close this page, "
    "until you stop it. (an OpenAI-compatible endpoint)"
)
KEY_NOTE = (
    "The key is shown only now. Copy it; to get another one, stop and start again."
)
IN_FORM = "Every answer is JSON in the form of your examples (JSON schema)"
FORM = "The form of the answers in Try and in other programs (JSON schema); empty it for that of your examples"
ORIGINS = "Web sites whose pages may ask it, if any (CORS)"
KEY = "YOUR_KEY"
NO_KEY = "The key is no longer known here: stop and start again for a form with it."


class EndpointCard:
    """secret: the key of the endpoint that was started here, until the page is loaded
    again.
    """

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        with gr.Accordion(
            "Use it from other programs", open=False, elem_classes="fold-block"
        ):
            html(components.text(ENDPOINT))
            self.in_form = gr.Checkbox(
                label=IN_FORM, visible=False, elem_id="endpoint-form"
            )
            self.form = clickable(elem_id="answer-form")
            self.origins = gr.Textbox(
                label=ORIGINS,
                placeholder="https://shop.example",
                elem_id="endpoint-origins",
            )
            with gr.Row(elem_classes="actions"):
                self.start = button(
                    "Start", interactive=False, elem_id="endpoint-start"
                )
                self.stop = button("Stop", visible=False, elem_id="endpoint-stop")
            self.state, self.secret, self.examples = (
                html(),
                html(elem_id="endpoint-key"),
                html(),
            )
        shown = [self.state, self.secret, self.examples]
        self.outputs = [
            self.in_form,
            self.form,
            self.origins,
            self.start,
            self.stop,
            *shown,
        ]
        state.listen(self.form.click, self._save_form, self.outputs)
        state.listen(
            self.start.click, self._open, self.outputs, self.in_form, self.origins
        )
        state.listen(self.stop.click, self._close, self.outputs)

    def show(self, choice: Choice, why_not: str) -> Updates:
        """The section as it is now, except for the key."""
        if refused := self.app.policy.why_not(Feature.SERVE):
            return {
                self.start: gr.update(interactive=False),
                self.state: components.text(refused, "small"),
            }
        latest = self.app.endpoints.latest(choice.run_id) if choice.run_id else None
        serving = bool(latest and not latest.job.state.is_terminal)
        form = (
            self.app.endpoints.form_text(choice.run_id)
            if choice.run_id and not serving
            else ""
        )
        field = components.textarea(FORM, "form", form, f"form {choice.run_id}")
        editor = components.form("form", field, components.submit("Save the form"))
        updates: Updates = {
            self.in_form: gr.update(visible=bool(form)),
            self.form: components.fold("Change the form", editor, key="answer-form")
            if form
            else components.EMPTY,
            self.origins: gr.update(visible=not serving),
            self.start: gr.update(
                visible=not serving, interactive=bool(choice.run_id and not why_not)
            ),
            self.stop: gr.update(visible=serving),
            self.state: status(latest) if latest else components.EMPTY,
            self.examples: components.EMPTY,
        }
        if latest and latest.url:
            instruction = self.app.results.instruction(choice.run_id)
            name, key = (
                self.app.endpoints.name(choice.run_id),
                self.app.endpoints.key(latest.job.id),
            )
            updates[self.examples] = web_form(latest.url, name, key) + examples(
                latest.url, name, instruction
            )
        return updates if serving else {**updates, self.secret: components.EMPTY}

    def signature(self, choice: Choice) -> Hashable:
        return repr(self.app.endpoints.latest(choice.run_id)) if choice.run_id else ""

    def _open(self, inputs: Inputs) -> Updates:
        choice = self._state.choice(inputs)
        origins = (inputs[self.origins] or "").replace(",", " ").split()
        _, key = self.app.endpoints.start(
            choice.run_id, origins=origins, in_form=inputs[self.in_form]
        )
        shown = Markup("<h2>The key</h2>{}{}").format(
            components.code(key), components.text(KEY_NOTE, "small")
        )
        return {**self.show(choice, ""), self.secret: shown}

    def _save_form(self, event: gr.EventData, inputs: Inputs) -> Updates:
        choice, (_, value) = self._state.choice(inputs), clicked(event)
        self.app.endpoints.save_form(
            choice.run_id, components.fields(value).get("form", "")
        )
        return self.show(choice, "")

    def _close(self, inputs: Inputs) -> Updates:
        choice = self._state.choice(inputs)
        latest = self.app.endpoints.latest(choice.run_id)
        if latest and not latest.job.state.is_terminal:
            self.app.endpoints.stop(latest.job.id)
        return {**self.show(choice, ""), self.secret: components.EMPTY}


def status(endpoint: Endpoint) -> Markup:
    """Whether it is running, and what it has done so far."""
    job = endpoint.job
    if job.failure:
        return components.problem_alert(job.failure)
    if job.state.is_terminal:
        return components.text("It is stopped.", "small")
    if not endpoint.url:
        return components.text(f"{job.progress.phase if job.progress else 'Starting'}.")
    speed = format_speed(endpoint.tokens_per_second) if endpoint.tokens else "–"
    return components.rows(
        [
            ("Address", endpoint.url, "for programs on this computer"),
            (
                "Questions",
                f"{endpoint.requests:,}",
                f"{endpoint.tokens:,} tokens answered",
            ),
            ("Speed", speed, "latest answer"),
        ]
    )


def web_form(url: str, name: str, key: str) -> Markup:
    """A ready page that asks it. key: "" where it is no longer known."""
    if not key:
        return components.text(NO_KEY, "small")
    form = components.inline_file(
        snippets.as_web_form(url, key, name).encode(), "ask.html", "Download a web form"
    )
    note = "Open it on this computer, in any browser, and ask. Whoever has the file has the key."
    return Markup('<div class="after-alert">{}{}</div>').format(
        form, components.text(note, "small")
    )


def examples(url: str, name: str, instruction: str) -> Markup:
    """How programs ask it: Python and the command line."""
    note = (
        "The instruction of your examples is added automatically. "
        if instruction
        else ""
    )
    folds = [
        components.fold(
            title,
            components.text(how, "small"),
            components.code(code),
            key=f"ask-{title}",
        )
        for title, how, code in (
            (
                "Python",
                f"{note}Needs: pip install openai",
                snippets.with_openai(url, KEY, name),
            ),
            (
                "Command line",
                "On Windows in Git Bash or WSL.",
                snippets.with_curl(url, KEY, name),
            ),
        )
    ]
    return Markup('<div class="guides"><h2>How to ask it</h2>{}</div>').format(
        components.join(folds)
    )
