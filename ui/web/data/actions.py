"""The actions of the buttons on Data."""

from typing import Any

from backend.datasets.checks.answers import CHOICE
from backend.errors import BadInput
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.data import reading_card
from ui.web.html import components

_ALSO: dict[str, dict[str, bool]] = {  # options beside those with which a file was read
    "join-cells": {"join_cells": True}, "drop-cells": {"drop_cells": True}, "keep-cells": {},
}  # fmt: skip


def apply_action(app: App, choice: Choice, action: str, value: str) -> Choice:
    """Does what a button stands for, and returns the choice after it.

    action: of the button
    value: from the browser: a row, an issue type (perhaps with a row after a colon), or
        the fields of a form
    """
    kind, _, at = value.partition(":")
    rows: Any = [int(at)] if at.isdecimal() else "all"
    data_id = choice.data_id
    if action in ("accept", "keep"):
        data = app.datasets.selected(choice)
        left = [problem.row for problem in data.waiting if problem.kind == kind]
        if action == "keep":
            app.fixes.refuse(data_id, kind, left)
        else:  # "all" would also be for what is only worth a look
            noted = rows == "all" and any(
                p.kind == kind and p.severity == "note" for p in data.problems
            )
            app.fixes.accept(data_id, kind, left if noted else rows)
    elif action == "pick":
        number = int(at or kind) if (at or kind).isdecimal() else 0
        for same in app.datasets.selected(choice).contradicting.get(number, []):
            numbers = [row.row for row in same]
            decide = app.fixes.refuse if at or number in numbers else app.fixes.accept
            decide(data_id, CHOICE, numbers)
    elif action == "refuse":
        app.fixes.refuse(data_id, kind, rows)
    elif action == "undo":
        app.fixes.undo(data_id, kind)
    elif action == "look" and value.isdecimal():
        return choice.replace(row=int(value))
    elif action == "confirm":
        app.fixes.confirm_reading(data_id)
    elif action in ("how", "as-found", *_ALSO):
        how: dict[str, Any] = {}
        if action == "how":
            how = reading_card.sent(value, app.datasets.selected(choice))
        elif action in _ALSO:
            before = app.datasets.selected(choice).info.read_options
            how = {
                **{name: v for name, v in before.items() if name != "drop_cells"},
                **_ALSO[action],
            }
        app.datasets.read_again(data_id, how, choice.model_id)
        return choice.replace(import_id=data_id)
    elif action == "open":
        return choice.replace(data_id=value, import_id="", row=1)
    elif action == "model":
        return choice.replace(model_id=value, settings={})
    elif action == "delete":
        app.datasets.delete(value)
    elif action.startswith("set-instruction:") and "instruction" in (
        form := components.fields(value)
    ):
        _require_open(choice, action.partition(":")[2])
        app.edits.set_instruction(data_id, form["instruction"])
    elif action == "remove-instruction":
        _require_open(choice, value)
        app.edits.set_instruction(data_id, "")
    elif (
        action == "make-examples"
        and choice.import_id
        and not app.dataset_store.has(choice.import_id)
    ):
        app.datasets.make_from(choice.import_id, choice.model_id)
    elif action == "make-examples":
        return choice.replace(
            data_id=app.dataset_store.start_material(data_id), row=1, passage=0
        )
    elif action.startswith("draft-"):
        return _make(app, choice, action, value)
    elif action == "clear-test":
        app.validation_files.clear(data_id)
    elif action.startswith("save-row:"):
        form_of, _, row = action.partition(":")[2].partition(":")
        _require_open(choice, form_of)
        if row.isdecimal():
            app.edits.save(choice, int(row), components.fields(value))
    elif action.startswith("add-row"):
        _require_open(choice, action.partition(":")[2])
        return choice.replace(row=app.edits.add(data_id, components.fields(value)))
    elif action in ("delete-row", "undo-edit"):
        if action == "delete-row":
            app.edits.delete(data_id, choice.row)
        else:
            app.edits.undo(data_id)
        return choice.replace(row=app.datasets.nearest(data_id, choice.row))
    elif action in ("cancel", "dismiss"):
        if action == "cancel":
            app.datasets.cancel_import(choice.import_id)
        return choice.replace(import_id="")
    return choice


def _make(app: App, choice: Choice, action: str, value: str) -> Choice:
    """Decides about a draft, or about a column of a table. action: with the dataset,
    and the draft or the column of a form. value: the form, or else the draft, the
    column or the passage.
    """
    kind, _, sent = action.partition(":")
    data_id, _, what = (sent or value).partition(":")
    _require_open(choice, data_id)
    form, drafting, row, passage = components.fields(value), app.drafting, 0, 0
    if kind == "draft-keep":
        row = drafting.keep(
            data_id, what, form.get("question", ""), form.get("answer", "")
        )
    elif kind == "draft-about":
        passage = int(number[:9]) if (number := what or value).isdecimal() else 0
    elif kind == "draft-drop":
        drafting.drop(data_id, value)
    elif kind == "draft-undo":
        passage = drafting.undo(data_id)
    elif kind == "draft-word":
        ways = [text for name, text in form.items() if name.startswith("way-")]
        drafting.word(
            data_id, what, ways, form.get("answer", ""), at_once="each" not in form
        )
    elif kind == "draft-leave":
        drafting.word(data_id, value, (), "", at_once=False)
    elif kind == "draft-begin":
        drafting.begin(data_id, form.get("model", ""))
    elif kind == "draft-stop":
        drafting.stop(data_id)
    return choice.replace(row=row or choice.row, passage=passage)


def _require_open(choice: Choice, data_id: str) -> None:
    """Raises BadInput when a form was drawn for other examples than those that are open
    now.
    """
    if data_id != choice.data_id:
        raise BadInput(
            "These examples are no longer open.", "", "Open them again, then save."
        )
