"""Writing examples about a text, as HTML: the two ways to learn from a text, and a passage with its fields."""

from markupsafe import Markup

from ui.records.data import Writing
from ui.text import format as fmt
from ui.web.html import components

TWO_WAYS = (
    "You can let the model learn how it is written, as it is set now: it then continues texts in this style, but "
    "answers no questions. Or write examples from it: questions that people ask, and how they should be answered."
)
KEYS = "Ctrl and Enter save. What you type stays here if you reload the page."


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
