"""Data: add examples, see what is wrong with them and fix it, see what will be learned."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.records.data import DatasetState
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked, html, primary, sent_file
from ui.web.data import edit_views, import_panel, read_options, writing_views
from ui.web.data import issues as issues_panel
from ui.web.data import preview as preview_panel
from ui.web.data import views as data_views
from ui.web.data.actions import apply_action
from ui.web.data.import_panel import ImportPanel
from ui.web.data.preview import Preview
from ui.web.errors import handler
from ui.web.html import components
from ui.web.try_it import prompt_card

NOTHING_YET = "Add your examples, or use ours to try it out.", "Then you see what the model will learn."


@dataclass
class DataTab:
    app: App
    line: gr.HTML
    importing: ImportPanel
    reading: gr.HTML
    examples: gr.Column
    writing: gr.HTML
    summary: gr.HTML
    own_test: gr.UploadButton
    tested: gr.HTML
    how: gr.HTML
    problems: gr.HTML
    instruction: gr.HTML
    preview: Preview
    download: gr.HTML
    prompts: prompt_card.PromptCard
    forward: gr.Button
    reason: gr.HTML
    continued: Any = None  # the event by which the examples go to training

    @property
    def outputs(self) -> list[Any]:
        drawings = [
            self.line,
            self.reading,
            self.examples,
            self.writing,
            self.summary,
            self.tested,
            self.how,
            self.problems,
        ]
        return [
            *drawings,
            self.instruction,
            self.own_test,
            self.download,
            *self.importing.outputs,
            *self.preview.outputs,
            *self.prompts.outputs,
            self.forward,
            self.reason,
        ]

    def show(self, choice: Choice) -> Updates:
        imports = bool(choice.import_id)
        data = self.app.datasets.state_soon(choice) if choice.data_id else None
        now = self.app.datasets.progress(choice)
        shown: Updates = {
            self.reading: data_views.reading(now, imports),
            **self.importing.show(not (data or now) or bool(now and now.error), choice.data_id),
        }
        if now is not None and now.error is None and (imports or data is None):
            return {**shown, **self._waiting(imports)}
        if data is None:  # they were read this very moment: the next tick shows them
            return {**shown, **(self._waiting(imports) if choice.data_id else self._empty())}
        return {**shown, **self._showing(choice, data)}

    def _waiting(self, imports: bool) -> Updates:
        """Updates while a file is being read; hides the dataset that it will replace."""
        return {
            self.line: components.guide(2, "Your examples are being read.", "You can go on as soon as that is done."),
            self.forward: gr.update(interactive=False),
            self.reason: "The examples are still being read.",
            **({self.examples: gr.update(visible=False)} if imports else {}),
        }

    def _empty(self) -> Updates:
        return {
            self.line: components.guide(2, *NOTHING_YET),
            self.examples: gr.update(visible=False),
            self.forward: gr.update(interactive=False),
            self.reason: "Add examples first.",
        }

    def _showing(self, choice: Choice, data: DatasetState) -> Updates:
        writing = components.EMPTY  # a text offers to write examples about it, and then its passages
        if self.app.writing.is_written(choice.data_id):
            writing = writing_views.passage(self.app.writing.at(choice.data_id, choice.passage), choice.data_id)
        elif self.app.writing.is_text(choice.data_id):
            writing = writing_views.offer()
        return {
            self.line: data_views.guide(data),
            self.examples: gr.update(visible=True),
            self.writing: writing,
            self.summary: data_views.summary(data, self.app.datasets.lengths(choice).max_length),
            self.own_test: None,
            self.tested: data_views.tested(data),
            self.how: read_options.card(data),
            self.problems: issues_panel.card(data),
            self.instruction: edit_views.instruction(self.app.edits.instruction(choice), choice.data_id),
            self.download: data_views.download(data, self.app.datasets.written_files(choice)),
            **self.preview.show(choice),
            **self.prompts.show(choice),
            self.forward: gr.update(interactive=not data.blocked),
            self.reason: data.blocked,
        }

    def signature(self, choice: Choice) -> Hashable:
        now = self.app.datasets.progress(choice)
        far = (now.phase, int(100 * now.fraction), now.first_rows is None, repr(now.error)) if now else ()
        mark = self.app.datasets.change_token(choice.data_id)
        return self.app.models.is_ready(choice.model_id), mark, far, self.prompts.signature(choice)


def build(app: App, state: BrowserState) -> DataTab:
    """Draws the tab inside the current gr.Tab."""
    line = html(components.guide(2, *NOTHING_YET), elem_classes="guide")
    importing = import_panel.build(app, state)
    reading = clickable(elem_id="reading")
    with gr.Column(visible=False) as examples:
        writing = clickable(elem_id="writing")
        summary = html()
        with gr.Row(elem_classes="actions"):
            own_test = gr.UploadButton("Use my validation file", size="md", min_width=0, scale=0, elem_id="own-test")
            tested = clickable(elem_classes="reason")
        how = clickable()
        problems = clickable()
        instruction = clickable(elem_id="instruction")
        preview = preview_panel.build(app)
        download = clickable()
        prompts = prompt_card.build(app, state, "data")
    with gr.Row(elem_classes="actions"):
        forward = primary("Continue to training", interactive=False, elem_id="to-train")
        reason = html(elem_classes="reason")

    checked = (writing, summary, own_test, tested, how, problems, instruction, preview, download, prompts)
    tab = DataTab(app, line, importing, reading, examples, *checked, forward, reason)

    def imported(inputs: Inputs, import_id: str) -> Updates:
        """The examples are read in the background; if that was quick, they are shown at once."""
        before = state.choice(inputs)
        choice = app.validated(before.replace(import_id=import_id))
        closed = {importing.chooser: gr.update(open=False), **preview.editing.close()}
        return {**state.change(before, choice), **closed, **tab.show(choice)}

    importing.listen(state, imported, tab.outputs)
    preview.listen(state)
    preview.editing.listen(state, tab.show, tab.outputs)

    @handler
    def act(event: gr.EventData, inputs: Inputs) -> Updates:
        """Any button in the tab's HTML."""
        before, (action, value) = state.choice(inputs), clicked(event)
        choice = apply_action(app, before, action, value)
        if action == "look":
            return {**state.change(before, choice), **preview.show(choice), **preview.editing.close()}
        if action == "files":
            app.datasets.write_files(choice)
        choice = app.validated(choice)
        closed = preview.editing.close() if choice.data_id != before.data_id else {}
        return {**state.change(before, choice), **tab.show(choice), **closed}

    @handler
    def take_test(inputs: Inputs) -> Updates:
        choice, path = state.choice(inputs), sent_file(inputs[own_test])
        app.validation_files.set(choice.data_id, path, path.name)
        return tab.show(choice)

    @handler
    def leave(inputs: Inputs) -> Any:
        """An open run of other examples is closed, so that Train shows the plan for these."""
        before = state.choice(inputs)
        return state.change(before, app.for_training(before)) or gr.skip()

    tab.continued = state.listen(forward.click, leave, [])
    state.listen(own_test.upload, take_test, tab.outputs, own_test)
    for part in (importing.earlier, reading, writing, tested, how, problems, instruction, download):
        state.listen(part.click, act, tab.outputs, trigger_mode="multiple")  # no click is lost
    return tab
