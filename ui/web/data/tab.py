"""Data: bring examples, see what is wrong with them and mend it, see what will be learned."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ui.records import DatasetState
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.components import LISTEN, Given, Kept, Updates, clickable, drawn, pressed, primary
from ui.web.data import import_panel, read_options
from ui.web.data import issues as issues_panel
from ui.web.data import preview as preview_panel
from ui.web.data import views as data_views
from ui.web.data.import_panel import ImportPanel
from ui.web.data.preview import Preview
from ui.web.errors import handler
from ui.web.html import components

NOTHING_YET = "Bring your examples, or take ours to try it out.", "Then you see what it will learn."


@dataclass
class DataTab:
    app: App
    line: gr.HTML
    bring: ImportPanel
    reading: gr.HTML
    found: gr.Column
    summary: gr.HTML
    own_test: gr.UploadButton
    tested: gr.HTML
    how: gr.HTML
    problems: gr.HTML
    preview: Preview
    download: gr.HTML
    forward: gr.Button
    reason: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        drawings = [self.line, self.reading, self.found, self.summary, self.tested, self.how, self.problems]
        return [
            *drawings,
            self.own_test,
            self.download,
            *self.bring.outputs,
            *self.preview.outputs,
            self.forward,
            self.reason,
        ]

    def show(self, choice: Choice) -> Updates:
        imports = bool(choice.import_id)
        data = self.app.datasets.state_soon(choice) if choice.data_id else None
        now = self.app.datasets.progress(choice)
        shown: Updates = {
            self.reading: data_views.reading(now, imports),
            **self.bring.show(not (data or now) or bool(now and now.error), choice.data_id),
        }
        if now is not None and now.error is None and (imports or data is None):
            return {**shown, **self._waiting(imports)}
        if data is None:  # chosen ones have been read this very moment: the next look shows them
            return {**shown, **(self._waiting(imports) if choice.data_id else self._empty())}
        return {**shown, **self._showing(choice, data)}

    def _waiting(self, imports: bool) -> Updates:
        """What stays as it is while examples are read. New ones take the place of those that are shown."""
        return {
            self.line: components.guide(2, "Your examples are being read.", "You can go on as soon as that is done."),
            self.forward: gr.update(interactive=False),
            self.reason: "The examples are still being read.",
            **({self.found: gr.update(visible=False)} if imports else {}),
        }

    def _empty(self) -> Updates:
        return {
            self.line: components.guide(2, *NOTHING_YET),
            self.found: gr.update(visible=False),
            self.forward: gr.update(interactive=False),
            self.reason: "Bring some examples first.",
        }

    def _showing(self, choice: Choice, data: DatasetState) -> Updates:
        return {
            self.line: data_views.guide(data),
            self.found: gr.update(visible=True),
            self.summary: data_views.summary(data, self.app.datasets.lengths(choice).max_length),
            self.own_test: None,
            self.tested: data_views.tested(data),
            self.how: read_options.card(data),
            self.problems: issues_panel.card(data),
            self.download: data_views.download(data, self.app.datasets.written_files(choice)),
            **self.preview.show(choice),
            self.forward: gr.update(interactive=not data.blocked),
            self.reason: data.blocked,
        }

    def signature(self, choice: Choice) -> Hashable:
        now = self.app.datasets.progress(choice)
        far = (now.phase, int(100 * now.fraction), now.first_rows is None, repr(now.error)) if now else ()
        mark = self.app.datasets.change_token(choice.data_id)
        return self.app.models.is_ready(choice.model_id), mark, far


def build(app: App, kept: Kept) -> DataTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(components.guide(2, *NOTHING_YET), elem_classes="guide")
    bring = import_panel.build(app)
    reading = clickable(elem_id="reading")
    with gr.Column(visible=False) as found:
        summary = drawn()
        with gr.Row(elem_classes="actions"):
            own_test = gr.UploadButton("I have a test file", size="md", min_width=0, scale=0, elem_id="own-test")
            tested = clickable(elem_classes="reason")
        how = clickable()
        problems = clickable()
        preview = preview_panel.build(app)
        download = clickable()
    with gr.Row(elem_classes="actions"):
        forward = primary("Go on to training", interactive=False, elem_id="to-train")
        reason = drawn(elem_classes="reason")

    seen = (summary, own_test, tested, how, problems, preview, download)
    tab = DataTab(app, line, bring, reading, found, *seen, forward, reason)
    everything = [*kept.outputs, *tab.outputs]

    def taken(given: Given, import_id: str) -> Updates:
        """What was brought is read in the background; when that was quick, it is there already."""
        before = kept.choice(given)
        choice = app.validated(before.replace(import_id=import_id))
        return {**kept.keep(before, choice), bring.chooser: gr.update(open=False), **tab.show(choice)}

    bring.listen(kept, taken, everything)
    preview.listen(kept)

    @handler
    def act(event: gr.EventData, given: Given) -> Updates:
        """Any button of the tab's drawn parts."""
        before, (do, value) = kept.choice(given), pressed(event)
        choice = _done(app, before, do, value)
        if do == "look":
            return {**kept.keep(before, choice), **preview.show(choice)}
        if do == "files":
            app.datasets.write_files(choice)
        choice = app.validated(choice)
        return {**kept.keep(before, choice), **tab.show(choice)}

    @handler
    def take_test(given: Given) -> Updates:
        choice, path = kept.choice(given), Path(given[own_test])
        app.datasets.set_validation(choice.data_id, path, path.name)
        return tab.show(choice)

    own_test.upload(take_test, kept.inputs(own_test), tab.outputs, **LISTEN)
    for part in (bring.earlier, reading, tested, how, problems, download):
        part.click(act, kept.inputs(), everything, trigger_mode="multiple", **LISTEN)  # no press is lost
    return tab


def _done(app: App, choice: Choice, do: str, value: str) -> Choice:
    """Does what was pressed and gives the choice after it. `value` comes from the browser: a kind of problem or a
    row, perhaps with a row after a colon, or the form of how the file is read."""
    kind, _, at = value.partition(":")
    rows: Any = [int(at)] if at.isdecimal() else "all"
    data_id = choice.data_id
    if do == "accept":
        app.datasets.accept(data_id, kind, rows)
    elif do == "accept-all":
        for wrong in issues_panel.must_fix(app.datasets.state(choice)):
            app.datasets.accept(data_id, wrong, "all")
    elif do == "refuse":
        app.datasets.refuse(data_id, kind, rows)
    elif do == "undo":
        app.datasets.undo(data_id, kind)
    elif do == "look" and value.isdecimal():
        return choice.replace(row=int(value))
    elif do in ("how", "as-found"):
        how = read_options.sent(value, app.datasets.state(choice)) if do == "how" else {}
        app.datasets.read_again(data_id, how, choice.model_id)
        return choice.replace(import_id=data_id)
    elif do == "columns":
        app.datasets.import_again(choice.import_id, read_options.sent_columns(value), choice.model_id)
    elif do == "open":
        return choice.replace(data_id=value, run_id="", import_id="", row=1)
    elif do == "delete":
        app.datasets.delete(value)
    elif do == "clear-test":
        app.datasets.clear_validation(data_id)
    elif do == "cancel":
        app.datasets.cancel_import(choice)
        return choice.replace(import_id="")
    elif do == "dismiss":
        return choice.replace(import_id="")
    return choice
