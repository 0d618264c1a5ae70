"""The list of runs as HTML."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    """The runs as a table: the versions of one model together, the newest first, and so the models.

    runs: in any order
    now: seconds since 1970
    compared_id: the id of the run that the open one is compared with
    evaluations: the report of each run's newest evaluation
    votes: how its blind test ended
    """
    lines = lines_of_descent(runs)
    opened = next((_name(run, line) for line in lines for run in line if run.info.id == open_id), "")
    context = _Context(open_id, opened, compared_id, now, evaluations or {}, votes or {})
    cells = [_line(run, line, context) for line in lines for run in line]
    if not cells:
        return components.EMPTY
    head = ("Name", "State", "When", "")
    return Markup('<section class="card">{}</section>').format(tables.table(head, cells, "Your models", kind="runs"))


def imported(model: ImportedModel) -> Markup:
    """A model that was added from another computer, and what to know about it."""
    return components.alert("warn" if model.note else "good", f"“{model.name}” was added.", model.note)


def damaged(folders: Sequence[str]) -> Markup:
    """The folders that can only be deleted, because their files are damaged."""
    if not folders:
        return components.EMPTY
    cells = []
    for folder in folders:
        delete = components.delete("This deletes everything in this folder.", "delete", folder)
        cells.append((Markup("<code>{}</code>").format(folder), components.acts(delete)))
    return Markup('<section class="card"><h2>Damaged</h2>{}{}</section>').format(
        components.text("The files of these folders can't be read, so they can only be deleted."),
        tables.table(("Folder in runs", ""), cells, "Damaged folders"),
    )


def lines_of_descent(runs: Iterable[RunSummary]) -> list[list[RunSummary]]:
    """The versions of each model, newest first; the model with the newest version first."""
    lines: dict[str, list[RunSummary]] = {}
    for run in sorted(runs, key=lambda run: run.created, reverse=True):
        lines.setdefault(run.info.first, []).append(run)
    return list(lines.values())


def _name(run: RunSummary, line: Sequence[RunSummary]) -> str:
    """The name of a run, with its version."""
    return f"{run.info.name}{fmt.version(run.info.version, len(line) > 1)}"


@dataclass(frozen=True)
class _Context:
    """opened: the name of the open run, "" without one."""

    open_id: str
    opened: str
    compared_id: str
    now: float
    reports: Mapping[str, EvaluationSummary]
    votes: Mapping[str, Outcome]


def _line(run: RunSummary, line: Sequence[RunSummary], context: _Context) -> tuple[str, ...]:
    run_id, report, vote = run.info.id, context.reports.get(run.info.id), context.votes.get(run.info.id)
    compared = verdicts.against_parent(report) if report else None
    follows, descent = "", run.info.descent
    if descent:
        parent = next((other for other in line if other.info.id == descent.parent), None)
        before = f"v{parent.info.version}" if parent else "a version that was deleted"
        follows = f"Continues {before}." if descent.weights else f"Follows {before}, from the base model again."
    about = [
        fmt.origin(run.info),
        follows,
        f"{verdicts.title(report)}: {verdicts.counts(report)}. {verdicts.general_title(report)}." if report else "",
        f"{compared[0]}." if compared else "",
        verdicts.blind_test(vote) if vote else "",
    ]
    return (
        Markup("<strong>{}</strong>{}{}{}{}").format(
            run.info.name,
            components.badge(f"v{run.info.version}", "calm") if len(line) > 1 else "",
            components.badge("Open now", "calm") if run_id == context.open_id else "",
            components.join(components.text(sentence, "small") for sentence in about),
            components.text(run.note, "note"),
        ),
        components.badge(*fmt.state(run.state.value)),
        fmt.when(run.created, context.now),
        components.acts(*_acts(run, line, context)),
    )


def _acts(run: RunSummary, line: Sequence[RunSummary], context: _Context) -> Iterator[Markup]:
    key, name = run.info.id, _name(run, line)
    yield components.button("Open", "open", key, "firm", f"Open {name}")
    if context.opened and key != context.open_id:
        label = "Stop comparing" if key == context.compared_id else "Compare"
        yield components.button(label, "compare", key, label=f"{label} {name} with {context.opened}")
    if run.state.can_resume:
        yield components.button("Continue", "resume", key, label=f"Continue training {name}")
    if run.state in (State.COMPLETED, State.STOPPED) and run.losses.saved_step is not None and run.is_divided:
        yield components.button("Train again", "train-again", key, label=f"Train again: the next version of {name}")
    yield components.button("Rename", "name", key, label=f"Rename {name}, or note something about it")
    if run.state.is_terminal:
        yield components.delete(DELETES, "delete", key)
