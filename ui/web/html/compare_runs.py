"""Two runs side by side: their curves on one chart, the settings that differ, and the results."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from ui.records.runs import RunDetails
from ui.text import format as fmt
from ui.text import losses
from ui.web.html import components, loss_curve, tables

HEADERS = ("", "A", "B")


def card(a: RunDetails, b: RunDetails) -> Markup:
    """The card that compares `a` with `b`."""
    differing = list(differences(a, b))
    tests, first, second = _lines(a, b)
    loss = losses.LATEST if tests else losses.TRAINING
    return components.card(
        "Two runs side by side",
        _caution(a, b),
        Markup('<div class="plot">{}</div>').format(loss_curve.draw_two(first, second, tests)),
        _table("Differences", differing) if differing else components.text("All settings are the same."),
        _table("Results", list(outcomes(a, b))),
        lead=f"A: {_name(a)}. B: {_name(b)}. The number at each line is its {loss}.",
    )


def _caution(a: RunDetails, b: RunDetails) -> Markup:
    if not _same_validation(a, b):
        return components.alert("calm", "They were checked on different examples, so their losses can't be compared.")
    if a.spec.model.id != b.spec.model.id:
        models = "These are different base models. Compare their answers in step 4, not their losses."
        return components.alert("calm", models)
    return components.EMPTY


def _same_validation(a: RunDetails, b: RunDetails) -> bool:
    """Whether both were checked on the same examples: of the same data, or the same set aside by two versions and cut
    to the same length."""
    same_aside = bool(a.held_out) and a.held_out == b.held_out
    as_many = a.spec.data.validation_rows == b.spec.data.validation_rows
    as_long = a.spec.settings.max_length == b.spec.settings.max_length
    return (same_aside and as_many and as_long) or _validation_examples(a) == _validation_examples(b)


def _name(run: RunDetails) -> str:
    """The run's name, with its version."""
    return f"{run.job.name}{fmt.version(run.spec.version)}"


def _validation_examples(run: RunDetails) -> tuple[str, int, int]:
    """Identifies the validation examples of a run, including the length that they were cut to."""
    data = run.spec.data
    return data.sha256, data.validation_rows, data.longest


def differences(a: RunDetails, b: RunDetails) -> Iterator[tuple[str, str, str]]:
    """(name, of a, of b) for the model, the data and each setting in which they differ."""
    yield from _differing("Model", a.spec.model.id, b.spec.model.id)
    yield from _differing("Examples", a.spec.data.name, b.spec.data.name)
    yield from _differing("Training examples", a.spec.data.train_rows, b.spec.data.train_rows)
    for name, setting in a.spec.settings.facts().items():
        yield from _differing(setting.label, getattr(a.spec.settings, name), getattr(b.spec.settings, name))


def outcomes(a: RunDetails, b: RunDetails) -> Iterator[tuple[str, str, str]]:
    """(name, of a, of b) for the losses, steps, time and state of both."""
    of_a, of_b = (losses.rows(losses.compute(run.job, run.curve, run.spec.data.validation_chooses)) for run in (a, b))
    for name in {**of_a, **of_b}:
        yield name, of_a.get(name, "not measured"), of_b.get(name, "not measured")
    yield "Steps", fmt.number(len(a.curve.steps)), fmt.number(len(b.curve.steps))
    times = [fmt.took(run.job) if run.job.started and run.job.ended else "not finished" for run in (a, b)]
    yield "Time", times[0], times[1]
    yield "State", fmt.state(a.job.state.value)[0], fmt.state(b.job.state.value)[0]


def _differing(name: str, of_a: Any, of_b: Any) -> Iterator[tuple[str, str, str]]:
    if of_a != of_b:
        yield name, fmt.setting(of_a), fmt.setting(of_b)


def _lines(a: RunDetails, b: RunDetails) -> tuple[bool, list[loss_curve.Point], list[loss_curve.Point]]:
    """(True, validation losses of both), or (False, training losses) while one of them has no validation loss."""
    tests = [loss_curve.points(run.curve.evals) for run in (a, b)]
    if all(tests):
        return True, tests[0], tests[1]
    training = [loss_curve.points(run.curve.steps) for run in (a, b)]
    return False, training[0], training[1]


def _table(caption: str, lines: list[tuple[str, str, str]]) -> Markup:
    table = tables.table(HEADERS, lines, caption, kind="compared")
    return Markup("<h3>{}</h3>{}").format(caption, table)
