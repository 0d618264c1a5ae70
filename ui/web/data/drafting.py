"""Making examples, as HTML: one draft at a time, the ways of asking about a table, and
a model that drafts.
"""

import json
from collections.abc import Iterable

from markupsafe import Markup

from backend.datasets.dataset import CheckedDataset
from backend.datasets.documents.passages import Passage, sentences
from backend.drafts import templates
from backend.drafts.draft import YOURS, Draft, changes
from backend.drafts.templates import Column
from backend.errors import ApprenticeError
from backend.models.local import DEFAULT
from ui.records.data import Making
from ui.text import format as fmt
from ui.web.html import components

GOAL = 50  # examples
TESTED = 24  # passages with examples: a quarter of them is set aside, and six can judge
FROM_TABLE = "No answers in it? Make examples from it"
STALE = (
    "This changes, and a model keeps the old one.",
    "Better teach it where the price or the date can be found, or train again whenever "
    "it changes.",
)
KEY = Markup("{}<kbd>{}</kbd>")
SENTENCE = Markup(
    '<button type="button" class="sentence" data-sentence aria-pressed="{}">{}</button>'
)


def guide(now: Making, data: CheckedDataset) -> Markup:
    """How many examples there are, and where they are from; of several sources, only a
    file of examples is named.
    """
    name, there = (
        fmt.shorten(data.name, 60),
        sum(row.origin == "file" for row in data.original.rows),
    )
    made = f": {fmt.number(there)} from {name}, {fmt.number(now.kept - there)} added."
    if data.info.written:
        made = " made." if data.info.materials else f" made from {name}."
    if now.kept >= GOAL:
        return components.guide(
            2, f"{fmt.count(now.kept, 'example')}{made}", "You can go on to training."
        )
    return components.guide(
        2,
        f"{fmt.number(now.kept)} of {GOAL} examples{made}",
        "Keep, change or skip each one.",
    )


def card(now: Making, data_id: str) -> Markup:
    """What to decide next, and below it the model that drafts."""
    undo = _press("Undo", "u", "draft-undo", data_id) if now.last else components.EMPTY
    if now.draft:
        shown = _draft(now.draft, now.passage, data_id, undo)
    elif now.column:
        shown = _column(now.column, data_id, undo)
    else:  # all is decided; the first button has the keyboard (static/js/making.js)
        add = components.button("Add another text", "add-text")
        acts = (
            components.submit("Ask more about the same", add, undo)
            if now.again
            else components.acts(add, undo)
        )
        text = (
            "Every question about this text is decided, and none was kept. Ask about "
            "it in your own words, or add another text."
        )
        if now.kept:
            examples = fmt.count(now.kept, "example")
            text = (
                f"Every question about this text is decided, and there are {examples}. "
                "To have more, ask more about the same text, or add another one. Or go "
                "on to training."
            )
        shown = components.form(
            f"draft-about:{data_id}:{now.again}",
            components.text(text),
            acts,
            kind="write making",
        )
    bar = components.progress(
        fmt.percent(min(now.kept, GOAL), GOAL), f"{now.kept} of {GOAL} examples"
    )
    waiting = (
        components.badge(f"{fmt.count(now.waiting, 'draft')} left", "calm")
        if now.waiting
        else ""
    )
    return components.card(
        _title(now), bar, shown, _model(now, data_id), lead=_needed(now), aside=waiting
    )


def _press(text: str, key: str, do: str, value: object) -> Markup:
    """A button that a key presses while the keyboard is in the card
    (static/js/making.js).
    """
    return components.button(KEY.format(text, key), do, value)


def _title(now: Making) -> str:
    if now.column and not now.draft:
        return f"How do people ask about “{fmt.shorten(now.column.name, 60)}”?"
    if now.draft is None:
        return (
            f"That was all: {fmt.count(now.passages, 'passage')}"
            if now.passages
            else "That was all"
        )
    if now.draft.kind == YOURS:
        return "What would people ask about this?"
    return "Keep this example?" if now.draft.answer else "How would you answer this?"


def _needed(now: Making) -> str:
    """How many there are, and whether the test at the end has enough to ask."""
    so_far = (
        f"{fmt.number(now.kept)} of {GOAL} kept."
        if now.kept < GOAL
        else f"{fmt.number(now.kept)} kept."
    )
    if 0 < now.passages < TESTED:
        passages = fmt.count(now.passages, "passage")
        return (
            f"{so_far} It has only {passages} to ask about, so the test at the end will "
            "be a rough one."
        )
    if now.covered < min(TESTED, now.passages):
        return (
            f"{so_far} The test at the end needs examples from {TESTED} different "
            f"passages: {fmt.number(now.covered)} so far."
        )
    return so_far


