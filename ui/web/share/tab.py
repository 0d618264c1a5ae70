"""Share: export the model as a file, checked to be the same model."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.gguf.requirement import has_llama_cpp_python
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, clickable, html, primary
from ui.web.errors import handler
from ui.web.html import components
from ui.web.share import endpoint_card, hub_card
from ui.web.share.views import NOT_OFFERED, at_home, choices, gguf_types, types_note
from ui.web.share.views import exports as exports_html
from ui.web.try_it import ready_models
from ui.web.try_it.ready_models import no_model

DEFAULT = "gguf:Q8_0"
ONLY_SCRIPT = (
    "The training script can be made already: a Python file, your examples and the run itself, to train the same "
    "model elsewhere, on several GPUs or on rented ones."
)
MADE = "It is made already, from this model: see below."
BASES = [
    ("The base model's own 16-bit weights", "original"),
    ("The 4-bit weights that it was trained on", "trained"),
]
BASE_NOTE = (
    "It was trained on 4-bit weights (QLoRA). The checks of the file tell how much a choice loses: its loss beside "
    "that of the model as trained."
)


@dataclass
class ShareTab:
    """make: makes the file of the chosen kind; types: of GGUF files. script: makes the training script, which needs
    no trained model."""

    app: App
    line: gr.HTML
    offered: gr.HTML
    kind: gr.Radio
    types: gr.CheckboxGroup
    base: gr.Radio
    make: gr.Button
    script: gr.Button
    why_not: gr.HTML
    exports: gr.HTML
    endpoint: endpoint_card.EndpointCard
    hub: hub_card.HubCard

    @property
    def outputs(self) -> list[Any]:
        buttons = [self.make, self.script, self.why_not]
        cards = [*self.endpoint.outputs, *self.hub.outputs]
        return [self.line, self.offered, self.kind, self.types, self.base, *buttons, self.exports, *cards]

    def show(self, choice: Choice) -> Updates:
        why_not = no_model(self.app, choice)
        jobs = self.app.results.exports(choice.run_id) if choice.run_id else []
        sizes = {} if why_not else self.app.results.export_sizes(choice.run_id)
        busy = "A file is being made. You can start the next one when it is done."
        busy = busy if any(job.active for job in jobs) else ""
        narrow = {} if why_not else self.app.results.too_narrow(choice.run_id)
        only_script = bool(choice.run_id and why_not)
        now, then = "Choose what you need.", "Each file is checked to be the same model."
        if why_not:
            now, then = "There is no model to share here yet.", why_not
        if not choice.run_id:
            now, then = "There is no model to share yet.", "Train a model first."
        # Only after QLoRA is there a choice of weights to merge into.
        base = gr.update(visible=False, value="original")
        if not why_not and self.app.results.trained_in_4_bit(choice.run_id):
            base = gr.update(visible=True, info=f"{BASE_NOTE} {self.app.results.export_needs(choice.run_id)}")
        return {
            self.line: components.guide(5, now, then) + ready_models.run_line(self.app, choice),
            self.offered: ready_models.offer(self.app, choice),
            self.kind: gr.update(choices=choices(sizes), visible=not only_script),
            self.types: gr.update(choices=gguf_types(sizes, narrow), info=types_note(has_llama_cpp_python())),
            self.base: base,
            self.make: gr.update(interactive=not (busy or why_not), visible=not only_script),
            self.script: gr.update(interactive=not busy, visible=only_script),
            self.why_not: busy or (ONLY_SCRIPT if only_script else why_not),
            self.exports: exports_html(jobs, self.app.results.instruction(choice.run_id) if jobs else ""),
            **self.endpoint.show(choice, why_not),
            **self.hub.show(choice),
        }

    def signature(self, choice: Choice) -> Hashable:
        jobs = self.app.results.exports(choice.run_id) if choice.run_id else []
        offered = ready_models.offered(self.app, choice)
        cards = self.endpoint.signature(choice), self.hub.signature(choice)
        shown = (offered, [(job.id, job.state, job.progress) for job in jobs], cards)
        return no_model(self.app, choice), repr(shown)


def build(app: App, state: BrowserState) -> ShareTab:
    """Draws the tab inside the current gr.Tab."""
    line = html(components.guide(5, "One moment.", ""), elem_classes="guide")
    offered = clickable(elem_id="ready-to-share")
    kind = gr.Radio(
        choices({}),
        value=DEFAULT,
        label="What do you need?",
        elem_classes="choices three",
        elem_id="export-kind",
    )
    with gr.Accordion("Which sizes of that file", open=False, elem_classes="fold-block"):
        types = gr.CheckboxGroup(
            gguf_types({}, {}),
            value=[DEFAULT],
            label="GGUF types",
            info=types_note(True),
            elem_id="gguf-types",
        )
        html(components.text(NOT_OFFERED, "small"))
    base = gr.Radio(BASES, value="original", label="What it is merged into", visible=False, elem_id="export-base")
    with gr.Row(elem_classes="actions"):
        make = primary("Make the file", interactive=False, elem_id="export")
        script = button("Make the training script", visible=False, elem_id="export-script")
        why_not = html(elem_classes="reason")
    exports = html()
    if card := at_home():
        html(card)
    endpoint = endpoint_card.build(app, state)
    hub = hub_card.build(app, state)
    tab = ShareTab(app, line, offered, kind, types, base, make, script, why_not, exports, endpoint, hub)

    def starting(to: Callable[[Inputs], str]) -> Any:
        @handler
        def start(inputs: Inputs) -> Updates:
            choice, kind, into = state.choice(inputs), to(inputs), str(inputs[base] or "original")
            if app.results.finished_export(choice.run_id, kind, into):
                return {**tab.show(choice), why_not: MADE}
            app.results.start_export(choice.run_id, kind, into)
            return tab.show(choice)

        return start

    def chosen(inputs: Inputs) -> str:
        """The kind to make: for GGUF, all the types that are ticked."""
        return ",".join(inputs[types] or [DEFAULT]) if inputs[kind] == DEFAULT else str(inputs[kind])

    state.listen(make.click, starting(chosen), tab.outputs, kind, types, base)
    state.listen(script.click, starting(lambda _: "script"), tab.outputs, base)
    ready_models.listen(offered, app, state, lambda choice, _: tab.show(choice), tab.outputs)
    return tab
