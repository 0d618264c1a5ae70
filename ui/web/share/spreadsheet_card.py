"""The section of Share that answers a spreadsheet: uploaded, answered row by row,
downloaded with a new column.
"""

from collections.abc import Hashable
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.export.answers import MOST_ROWS
from backend.hosting.policy import Feature
from ui.records.share import AnsweredSpreadsheet
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html, sent_file
from ui.web.html import components

LEAD = (
    "Upload a table with a question in each row. You get the same table with your "
    "model's answers in a new column. (Excel, OpenDocument or CSV, at most "
    f"{fmt.number(MOST_ROWS)} rows; it stays on this computer)"
)
SAVED = "The answers so far are saved."


class SpreadsheetCard:
    """upload: the file, which the browser holds until it is started. column: with the
    questions.
    """

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        with gr.Accordion(
            "Answer a spreadsheet",
            open=False,
            elem_classes="fold-block",
            elem_id="spreadsheet",
        ):
            html(components.text(LEAD))
            types = [".xlsx", ".ods", ".csv", ".tsv"]
            looks: dict[str, Any] = {
                "height": 150,
                "show_label": False,
                "elem_classes": "drop",
            }
            self.upload = gr.File(
                label="Your table",
                file_types=types,
                elem_id="spreadsheet-file",
                **looks,
            )
            column = "The column with the questions"
            self.column = gr.Dropdown(
                [], label=column, visible=False, elem_id="spreadsheet-column"
            )
            self.counted = html()
            with gr.Row(elem_classes="actions"):
                self.start = button(
                    "Answer every row", interactive=False, elem_id="spreadsheet-start"
                )
                self.why_not = html(elem_classes="reason")
            self.sheets = clickable(elem_id="spreadsheets")
        picked = [self.column, self.counted, self.start]
        self.outputs: list[Any] = [self.upload, *picked, self.why_not, self.sheets]
        state.listen(self.upload.upload, self._read, picked, self.upload)
        self.upload.clear(self._none, None, picked, **PRIVATE)
        state.listen(
            self.start.click, self._start, self.outputs, self.upload, self.column
        )
        state.listen(self.sheets.click, self._act, [self.sheets])

    def show(self, choice: Choice, why_not: str) -> Updates:
        """The section as it is now, except for the table that was just chosen."""
        why_not = self.app.policy.why_not(Feature.ANSWER_TABLE) or why_not
        sheets = self.app.spreadsheets.all(choice.run_id) if choice.run_id else []
        shown: Updates = {
            self.why_not: why_not,
            self.sheets: components.join(map(_sheet, sheets)),
        }
        return shown | {self.upload: gr.update(interactive=not why_not)}

    def signature(self, choice: Choice) -> Hashable:
        return repr(self.app.spreadsheets.all(choice.run_id)) if choice.run_id else ""

    def _none(self) -> Updates:
        return {
            self.column: gr.update(visible=False, value=None),
            self.counted: components.EMPTY,
            self.start: gr.update(interactive=False),
        }

    def _read(self, inputs: Inputs) -> Updates:
        path = sent_file(inputs[self.upload])
        table = self.app.spreadsheets.read(path, path.name)
        likely = max(
            table.columns,
            key=lambda name: sum(len(row[name]) for row in table.rows[:50]),
        )
        counted = f"{fmt.count(len(table.rows), 'row')}. {' '.join(table.skipped)}"
        return {
            self.column: gr.update(
                choices=list(table.columns), value=likely, visible=True
            ),
            self.counted: components.text(counted, "small"),
            self.start: gr.update(interactive=True),
        }

    def _start(self, inputs: Inputs) -> Updates:
        choice, path = self._state.choice(inputs), sent_file(inputs[self.upload])
        self.app.spreadsheets.start(
            choice.run_id, path, path.name, str(inputs[self.column] or "")
        )
        return {**self.show(choice, ""), self.upload: None, **self._none()}

    def _act(self, event: gr.EventData, inputs: Inputs) -> Updates:
        (do, job_id), run_id = clicked(event), self._state.choice(inputs).run_id
        sheets, runner = self.app.spreadsheets, self.app.runner
        if job_id in {
            sheet.job.id for sheet in sheets.all(run_id)
        }:  # not after a second click
            {"stop": runner.stop, "resume": sheets.resume, "delete": runner.delete}.get(
                do, str
            )(job_id)
        return {self.sheets: components.join(map(_sheet, sheets.all(run_id)))}


def _sheet(sheet: AnsweredSpreadsheet) -> Markup:
    """How far a spreadsheet is, or its answers to download."""
    job = sheet.job
    badge = components.badge(*fmt.STATES[job.state.value])
    if not job.state.is_terminal:
        phase, percent, sentences = fmt.progress(job.progress)
        stop = components.acts(
            components.button("Stop", "stop", job.id, label=f"Stop {job.name}")
        )
        return components.card(
            job.name,
            components.progress(percent, phase),
            stop,
            badges=badge,
            lead=sentences,
        )
    acts = [
        components.delete(
            "This deletes the table and its answers from this computer.",
            "delete",
            job.id,
        )
    ]
    parts = [components.problem_alert(job.failure)] if job.failure else []
    if job.state.can_resume:
        parts.append(components.text(SAVED, "small"))
        acts.insert(0, components.button("Continue", "resume", job.id, "firm"))
    elif sheet.file:
        result, name = sheet.result, sheet.file.name
        rows = fmt.count(result.unanswered, "row has", "rows have")
        lacks = f"{rows} no answer: no question, or one that is too long."
        cut = f"{fmt.count(result.cut, 'answer was', 'answers were')} cut off: too long, or in a loop."
        asides = [
            lacks if result.unanswered else "",
            cut if result.cut else "",
            *result.skipped,
        ]
        parts.append(components.text(" ".join(filter(None, asides)), "small"))
        acts.insert(
            0,
            components.download_link(
                sheet.file, name, f"Download {name}", fmt.count(result.rows, "row")
            ),
        )
    return components.card(job.name, *parts, components.acts(*acts), badges=badge)
