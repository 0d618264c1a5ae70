"""The actions of the buttons on Data."""

from typing import Any

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.data import decisions, read_options
from ui.web.data.edit_panel import apply_edit, require_open
from ui.web.html import components


def apply_action(app: App, choice: Choice, action: str, value: str) -> Choice:
    """Does what a button stands for, and returns the choice after it.
    choice: what the browser has chosen. action: of the button. value: from the browser: a row, an issue type (perhaps
    with a row after a colon), or the form of the read options."""
    kind, _, at = value.partition(":")
    rows: Any = [int(at)] if at.isdecimal() else "all"
    data_id = choice.data_id
    if action == "accept":
        app.fixes.accept(data_id, kind, rows)
    elif action == "keep":
        left = [problem.row for problem in decisions.waiting(app.datasets.state(choice)) if problem.kind == kind]
        app.fixes.refuse(data_id, kind, left)
    elif action == "refuse":
        app.fixes.refuse(data_id, kind, rows)
    elif action == "undo":
        app.fixes.undo(data_id, kind)
    elif action == "look" and value.isdecimal():
        return choice.replace(row=int(value))
    elif action in ("how", "as-found", "join-cells", "drop-cells", "keep-cells"):
        how = read_options.sent(value, app.datasets.state(choice)) if action == "how" else {}
        if action.endswith("-cells"):
            option = {"join-cells": {"join_cells": True}, "drop-cells": {"drop_cells": True}}.get(action, {})
            before = app.datasets.state(choice).info.read_options
            how = {**{name: v for name, v in before.items() if name != "drop_cells"}, **option}
        app.datasets.read_again(data_id, how, choice.model_id)
        return choice.replace(import_id=data_id)
    elif action == "columns":
        app.datasets.import_again(choice.import_id, read_options.sent_columns(value), choice.model_id)
    elif action == "people":
        how = read_options.sent_people(value)
        if choice.import_id:
            app.datasets.import_again(choice.import_id, how, choice.model_id)
        else:
            app.datasets.read_again(data_id, how, choice.model_id)
            return choice.replace(import_id=data_id)
    elif action == "open":
        return choice.replace(data_id=value, import_id="", row=1)
    elif action == "model":
        return choice.replace(model_id=value, settings={})
    elif action == "delete":
        app.datasets.delete(value)
    elif action.startswith("set-instruction:") and "instruction" in (form := components.fields(value)):
        require_open(choice, action.partition(":")[2])
        app.edits.set_instruction(data_id, form["instruction"])
    elif action == "remove-instruction":
        require_open(choice, value)
        app.edits.set_instruction(data_id, "")
    elif action == "write-examples":
        return choice.replace(data_id=app.writing.start(data_id), row=1, passage=1)
    elif action == "go-passage" and value.isdecimal():
        return choice.replace(passage=int(value[:9]))
    elif action.startswith("save-passage:"):
        return _save_passage(app, choice, action.removeprefix("save-passage:"), components.fields(value))
    elif action == "clear-test":
        app.validation_files.clear(data_id)
    elif action.startswith("save-row:"):
        return apply_edit(app, choice, action, value)
    elif action == "cancel":
        app.datasets.cancel_import(choice)
        return choice.replace(import_id="")
    elif action == "dismiss":
        return choice.replace(import_id="")
    return choice


def _save_passage(app: App, choice: Choice, place: str, form: dict[str, str]) -> Choice:
    """Adds what was written about a passage. place: the dataset and the passage of the form."""
    data_id, _, number = place.partition(":")
    require_open(choice, data_id)
    at = int(number) if number.isdecimal() else 0
    row = app.writing.save(data_id, at, form.get("question", ""), form.get("answer", ""))
    return choice.replace(row=row, passage=at)
