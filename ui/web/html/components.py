"""A small library of HTML components.

Each returns `Markup`, which escapes every plain `str` that is formatted or joined into
it and leaves `Markup` as it is. HTML is written only as a literal inside `Markup(...)`,
so no text from a file, a model or a person can become a tag.
tests/ui/web/html/test_typed_html.py checks the source for this.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from markupsafe import Markup

from backend.errors import ApprenticeError
from backend.files.json_file import value_of
from backend.records.machine import MachineProblem
from jobs.records import Failure
from ui.records.runs import RunInfo
from ui.text import format as fmt

EMPTY = Markup("")
TICK = Markup(
    '<svg class="tick-icon" viewBox="0 0 16 16" aria-hidden="true">'
    '<path d="M3.2 8.6l3.1 3.1 6.5-7" fill="none" stroke="currentColor" stroke-width="2" '
    'stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def join(parts: Iterable[str]) -> Markup:
    """The parts one after the other, each plain `str` escaped."""
    return EMPTY.join(parts)


# Text


def text(content: str, kind: str = "") -> Markup:
    """A paragraph; kind "small" for asides such as the technical term."""
    return Markup('<p class="{}">{}</p>').format(kind, content) if content else EMPTY


def badge(content: str, tone: str = "good") -> Markup:
    """A short word in a pill. tone: good, warn, bad or calm."""
    return Markup('<span class="badge {}">{}</span>').format(tone, content)


def guide(step: int, now: str, then: str) -> Markup:
    """Where the person is and what comes next. step: 1 to 5, or 0 for a tab that is not
    a step.
    """
    place = Markup("<strong>Step {} of 5.</strong> ").format(step) if step else EMPTY
    return Markup('<p class="guide-line">{}{} <span>{}</span></p>').format(
        place, now, then
    )


def run_line(run: RunInfo) -> Markup:
    """The model that a tab is about: its name, its version after the first, the base
    model and the examples.
    """
    name = f"{run.name}{fmt.version(run.version)}"
    return Markup('<p class="which"><strong>{}</strong> · {}</p>').format(
        name, fmt.origin(run)
    )


def alert(tone: str, title: str, what: str = "", next: str = "") -> Markup:  # noqa: A002
    """A notice: its title, what happened, and what to do next. Its tone is good, warn,
    bad or calm.
    """
    role = Markup(' role="alert"') if tone == "bad" else EMPTY
    body = join(Markup("<p>{}</p>").format(part) for part in (what, next) if part)
    return Markup('<div class="alert {}"{}><strong>{}</strong>{}</div>').format(
        tone, role, title, body
    )


def problem_alert(
    problem: ApprenticeError | Failure | MachineProblem, tone: str = "bad"
) -> Markup:
    return alert(tone, problem.what, problem.why, problem.next)


def answers(question: str, panes: Iterable[tuple[str, str, str]]) -> Markup:
    """A question with its answers beside each other: (whose it is, a mark beside that,
    the answer).
    """
    pane = Markup("<div><h3>{}{}</h3><p>{}</p></div>")
    shown = join(
        pane.format(name, mark, answer or "No answer.") for name, mark, answer in panes
    )
    return Markup(
        '<article><p class="asked">{}</p><div class="versus">{}</div></article>'
    ).format(question, shown)


# Blocks


def card(
    title: str, *body: str, lead: str = "", badges: str = "", aside: str = ""
) -> Markup:
    """A card.

    body: one below the other
    lead: one sentence above the body
    badges: above the title
    aside: to the right of the title
    """
    above = Markup('<div class="badges">{}</div>').format(badges) if badges else EMPTY
    head = Markup("<h2>{}</h2>").format(title)
    if aside:
        head = Markup('<div class="head">{}{}</div>').format(head, aside)
    return Markup('<section class="card">{}{}{}{}</section>').format(
        above, head, text(lead, "lead"), join(body)
    )


def fold(summary: str, *body: str, kind: str = "", key: str = "") -> Markup:
    """A section to open and close.

    body: shown while it is open
    kind: its CSS class
    key: the name under which the browser remembers whether it was open
    """
    attributes = Markup(' data-key="{}"').format(key) if key else EMPTY
    return Markup(
        '<details class="fold {}"{}><summary>{}</summary><div class="fold-body">{}</div></details>'
    ).format(kind, attributes, summary, join(body))


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Large numbers with their meaning in small print below: (value, meaning)."""
    cells = (
        Markup("<li><strong>{}</strong> <span>{}</span></li>").format(*pair)
        for pair in pairs
    )
    return Markup('<ul class="facts">{}</ul>').format(join(cells))


