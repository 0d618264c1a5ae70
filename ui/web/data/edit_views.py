"""Editing and writing examples, as HTML: an example's form, its buttons, the instruction of all, and a passage."""

from markupsafe import Markup

from backend.datasets import edits
from ui.records.data import DatasetState, EditableExample, Instruction, Writing
from ui.text import format as fmt
from ui.web.html import components

SAVED = "Your file stays as it is. Each change can be undone."
TWO_WAYS = (
    "You can let the model learn how it is written, as it is set now: it then continues texts in this style, but "
    "answers no questions. Or write examples from it: questions that people ask, and how they should be answered."
)
KEYS = "Ctrl and Enter save. What you type stays here if you reload the page."


def buttons(data: DatasetState) -> Markup:
    """The buttons for the example that is shown, and for the last edit."""
    acts = [
        components.button("Edit", "edit-row", label="Edit this example"),
        components.button("Delete", "delete-row", label="Delete this example"),
        components.button("Add an example", "new-row"),
    ]
    if data.info.edits:
        acts.append(components.button("Undo", "undo-edit", label="Undo the last change to your examples"))
    if data.info.undone:
        acts.append(components.button("Redo", "redo-edit", label="Redo the change that was undone"))
    version = edits.summary(data.source.edits)
    return components.acts(*acts) + components.text(f"{version} {SAVED}" if version else "", "small")


def form(example: EditableExample, data_id: str) -> Markup:
    """The fields of an example. What is typed stays in the browser until it is saved (static/js/drafts.js)."""
    key = f"edit {data_id} {example.row}"
    fields = [components.textarea(part.label, part.name, part.text, f"{key} {part.name}") for part in example.fields]
    title = "A new example" if example.is_new else f"Edit example {fmt.number(example.row)}"
    cancel = components.button("Cancel", "close-form")
    send = components.submit("Add this example" if example.is_new else "Save", cancel)
    action = f"add-row:{data_id}" if example.is_new else f"save-row:{data_id}:{example.row}"
    return components.form(action, Markup("<h3>{}</h3>").format(title), *fields, send, kind="write")


def instruction(now: Instruction, data_id: str) -> Markup:
    """The instruction of the examples with a form to change it; empty for plain texts, which have none."""
    if not now.total:
        return components.EMPTY
    box = components.textarea("The instruction for every example", "instruction", now.text, f"instruction {data_id}")
    remove = components.button("Remove it from every example", "remove-instruction", data_id) if now.count else ""
    change = components.form(
        f"set-instruction:{data_id}", box, components.submit("Use it for every example", remove), kind="write"
    )
    shown = Markup("<blockquote>{}</blockquote>").format(now.text or now.default)
    return components.card(
        "Instruction (system prompt)",
        shown if now.text or now.default else components.EMPTY,
        components.fold("Change it" if now.text else "Set one", change, key="instruction"),
        lead=_carried(now),
    )


def _carried(common: Instruction) -> str:
    different, total = common.different, common.total
    if common.text:
        rests = [fmt.count(different, "starts with another one", "start with another one")] if different else []
        if rest := total - common.count - different:
            rests.append(fmt.count(rest, "has none", "have none"))
        more = f" {fmt.listed(rests)}." if rests else ""
        return f"{_start(common.count, total)} with this instruction.{more}"
    who = f"{_start(different, total)} with one." if different else "Your examples have no instruction."
    default = "Where there is none, the model's chat template adds this one:" if common.default else ""
    return f"{who} {default}".strip()


def _start(count: int, total: int) -> str:
    if total == 1:
        return "Your only example starts"
    if count == total:
        return f"All {fmt.number(total)} examples start"
    return f"{fmt.number(count)} of your {fmt.number(total)} examples {'starts' if count == 1 else 'start'}"


def offer() -> Markup:
    """The two ways to learn from a text."""
    write = components.button("Write examples from it", "write-examples", "", "firm")
    return components.card("This is a text without questions and answers.", components.acts(write), lead=TWO_WAYS)


def passage(now: Writing, data_id: str) -> Markup:
    """A passage, the fields for a question and an answer about it, and what was written."""
    draft = f"write {data_id} {now.number} {len(now.written)}"
    back = components.button("Previous passage", "go-passage", now.number - 1) if now.number > 1 else ""
    on = components.button("Next passage", "go-passage", now.number + 1) if now.number < now.passages else ""
    form = components.form(
        f"save-passage:{data_id}:{now.number}",
        components.textarea("A question about this passage", "question", "", f"{draft} question"),
        components.textarea("How it should be answered", "answer", "", f"{draft} answer"),
        components.submit("Save this example"),
        kind="write",
    )
    done = components.join(
        Markup("<li><span>Example {}</span><q>{}</q></li>").format(row, fmt.shorten(question, 160))
        for row, question in now.written
    )
    return components.card(
        f"Passage {fmt.number(now.number)} of {fmt.number(now.passages)}",
        Markup('<blockquote class="passage" tabindex="0">{}</blockquote>').format(now.text),
        form,
        Markup('<ul class="where">{}</ul>').format(done) if done else components.EMPTY,
        components.text(KEYS, "small"),
        lead=_progress(now),
        aside=components.acts(back, on),
    )


def _progress(now: Writing) -> str:
    if not now.examples:
        return (
            "Write a question and its answer, then go on to the next passage. "
            "Skip a passage if there is nothing to ask about it."
        )
    about = f"{fmt.count(now.examples, 'example')} about {fmt.count(now.covered, 'passage')} so far."
    return f"{about} The ones that check the result come from other passages than those the model learns from."
