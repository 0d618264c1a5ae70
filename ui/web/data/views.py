"""The cards of the Data tab as HTML: sample data, progress of an import, counts, and
files to download.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from backend.datasets.checks.dataset import FEW
from backend.datasets.checks.report import understood
from backend.datasets.convert.mapping import NoExamples
from backend.datasets.dataset import CheckedDataset
from backend.datasets.store import StoredDataset
from backend.settings import TEMPLATES
from ui.records.data import DatasetFiles, DatasetProgress, Preview, Sample
from ui.services.data.dataset_state import split_summary
from ui.text import format as fmt
from ui.web import errors as web_errors
from ui.web.data import before_after, drafting, reading_card
from ui.web.html import components, tables

TABLE = "Two columns are enough: question and answer, one example in each row."
DELETES = (
    "This deletes the file and your fixes. Runs keep the examples they learn from."
)
SWATCHES = Markup(  # the legend of the token colors
    '<p class="lead swatches"><span><i class="swatch l"></i>learned</span>'
    '<span><i class="swatch r"></i>only read</span>'
    '<span><i class="swatch t"></i>markers the model needs</span></p>'
)


def samples(offered: Iterable[Sample]) -> Markup:
    """The sample datasets as tiles."""
    tile = Markup('<div class="tile"><h3>{}</h3><p>{}</p>{}</div>')
    label = "Use this sample"
    tiles = [
        tile.format(
            sample.title,
            sample.description,
            components.button(
                label, "sample", sample.name, label=f"{label}: {sample.title}"
            ),
        )
        for sample in offered
    ]
    return Markup('<div class="tiles">{}</div>').format(components.join(tiles))


def earlier(stored: Sequence[StoredDataset], data_id: str) -> Markup:
    """The stored datasets, newest first, to open again or delete. data_id: the open
    one.
    """
    names = Counter(dataset.name for dataset in stored)
    lines = [
        _earlier(dataset, dataset.id == data_id, names[dataset.name] > 1)
        for dataset in stored
    ]
    table = tables.table(("Name", "Size", "Added", ""), lines, "Earlier examples")
    return (
        components.fold(f"Earlier examples: {len(lines):,}", table, key="earlier")
        if lines
        else components.EMPTY
    )


def _earlier(
    dataset: StoredDataset, is_open: bool, has_namesake: bool
) -> tuple[str, ...]:
    """has_namesake: whether another one has the same name, so that only the exact time
    tells them apart.
    """
    added, label = fmt.when(dataset.added, time.time()), f"Open {dataset.name}"
    if has_namesake:
        added = f"{fmt.moment(dataset.added)}:{time.localtime(dataset.added).tm_sec:02}"
        label += f" of {added}"
    open_it = (
        "" if is_open else components.button("Open", "open", dataset.id, "firm", label)
    )
    acts = components.acts(open_it, components.delete(DELETES, "delete", dataset.id))
    badge = components.badge("Open", "calm") if is_open else ""
    made = "made from " * dataset.written
    name = Markup("{}<strong>{}</strong> {}").format(
        made, fmt.shorten(dataset.name, 60), badge
    )
    return name, fmt.bytes_of(dataset.bytes), added, acts


def guide(data: CheckedDataset) -> Markup:
    if reading_card.is_asked(data):
        return components.guide(
            2, "See what the model would learn.", "Say yes, or say what is off."
        )
    left = data.waiting
    rows = {problem.row for problem in left if problem.row}
    if rows:
        readable = rows - {
            problem.row for problem in left if problem.kind in data.unreadable
        }
        good = fmt.number(len(data.dataset.rows) - len(readable))
        needing = (
            f"{fmt.number(len(rows))} {'needs' if len(rows) == 1 else 'need'} you."
        )
        few = data.too_few and (
            data.blocked if data.too_few in data.blocked else data.too_few
        )
        return components.guide(
            2, f"{good} good, {needing}", few or "One question at a time."
        )
    if data.blocked:
        return components.guide(
            2, "Training can't start with these examples.", data.blocked
        )
    if data.too_few:
        what = (
            "too few of them differ"
            if len(data.dataset.rows) >= FEW
            else "there are few of them"
        )
        return components.guide(
            2, f"Your examples can be used, but {what}.", data.too_few
        )
    return components.guide(
        2,
        f"{fmt.count(len(data.dataset.rows), 'example')}, ready.",
        split_summary(data),
    )


def examples(data: CheckedDataset) -> Markup:
    """A few examples as the model will see them, once nothing is left to decide."""
    rows = data.dataset.rows
    if data.waiting or reading_card.is_asked(data) or not rows:
        return components.EMPTY
    few = [rows[at] for at in sorted({0, len(rows) // 2, len(rows) - 1})]
    lead = "Green is learned, grey is only read."
    return components.card(
        "What the model will learn", before_after.few(few), lead=lead
    )


def failed(title: str, data: CheckedDataset | None) -> Markup:
    """The headline over a file that could not be read. data: what was open before."""
    then = f"{fmt.shorten(data.name, 60)} stays as it was." if data else ""
    return components.guide(2, f"{title}.", then)


def failure(now: DatasetProgress, again: bool) -> str:
    """That a file could not be read. again: it can be, though not as chosen now."""
    return f"{fmt.shorten(now.name, 60)} could not be read" + " this way" * again


def reading(now: DatasetProgress | None, imports: bool, again: bool = False) -> Markup:
    """The progress of an import and its first rows, or why it failed. imports: it can
    be cancelled. again: it was read before. The keyboard goes to what went wrong
    (static/js/buttons.js).
    """
    if now is None:
        return components.EMPTY
    if now.error is not None:
        title = failure(now, again)
        return Markup("<div data-asks>{}</div>").format(_failure(title, now.error))
    percent = fmt.percent(now.fraction, 1.0)
    bar = components.progress(percent, now.phase or "Starting")
    status = components.text(f"{now.phase or 'Starting'}: {percent}%", "status")
    first = components.EMPTY
    if now.first_rows is not None:
        first = components.text("The first examples:", "lead") + before_after.few(
            now.first_rows.rows[: before_after.SHOWN]
        )
    cancel = (
        components.button("Cancel", "cancel", label="Cancel reading") if imports else ""
    )
    title = f"{'Reading' if imports else 'Checking'} {fmt.shorten(now.name, 60)}"
    return components.card(title, bar, status, first, aside=cancel)


def _failure(title: str, error: Exception) -> Markup:
    close = components.button("Close", "dismiss", label="Close this message")
    make = components.button(drafting.FROM_TABLE, "make-examples")
    acts = components.acts(make) if isinstance(error, NoExamples) else components.EMPTY
    return components.card(title, web_errors.error_alert(error), acts, aside=close)


def summary(data: CheckedDataset, limit: int | None) -> Markup:
    """Counts after the fixes, the split and the lengths in sentences. limit: tokens
    read per example.
    """
    report = data.fixed_report
    tokens, repeated = report.tokens, report.duplicates.exact + report.duplicates.near
    title = f"{fmt.count(len(data.dataset.rows), 'example')}, {'not ready yet' if data.blocked else 'ready'}"
    numbers = [
        (fmt.number(len(data.unusable | report.error_rows())), "still with errors")
    ]
    if tokens:
        of_all = f"pieces of words (tokens) to learn, of {fmt.number(tokens.total)}"
        numbers.append((fmt.number(tokens.learned), of_all))
        numbers.append((fmt.number(tokens.longest), "tokens in the longest example"))
    numbers.append(
        (fmt.number(repeated), "the same, or almost, as another (duplicates)")
    )
    missing = [f"{fmt.number(len(data.dropped))} removed"] if data.dropped else []
    missing += (
        [f"{fmt.number(len(data.unusable))} can't be read"] if data.unusable else []
    )
    in_file = (
        f": {fmt.count(data.report.rows, 'example')}, {fmt.listed(missing)}"
        if missing
        else ""
    )
    small = f"From {fmt.shorten(data.name, 60)}{in_file}. {understood(data.original.source)}"
    if tokens and limit and limit < tokens.longest:
        small += f" Conversations of more than {fmt.number(limit)} tokens are cut off; documents are divided."
    return components.card(
        title,
        components.facts(numbers),
        components.text(small, "small"),
        lead=split_summary(data),
    )


def tested(data: CheckedDataset) -> Markup:
    """The validation file that the person chose, or what happens without one."""
    report = data.report.validation
    if report is None:
        return components.text(
            "Without one, some of your examples are set aside for validation.", "small"
        )
    usable = f"{fmt.number(report.usable)} of its {fmt.count(report.rows, 'example')} can be used."
    remove = components.button("Remove the validation file", "clear-test")
    text = components.text(f"Validated on {report.source.name}: {usable}", "small")
    return Markup('<div class="actions">{}{}</div>').format(text, remove)


def templates() -> Markup:
    """The columns that a table of examples needs, and templates to fill in."""
    links = components.join(
        components.inline_file((TEMPLATES / name).read_bytes(), name, text)
        for name, text in (
            ("examples.xlsx", "Template for Excel"),
            ("examples.csv", "Template as CSV"),
        )
    )
    return Markup('<div class="actions">{}<div class="acts">{}</div></div>').format(
        components.text(TABLE), links
    )


def download(data: CheckedDataset, files: DatasetFiles | None) -> Markup:
    """The examples as they are now, and the list of changes, as files to download."""
    changed = f"{fmt.count(data.fixed.changed, 'example')} changed, {fmt.number(len(data.dropped))} removed."
    if data.unusable:
        changed += f" Not included: {fmt.count(len(data.unusable), 'example')} that can't be read."
    lead = f"{fmt.count(len(data.dataset.rows), 'example')} with your fixes so far: {changed}"
    if files is None:
        make = components.button(
            "Create the files",
            "files",
            label="Create the files of the cleaned examples",
        )
        return components.card("Download your cleaned examples", lead=lead, aside=make)
    examples, log = (
        fmt.count(len(data.dataset.rows), "example"),
        f"the list of {fmt.count(files.changes, 'change')}",
    )
    links = Markup('<div class="files">{}{}</div>').format(
        components.download_link(
            files.fixed, files.fixed.name, f"Download {examples}", files.fixed.name
        ),
        components.download_link(
            files.log, files.log.name, f"Download {log}", files.log.name
        ),
    )
    return components.card("Download your cleaned examples", links, lead=lead)


def example_label(rows: int, highest: int) -> str:
    """The label of the field for an example's number. rows: how many of the examples 1
    to `highest` are left.
    """
    if rows == highest or not highest:
        return f"Example, of {rows:,}"
    return f"Example, {rows:,} of {highest:,} left"


def token_count(shown: Preview) -> Markup:
    """How many tokens of an example are learned, and where it is from."""
    whole = sum(piece.tokens for piece in shown.pieces)
    learned = sum(piece.tokens for piece in shown.pieces if piece.kind == "learned")
    of_all = fmt.count(whole, "piece of a word (token)", "pieces of words (tokens)")
    origin = f"From {shown.file}. {shown.made}" if shown.file else shown.made
    return components.text(
        f"{fmt.number(learned)} of {of_all} are learned. {shown.note} {origin}", "small"
    )


def no_such_example(typed: object, total: int) -> Markup:
    """Why the preview does not move. typed: the field's value, as the browser sends it."""
    problem = f"Type a whole number from 1 to {fmt.number(total)}."
    if isinstance(typed, (int, float)):
        problem = f"There is no example {typed:,.10g}. {problem}"
    return Markup('<p class="small wrong" role="alert">{}</p>').format(problem)