def _draft(draft: Draft, passage: Passage | None, data_id: str, undo: Markup) -> Markup:
    at, answer = f"make {data_id} {draft.id}", draft.answer
    source = "Press a sentence to take it as the answer, or write your own. Ctrl and Enter keep it."
    if draft.question:
        source = "Only what you keep is learned."
    if draft.by:
        source = (
            f"Drafted by {draft.by}, which may be wrong. Only what you keep is learned."
        )
    acts = [
        _press(
            "Drop" if draft.question else "Skip", "d", f"draft-drop:{data_id}", draft.id
        ),
        undo,
    ]
    if draft.question:
        acts.insert(0, _press("Edit", "e", "", ""))
    if draft.question and passage:
        acts.append(
            _press(
                "Ask something else about this",
                "n",
                f"draft-about:{data_id}",
                passage.number,
            )
        )
    return components.form(
        f"draft-keep:{data_id}:{draft.id}",
        components.textarea(
            "The question", "question", draft.question, f"{at} question"
        ),
        components.textarea("The answer", "answer", answer, f"{at} answer"),
        components.alert("warn", *STALE) if changes(answer) else components.EMPTY,
        _passage(passage, answer) if passage else components.EMPTY,
        components.submit(KEY.format("Keep", "k"), *acts),
        components.text(source, "small"),
        kind="write making",
    )


def _passage(passage: Passage, answer: str) -> Markup:
    """The passage, of which each sentence can be pressed to be the answer."""
    parts, end = [], 0
    for sentence in sentences(passage.text):
        at = passage.text.find(sentence, end)
        parts += [
            passage.text[end:at],
            SENTENCE.format("true" if sentence in answer else "false", sentence),
        ]
        end = at + len(sentence)
    shown = Markup('<blockquote class="passage">{}</blockquote>').format(
        components.join(parts)
    )
    return components.text(f"From {passage.place}:", "small") + shown


def _column(column: Column, data_id: str, undo: Markup) -> Markup:
    """Three ways of asking about a cell, to change, and what they make of the first row
    (static/js/making.js keeps that up with what is typed).
    """
    first, at = column.rows[0], f"ways {data_id} {column.key}"
    filling = templates.filled_in(column, first)
    names = [
        name
        for name in filling
        if name in templates.names_in("".join([*column.ways, column.answer]))
    ]
    filled = fmt.listed([f"{{{name}}} becomes “{filling[name]}”" for name in names])
    ways = [
        components.textarea(f"Way {n}", f"way-{n}", way, f"{at} {n}")
        for n, way in enumerate(column.ways, 1)
    ]
    drafts = templates.from_column(column, column.ways, column.answer)[
        : len(column.ways)
    ]
    pairs = (
        Markup("<li><q>{}</q> {}</li>").format(draft.question, draft.answer)
        for draft in drafts
    )
    return components.form(
        f"draft-word:{data_id}:{column.key}",
        components.text(
            f"The words in braces are filled in for each row. In the first one, {filled}."
        ),
        *ways,
        components.textarea("The answer", "answer", column.answer, f"{at} answer"),
        components.alert("warn", *STALE) if column.flagged else components.EMPTY,
        components.text("The first row in these words:", "small"),
        Markup('<ul class="where" data-filling="{}">{}</ul>').format(
            json.dumps(filling), components.join(pairs)
        ),
        Markup(
            '<label class="check"><input type="checkbox" name="each"> Let me look at each one</label>'
        ),
        components.submit(
            f"Use them for {fmt.count(len(column.rows), 'row')}",
            components.button("Skip this column", f"draft-leave:{data_id}", column.key),
            undo,
        ),
        kind="write making",
    )


def _model(now: Making, data_id: str) -> Markup:
    """A model that drafts questions: to choose, at work, or why it ended."""
    if now.working:
        phase, done = now.working
        bar = components.progress(fmt.percent(done, 1.0) if done else None, phase)
        stop = components.acts(
            components.button("Stop", "draft-stop", data_id, label="Stop drafting")
        )
        return (
            components.text(
                f"{phase}. Its drafts are mixed in with the others.", "status"
            )
            + bar
            + stop
        )
    failed = components.EMPTY
    if isinstance(now.failed, ApprenticeError):
        failed = components.problem_alert(now.failed, "warn")
    elif now.failed:
        failed = components.alert(
            "warn", "The model stopped working.", "What it had drafted is still here."
        )
    return failed + (
        components.EMPTY if now.column and not now.draft else more(now.models, data_id)
    )


def more(models: Iterable[tuple[str, str]], data_id: str) -> Markup:
    """Lets a model draft questions: about the text, or like the examples. Too weak a
    one is never proposed.
    """
    good = [model for model in models if model[0] != DEFAULT]
    if not models:
        return components.EMPTY
    title, send = "Let a model on this computer draft questions", "Draft questions"
    why = (
        "It asks about your text, or asks more like your examples. It may be wrong, so "
        "you decide about each question. How good the questions of a larger model are "
        "was not measured."
    )
    if not good:
        title, send = "Drafts by a model: none here is good enough", "Try it anyway"
        why = (
            "The one that comes with Apprentice is too weak: of 108 questions that it "
            "drafted in a test, none was good. The ready questions and your own "
            "sentences serve better, or a larger model, which you can download on "
            "Start."
        )
    select = Markup('<label>Model<select name="model">{}</select></label>').format(
        components.options(good or models)
    )
    form = components.form(
        f"draft-begin:{data_id}", select, components.submit(send), kind="write"
    )
    return components.fold(title, components.text(why, "small"), form, key="drafting")
