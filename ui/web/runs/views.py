"""The list of runs as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from ui.records import Losses, RunSummary
from ui.services import losses
from ui.text import format as fmt
from ui.text import verdicts
from ui.web.html import components, tables


def listing(
    runs: Iterable[RunSummary],
    open_id: str,
    now: float,
    compared_id: str = "",
    evaluations: Mapping[str, Mapping[str, Any]] | None = None,
) -> Markup:
    """The runs as a table, newest first. compared_id: the id of the run that the open one is compared with.

    evaluations: the report of each run's newest evaluation, by run.
    """
    runs, reports = list(runs), evaluations or {}
    opened = next((run.info.name for run in runs if run.info.id == open_id), "")
    lines = [
        _line(run, opened, run.info.id == open_id, run.info.id == compared_id, now, reports.get(run.info.id))
        for run in runs
    ]
    if not lines:
        return components.EMPTY
    headers = ("Name", "State", "Loss", "When", "")
    table = tables.table(headers, lines, "Your models", kind="runs")
    return Markup('<section class="card">{}</section>').format(table)


def _line(
    run: RunSummary, opened: str, is_open: bool, is_compared: bool, now: float, report: Mapping[str, Any] | None
) -> tuple[str, ...]:
    state, run_id, name = str(run.state.value), run.info.id, run.info.name
    acts = [components.button("Open", "open", run_id, "firm", f"Open {name}")]
    if opened and not is_open:
        words = "Stop comparing" if is_compared else "Compare"
        acts.append(components.button(words, "compare", run_id, label=f"{words} {name} with {opened}"))
    if state in ("stopped", "interrupted", "failed"):
        acts.append(components.button("Continue", "resume", run_id, label=f"Continue training {name}"))
    if state not in ("queued", "starting", "running", "stopping"):
        sure = components.button("Delete for good", "delete", run_id, "danger")
        acts.append(components.confirm("Delete", "This deletes the model, its curve and its files.", sure))
    return (
        Markup("<strong>{}</strong>{}{}{}").format(
            name,
            components.text(fmt.origin(run.info), "small"),
            components.text(f"{verdicts.title(report)}: {verdicts.score('tuned', report)}.", "small")
            if report
            else "",
            components.badge("Open now", "calm") if is_open else "",
        ),
        components.badge(*fmt.state(state)),
        _losses(run.losses),
        fmt.when(run.created, now),
        components.acts(*acts),
    )


def _losses(run: Losses) -> Markup:
    """The best validation loss so far (else the training loss), and the one before training."""
    number, words = losses.facts(run)[-1]
    before = f"{fmt.loss(run.initial.loss)} {losses.INITIAL}" if run.initial and run.best else ""
    return Markup("{}{}{}").format(number, components.text(words, "small"), components.text(before, "small"))