def rows(lines: Iterable[tuple[str, str, str]]) -> Markup:
    """A list of (name, value, small print) in two columns."""
    row = Markup("<div><dt>{}</dt><dd>{}{}</dd></div>")
    cells = (
        row.format(name, value, text(small, "small")) for name, value, small in lines
    )
    return Markup('<dl class="rows">{}</dl>').format(join(cells))


def checklist(
    lines: Iterable[tuple[bool | None, str]],
    read: tuple[str, str] = ("Passed", "Failed"),
) -> Markup:
    """Sentences with a tick (True), a cross (False) or a dot (None, no verdict). read:
    aloud for the first two.
    """
    good, bad = (f"{word}: " for word in read)
    marks = {
        True: ("good", TICK, good),
        False: ("bad", "×", bad),
        None: ("calm", "·", "No verdict: "),
    }
    item = Markup(
        '<li class="{}"><span class="mark" aria-hidden="true">{}</span>'
        '<span><span class="unseen">{}</span>{}</span></li>'
    )
    return Markup('<ul class="checklist">{}</ul>').format(
        join(item.format(*marks[ok], line) for ok, line in lines)
    )


def verified(summary: str, *body: str, key: str = "") -> Markup:
    """A fold behind a tick, for how something was verified. summary, body, key: see
    `fold`.
    """
    return fold(Markup("{} {}").format(TICK, summary), *body, kind="verified", key=key)


def steps(lines: Iterable[str]) -> Markup:
    """Numbered instructions."""
    return Markup('<ol class="steps">{}</ol>').format(
        join(Markup("<li>{}</li>").format(line) for line in lines)
    )


def code(text: str) -> Markup:
    """Code or commands to type or run, line by line."""
    return (
        Markup('<pre class="code" tabindex="0">{}</pre>').format(text)
        if text
        else EMPTY
    )


def progress(percent: int | None, label: str) -> Markup:
    """A progress bar; percent None: busy, with no known end."""
    now = EMPTY if percent is None else Markup(' aria-valuenow="{}"').format(percent)
    return Markup(
        '<div class="bar{}" role="progressbar" aria-valuemin="0" aria-valuemax="100"{} aria-label="{}">'
        '<i style="width:{}%"></i></div>'
    ).format(
        " unknown" if percent is None else "",
        now,
        label,
        100 if percent is None else percent,
    )


def memory_bar(parts: Sequence[tuple[str, float]], have: float, label: str) -> Markup:
    """A bar of amounts needed, by part (name, amount), against what the computer has,
    with a key. All in one unit.
    """
    need = sum(amount for _, amount in parts)
    whole = max(have, need, 1e-9)
    pieces = (
        Markup('<i class="part-{}" style="width:{:.2f}%" title="{}"></i>').format(
            at, 100 * amount / whole, name
        )
        for at, (name, amount) in enumerate(parts)
    )
    key = (
        Markup('<li><i class="part-{}"></i>{}</li>').format(at, name)
        for at, (name, _) in enumerate(parts)
    )
    return Markup(
        '<div class="bar parts{}" role="img" aria-label="{}">{}</div><ul class="key">{}</ul>'
    ).format(" over" if need > have else "", label, join(pieces), join(key))


# Buttons, links and forms


