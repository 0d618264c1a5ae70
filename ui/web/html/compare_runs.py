"""Two runs side by side: their curves on one chart, the settings that differ, and the
results.
"""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from ui.records.runs import RunDetails
from ui.text import format as fmt
from ui.text import losses
from ui.web.html import components, loss_curve, tables


def card(a: RunDetails, b: RunDetails) -> Markup:
    """The card that compares `a` with `b`."""
    differing = list(differences(a, b))
    first, second = (loss_curve.points(run.curve.evals) for run in (a, b))
    tests = bool(first and second)
    if not tests:  # while one of them has no validation loss
        first, second = (loss_curve.points(run.curve.steps) for run in (a, b))
    loss = losses.LATEST if tests else losses.TRAINING
    named = [f"{run.job.name}{fmt.version(run.spec.version)}" for run in (a, b)]
    return components.card(
        "Two runs side by side",
        _caution(a, b),
        Markup('<div class="plot">{}</div>').format(
            loss_curve.draw_two(first, second, tests)
        ),
        _table("Differences", differing)
        if differing
        else components.text("All settings are the same."),
        _table("Results", list(outcomes(a, b))),
        lead=f"A: {named[0]}. B: {named[1]}. The number at each line is its {loss}.",
    )


def _caution(a: RunDetails, b: RunDetails) -> Markup:
    # On the same examples: of the same data, or the same set aside by two versions; and
    # cut to the same length.
    aside = [
        (run.held_out, run.spec.data.validation_rows, run.spec.settings.max_length)
        for run in (a, b)
    ]
    data = [
        (run.spec.data.sha256, run.spec.data.validation_rows, run.spec.data.longest)
        for run in (a, b)
    ]
    if not (a.held_out and aside[0] == aside[1]) and data[0] != data[1]:
        return components.alert(
            "calm",
            "They were checked on different examples, so their losses can't be compared.",
        )
    if a.spec.model.id != b.spec.model.id:
        models = "These are different base models. Compare their answers in step 4, not their losses."
        return components.alert("calm", models)
    return components.EMPTY


def differences(a: RunDetails, b: RunDetails) -> Iterator[tuple[str, str, str]]:
    """(name, of a, of b) for the model, the data and each setting in which they differ."""
    facts: list[dict[str, Any]] = [
        {
            "Model": run.spec.model.id,
            "Examples": run.spec.data.name,
            "Training examples": run.spec.data.train_rows,
            **{
                fact.label: getattr(run.spec.settings, name)
                for name, fact in run.spec.settings.facts().items()
            },
        }
        for run in (a, b)
    ]
    for name, of_a in facts[0].items():
        if of_a != facts[1][name]:
            yield name, fmt.setting(of_a), fmt.setting(facts[1][name])


def outcomes(a: RunDetails, b: RunDetails) -> Iterator[tuple[str, str, str]]:
    """(name, of a, of b) for the losses, steps, time and state of both."""
    of_a, of_b = (
        losses.rows(
            losses.compute(run.job, run.curve, run.spec.data.validation_chooses)
        )
        for run in (a, b)
    )
    for name in {**of_a, **of_b}:
        yield name, of_a.get(name, "not measured"), of_b.get(name, "not measured")
    yield "Steps", fmt.number(len(a.curve.steps)), fmt.number(len(b.curve.steps))
    times = [
        fmt.took(run.job) if run.job.started and run.job.ended else "not finished"
        for run in (a, b)
    ]
    yield "Time", times[0], times[1]
    yield "State", fmt.STATES[a.job.state.value][0], fmt.STATES[b.job.state.value][0]


def _table(caption: str, lines: list[tuple[str, str, str]]) -> Markup:
    table = tables.table(("", "A", "B"), lines, caption, kind="compared")
    return Markup("<h3>{}</h3>{}").format(caption, table)
