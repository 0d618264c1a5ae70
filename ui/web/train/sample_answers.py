"""The answers to validation examples while a model trains, as HTML."""

from collections.abc import Sequence

from markupsafe import Markup

from backend.records.events import SampleEvent
from ui.text import format as fmt
from ui.web.html import components


def card(events: Sequence[SampleEvent]) -> Markup:
    """The answers to validation examples, with the expected answers, from sample events in order."""
    if not events:
        return components.EMPTY
    history: dict[str, list[SampleEvent]] = {}
    for event in events:
        question = event.prompt[-1]["content"] if event.prompt else ""
        history.setdefault(question, []).append(event)
    step = max(event.step for event in events)
    articles = components.join(_sample(question, *answers) for question, answers in history.items())
    return components.card(
        "Sample answers",
        Markup('<div class="samples">{}</div>').format(articles),
        lead=f"{f'At step {step}' if step else 'Before training'}, to questions it does not learn from.",
    )


def _sample(question: str, *answers: SampleEvent) -> Markup:
    """The latest answer, with earlier ones above it: the first and the last two."""
    *before, latest = answers
    shown = [*before[:1], *before[1:][-2:]]
    lines = components.join(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(
            f"Step {old.step}" if old.step else "Before training", fmt.shorten(old.answer, 160)
        )
        for old in shown
    )
    badge = components.EMPTY
    if latest.answer.strip() == latest.expected.strip():
        badge = components.badge("same as yours")
    elif before and latest.answer != before[-1].answer:
        badge = components.badge("changed", "calm")
    return Markup(
        '<article><p class="asked">{}</p>{}<div class="versus"><div><h3>Its answer {}{}</h3><p>{}</p></div>'
        "<div><h3>Your answer</h3><p>{}</p></div></div></article>"
    ).format(
        fmt.shorten(question, 200),
        Markup('<dl class="history">{}</dl>').format(lines) if lines else "",
        f"at step {latest.step}" if latest.step else "before training",
        badge,
        latest.answer,
        latest.expected,
    )