def button(
    text: str, do: str, value: object = "", kind: str = "quiet", label: str = ""
) -> Markup:
    """A button; a click sends (do, value) to the listener of the `clickable` that it is
    in.

    kind: "quiet", "firm", "primary", "chip" or "danger"
    label: its name for screen readers and voice control, which must contain `text`
    """
    named = Markup(' aria-label="{}"').format(label) if label else EMPTY
    return Markup(
        '<button type="button" class="btn {}" data-do="{}" data-value="{}"{}>{}</button>'
    ).format(kind, do, value, named, text)


def delete(
    question: str,
    do: str,
    value: object = "",
    text: str = "Delete",
    yes: str = "Delete for good",
    label: str = "",
) -> Markup:
    """A button that asks before it deletes; `do`, `value` and `label` are those of the
    button `yes`.
    """
    return Markup(
        '<details class="confirm"><summary class="btn quiet">{}</summary><div class="sure"><p>{}</p>{}</div></details>'
    ).format(text, question, button(yes, do, value, "danger", label))


def acts(*buttons: str) -> Markup:
    """Buttons in a row."""
    return Markup('<div class="acts">{}</div>').format(join(buttons))


def submit(text: str, *more: str) -> Markup:
    """The last row of a form: the button that sends it, and `more` to its right."""
    row = Markup(
        '<div class="acts"><button type="submit" class="btn firm">{}</button>{}</div>'
    )
    return row.format(text, join(more))


def external_link(url: str, text: str) -> Markup:
    """A link that opens in a new window; only the text where the address is not an
    https one.
    """
    if not url.startswith("https://"):
        return Markup("{}").format(text)
    return Markup(
        '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>'
    ).format(url, text)


def download_link(path: object, name: str, text: str, aside: str) -> Markup:
    """A button that downloads a file.

    path: one that the services built, never one that a person typed
    name: of the file as it is saved
    aside: in small print on it
    """
    return Markup(
        '<a class="btn firm" href="/gradio_api/file={}" download="{}">{} <span>{}</span></a>'
    ).format(quote(str(path)), name, text, aside)


def inline_file(data: bytes, name: str, text: str) -> Markup:
    """A button that downloads a small file of the program, which the page itself
    contains.
    """
    return Markup(
        '<a class="btn quiet" href="data:application/octet-stream;base64,{}" download="{}">{}</a>'
    ).format(b64encode(data).decode("ascii"), name, text)


def form(do: str, *body: str, kind: str = "") -> Markup:
    """A form; sending it gives the listener `do` and the named fields, for `fields` to
    read. The method "dialog" keeps the browser from sending it anywhere itself.
    """
    return Markup('<form class="{}" data-send="{}" method="dialog">{}</form>').format(
        kind, do, join(body)
    )


def textarea(
    label: str, name: str, text: str, draft: str, required: bool = False
) -> Markup:
    """A field of a form for a longer text.

    text: that it begins with
    draft: the name under which the browser holds what is typed until it is saved;
        `text` is part of it
    required: an empty one is not sent, and the browser says so
    """
    return Markup(  # a line break at the start, which HTML drops
        '<label>{}<textarea name="{}" rows="{}" data-draft="{}"{}>\n{}</textarea></label>'
    ).format(
        label,
        name,
        min(16, 2 + text.count("\n") + len(text) // 90),
        draft,
        " required" if required else "",
        text,
    )


def fields(value: str) -> dict[str, str]:
    """The fields of a form that was sent; empty where `value`, which comes from the
    browser, is anything else.
    """
    sent = value_of(value)
    return (
        {name: typed for name, typed in sent.items() if isinstance(typed, str)}
        if isinstance(sent, dict)
        else {}
    )


def options(choices: Iterable[tuple[str, str]], chosen: str = "") -> Markup:
    """The options of a select: (value, text)."""
    option, selected = Markup('<option value="{}"{}>{}</option>'), Markup(" selected")
    return join(
        option.format(value, selected if value == chosen else "", text)
        for value, text in choices
    )
