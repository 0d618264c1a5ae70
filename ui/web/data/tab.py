"""Data: add examples, see what is wrong with them and fix it, see what will be learned."""

from collections.abc import Hashable
from typing import Any

import gradio as gr

from backend.datasets.dataset import CheckedDataset
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import (
    action_bar,
    clickable,
    clicked,
    details,
    html,
    primary,
    sent_file,
    upload_button,
)
from ui.web.data import decisions, drafting, edit_panel, reading_card
from ui.web.data import issues as issues_panel
from ui.web.data import views as data_views
from ui.web.data.actions import apply_action
from ui.web.data.import_panel import ImportPanel
from ui.web.data.preview import Preview
from ui.web.html import components
from ui.web.start.views import language_alert

NOTHING_YET = (
    "Bring your examples, make some, or use ours.",
    "Then you see what the model will learn.",
)
READING = "Your examples are being read.", "You can go on as soon as that is done."
FORMER = (
    "The examples that were open before stay under “Earlier examples”, at the end of "
    "“Choose other examples”."
)
STILL_READING = "The examples are still being read."


class DataTab:
    """continued: the event by which the examples go to training."""

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        self.line = html(components.guide(2, *NOTHING_YET), elem_classes="guide")
        self.notice = html(elem_id="said")
        self.reading = clickable(elem_id="reading")
        with gr.Column(visible=False) as self.examples:
            self.language = clickable()
            self.making = clickable(elem_id="making")
            self.decision = clickable(elem_id="decision")
            self.learned = html()
            self.warnings = clickable()
            self.problems = clickable(elem_id="findings")
            with details("data-details"):
                self.summary = html()
                with gr.Row(elem_classes="actions"):
                    self.own_test = upload_button(
                        "Use my validation file", None, "own-test"
                    )
                    self.tested = clickable(elem_classes="reason")
                self.how = clickable()
                self.instruction = clickable(elem_id="instruction")
                self.more = clickable()
                self.preview = Preview(app)
                self.download = clickable()
        self.importing = ImportPanel(app, state.table)
        with action_bar():
            self.forward = primary(
                "Continue to training", interactive=False, elem_id="to-train"
            )
            self.reason = html(elem_classes="reason")
        cards = [
            self.reading,
            self.decision,
            self.warnings,
            self.making,
            self.problems,
            self.tested,
            self.how,
        ]
        cards += [self.instruction, self.more, self.download, self.language]
        drawn = [
            self.line,
            self.notice,
            self.examples,
            self.learned,
            self.summary,
            self.own_test,
            *cards,
        ]
        self.outputs: list[Any] = [
            *drawn,
            *self.importing.outputs,
            *self.preview.outputs,
            self.forward,
            self.reason,
        ]

        self.importing.listen(state, self._imported, self.outputs)
        self.preview.listen(state)
        self.preview.editing.listen(state, self.show, self.outputs)
        # An open run of other examples is closed, so that Train shows the plan for
        # these.
        self.continued = state.listen(
            self.forward.click,
            state.acting(lambda choice: app.for_training(choice)),
            [],
        )
        state.listen(self.own_test.upload, self._take_test, self.outputs, self.own_test)
        for part in (self.importing.earlier, *cards):
            state.listen(
                part.click, self._act, self.outputs, trigger_mode="multiple"
            )  # no click is lost

    def show(self, choice: Choice, *, close: bool = False) -> Updates:
        """close: the chooser, unless something has to be chosen."""
        imports = bool(choice.import_id)
        again = imports and choice.import_id == choice.data_id
        data = self.app.datasets.selected_soon(choice) if choice.data_id else None
        now = self.app.datasets.progress(choice)
        failed = now is not None and now.error is not None
        choose = not again if failed else not (choice.data_id or now)
        shown = {
            self.reading: data_views.reading(now, imports, again),
            **self.importing.show(choose, choice.data_id, close),
        }
        if now is not None and not failed and (imports or data is None):
            return {**shown, **self._locked(READING, STILL_READING, hide=imports)}
        if (
            data is None and choice.data_id
        ):  # they were read this very moment: the next tick shows them
            shown |= self._locked(READING, STILL_READING, hide=imports)
        elif data is None:
            shown |= self._locked(NOTHING_YET, "Add examples first.", hide=True)
        else:
            shown |= self._showing(choice, data)
        if now is not None and failed:
            shown[self.line] = data_views.failed(data_views.failure(now, again), data)
            if imports and not again:
                shown[self.examples] = gr.update(visible=False)
        return shown

    def _locked(self, line: tuple[str, str], reason: str, *, hide: bool) -> Updates:
        """Updates while there is nothing to go on with. hide: the examples, such as
        those that a file will replace.
        """
        hidden = {self.examples: gr.update(visible=False)} if hide else {}
        closed = gr.update(interactive=False)
        return {
            self.line: components.guide(2, *line),
            self.forward: closed,
            self.reason: reason,
            **hidden,
        }

    def _showing(self, choice: Choice, data: CheckedDataset) -> Updates:
        self.app.ask_ahead(choice)
        now = self.app.drafting.now(choice.data_id, choice.passage)
        making = drafting.card(now, choice.data_id) if now else components.EMPTY
        asked = reading_card.is_asked(data)
        reading = reading_card.card(data)
        begun = (
            len(data.dataset.rows) or not now
        )  # where examples are made, it is no fault that there is none yet
        return {
            self.line: drafting.guide(now, data) if now else data_views.guide(data),
            self.examples: gr.update(visible=True),
            self.language: language_alert(self.app.advice.unknown_language(choice)),
            self.making: making,
            self.decision: reading if asked else decisions.card(data),
            self.learned: data_views.examples(data),
            self.warnings: decisions.warnings(data) if begun and not asked else "",
            self.problems: issues_panel.card(data) if begun and not asked else "",
            self.summary: data_views.summary(
                data, self.app.datasets.lengths(choice).max_length
            ),
            self.own_test: None,
            self.tested: data_views.tested(data),
            self.how: "" if asked else reading,
            self.instruction: edit_panel.instruction(
                self.app.edits.instruction(choice), choice.data_id
            ),
            self.download: data_views.download(
                data, self.app.datasets.written_files(choice)
            ),
            self.more: drafting.more(self.app.drafting.models(), choice.data_id)
            if not (now or making)
            else "",
            **self.preview.show(choice),
            self.forward: gr.update(interactive=not data.blocked),
            self.reason: data.blocked,
        }

    def signature(self, choice: Choice) -> Hashable:
        now = self.app.datasets.progress(choice)
        far = (
            (
                now.phase,
                int(100 * now.fraction),
                now.first_rows is None,
                repr(now.error),
            )
            if now
            else ()
        )
        mark = (
            self.app.datasets.change_token(choice.data_id),
            self.app.drafting.change_token(choice.data_id),
        )
        return (
            repr(self.app.advice.unknown_language(choice)),
            self.app.models.is_ready(choice.model_id),
            mark,
            far,
        )

    def _imported(self, inputs: Inputs, import_id: str, notice: str = "") -> Updates:
        """The examples are read in the background; if that was quick, they are shown at
        once. notice: what was done.
        """
        before = self._state.choice(inputs)
        choice = self.app.validated(before.replace(import_id=import_id))
        reading = self.app.datasets.progress(choice)
        stay_open = bool(
            choice.import_id and reading and reading.error
        )  # the examples from before
        notice = notice or (FORMER if before.data_id and not stay_open else "")
        return {
            self.notice: components.text(notice, "status"),
            **self._state.change(before, choice),
            **self.preview.editing.close(),
            **self.show(choice, close=True),
        }

    def _act(self, event: gr.EventData, inputs: Inputs) -> Updates:
        """Any button in the tab's HTML."""
        before, (action, value) = self._state.choice(inputs), clicked(event)
        choice, closed = (
            apply_action(self.app, before, action, value),
            self.preview.editing.close(),
        )
        if action == "edit-row" and value.isdecimal():
            example = self.app.edits.editable(before.replace(row=int(value)))
            return {self.decision: edit_panel.form(example, before.data_id)}
        if action == "look":
            return {
                **self._state.change(before, choice),
                **self.preview.show(choice),
                **closed,
            }
        if action == "files":
            self.app.datasets.write_files(choice)
        choice = self.app.validated(choice)
        closed = closed if choice.data_id != before.data_id else {}
        shown = {self.notice: "", **self.show(choice, close=action == "open")}
        return {**self._state.change(before, choice), **shown, **closed}

    def _take_test(self, inputs: Inputs) -> Updates:
        before, path = self._state.choice(inputs), sent_file(inputs[self.own_test])
        done = self.app.datasets.set_validation(before.data_id, path)
        choice = before if done else before.replace(import_id=before.data_id)
        return {**self._state.change(before, choice), **self.show(choice)}
