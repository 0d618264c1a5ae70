"""The list of runs as HTML."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from markupsafe import Markup

from backend.evaluation.blind_test import Outcome
from backend.records.evaluation import EvaluationSummary
from jobs.records import State
from ui.records.runs import ImportedModel, RunSummary
from ui.text import format as fmt
from ui.text import verdicts
from ui.web.html import components, tables

DELETES = "This deletes the model, its curve and its files, also those made on Share."


def listing(
    runs: Iterable[RunSummary],
    open_id: str,
    now: float,
    compared_id: str = "",
    evaluations: Mapping[str, EvaluationSummary] | None = None,
    votes: Mapping[str, Outcome] | None = None,
) -> Markup:
    """The runs as a table: the versions of one model together, the newest first, and so
    the models.

    runs: in any order
    now: seconds since 1970
    compared_id: the id of the run that the open one is compared with
    evaluations: the report of each run's newest evaluation
    votes: how its blind test ended
    """
    listed = [(run, line) for line in lines_of_descent(runs) for run in line]
    opened, cells = (
        next((_name(run, line) for run, line in listed if run.info.id == open_id), ""),
        [],
    )
    for run, line in listed:
        run_id, badge = run.info.id, components.badge(*fmt.STATES[run.state.value])
        acts = _acts(
            run, line, "" if run_id == open_id else opened, run_id == compared_id
        )
        about = _about(
            run,
            line,
            (evaluations or {}).get(run_id),
            (votes or {}).get(run_id),
            run_id == open_id,
        )
        cells.append((about, badge, fmt.when(run.created, now), components.acts(*acts)))
    if not cells:
        return components.EMPTY
    head = ("Name", "State", "When", "")
    return Markup('<section class="card">{}</section>').format(
        tables.table(head, cells, "Your models", kind="runs")
    )


def imported(model: ImportedModel) -> Markup:
    """A model that was added from another computer, and what to know about it."""
    return components.alert(
        "warn" if model.note else "good", f"“{model.name}” was added.", model.note
    )


def damaged(folders: Sequence[str]) -> Markup:
    """The folders that can only be deleted, because their files are damaged."""
    if not folders:
        return components.EMPTY
    cells = []
    for folder in folders:
        delete = components.delete(
            "This deletes everything in this folder.", "delete", folder
        )
        cells.append(
            (Markup("<code>{}</code>").format(folder), components.acts(delete))
        )
    return Markup('<section class="card"><h2>Damaged</h2>{}{}</section>').format(
        components.text(
            "The files of these folders can't be read, so they can only be deleted."
        ),
        tables.table(("Folder in runs", ""), cells, "Damaged folders"),
    )


def lines_of_descent(runs: Iterable[RunSummary]) -> list[list[RunSummary]]:
    """The versions of each model, newest first; the model with the newest version
    first.
    """
    lines: dict[str, list[RunSummary]] = {}
    for run in sorted(runs, key=lambda run: run.created, reverse=True):
        lines.setdefault(run.info.first, []).append(run)
    return list(lines.values())


def _name(run: RunSummary, line: Sequence[RunSummary]) -> str:
    """The name of a run, with its version."""
    return f"{run.info.name}{fmt.version(run.info.version, len(line) > 1)}"


def _about(
    run: RunSummary,
    line: Sequence[RunSummary],
    report: EvaluationSummary | None,
    vote: Outcome | None,
    is_open: bool,
) -> Markup:
    compared = verdicts.against_parent(report) if report else None
    follows, descent = "", run.info.descent
    if descent:
        parent = next(
            (other for other in line if other.info.id == descent.parent), None
        )
        before = f"v{parent.info.version}" if parent else "a version that was deleted"
        follows = (
            f"Continues {before}."
            if descent.weights
            else f"Follows {before}, from the base model again."
        )
    about = [
        fmt.origin(run.info),
        follows,
        f"{verdicts.title(report)}: {verdicts.counts(report)}. {verdicts.general_title(report)}."
        if report
        else "",
        f"{compared[0]}." if compared else "",
        verdicts.blind_test(vote) if vote else "",
    ]
    return Markup("<strong>{}</strong>{}{}{}{}").format(
        run.info.name,
        components.badge(f"v{run.info.version}", "calm") if len(line) > 1 else "",
        components.badge("Open now", "calm") if is_open else "",
        components.join(components.text(sentence, "small") for sentence in about),
        components.text(run.note, "note"),
    )


def _acts(
    run: RunSummary, line: Sequence[RunSummary], other: str, is_compared: bool
) -> Iterator[Markup]:
    """other: the name of the open run, "" if this is the one, or none is open."""
    key, name = run.info.id, _name(run, line)
    yield components.button("Open", "open", key, "firm", f"Open {name}")
    if other:
        label = "Stop comparing" if is_compared else "Compare"
        yield components.button(
            label, "compare", key, label=f"{label} {name} with {other}"
        )
    if run.state.can_resume:
        yield components.button(
            "Continue", "resume", key, label=f"Continue training {name}"
        )
    if (
        run.state in (State.COMPLETED, State.STOPPED)
        and run.losses.saved_step is not None
        and run.is_divided
    ):
        yield components.button(
            "Train again",
            "train-again",
            key,
            label=f"Train again: the next version of {name}",
        )
    yield components.button(
        "Rename", "name", key, label=f"Rename {name}, or note something about it"
    )
    if run.state.is_terminal:
        yield components.delete(DELETES, "delete", key)
