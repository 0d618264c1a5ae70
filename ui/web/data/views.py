"""The Data tab's cards, drawn: the sample sets, what is being read, counts, and the files to take away."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

from backend.datasets.convert.mapping import NoExamples
from backend.datasets.convert.shapes import SHAPES
from backend.datasets.store import StoredDataset
from backend.records.encoded import Piece
from ui.records import DataFiles, DataState, Hits, Reading, Sample
from ui.text import format as fmt
from ui.web import errors as web_errors
from ui.web.data import read_options
from ui.web.html import components, length_histogram
from ui.web.share.tab import link

KEPT_BY_RUNS = "This removes the file and what was mended. Runs keep the examples that they practise on."
SWATCHES = (  # what the colours of the tokens mean
    '<p class="lead swatches"><span><i class="swatch l"></i>learned</span>'
    '<span><i class="swatch r"></i>only read</span>'
    '<span><i class="swatch t"></i>marks that the model needs</span></p>'
)


def samples(known: Iterable[Sample]) -> str:
    """The sample sets as cards."""
    parts = [
        f'<div class="tile"><h3>{escape(sample.title)}</h3><p>{escape(sample.what)}</p>'
        f"{components.button('Take this', 'sample', sample.name, label=f'Take the sample {sample.title}')}</div>"
        for sample in known
    ]
    return f'<div class="tiles">{"".join(parts)}</div>'


def earlier(kept: Sequence[StoredDataset], data_id: str) -> str:
    """The data sets that were brought, newest first, to open again or to delete. data_id: the open one."""
    now = time.time()
    lines = [_earlier(one, one.id == data_id, now) for one in kept]
    table = components.table(("Name", "Size", "Brought", ""), lines, "Examples brought before")
    return components.fold(f"Examples brought before: {len(lines):,}", table, key="earlier") if lines else ""


def _earlier(one: StoredDataset, is_open: bool, now: float) -> tuple[str, ...]:
    acts = "" if is_open else components.button("Open", "open", one.id, "firm", f"Open {one.name}")
    acts += components.confirm(
        "Delete", KEPT_BY_RUNS, components.button("Delete for good", "delete", one.id, "danger")
    )
    name = f"<strong>{escape(fmt.shorten(one.name, 60))}</strong>"
    name += f" {components.badge('Open', 'calm')}" if is_open else ""
    added = escape(fmt.when(one.added, now))
    return name, fmt.bytes_of(one.bytes), added, f'<div class="acts">{acts}</div>'


def guide(data: DataState) -> str:
    if data.blocked:
        return components.guide(
            2, "Some examples can't be used as they are.", "What is wrong stands below; mend it there."
        )
    if data.problems:
        return components.guide(2, "Your examples can be used.", "A few things are worth a look before you go on.")
    return components.guide(2, "Your examples are ready.", "Look at what it will learn, then go on to training.")


def reading(now: Reading | None, imports: bool) -> str:
    """What is being read: how far it is and its first rows; or why it could not be read. bringing: it is new, so that
    it can be cancelled."""
    if now is None:
        return ""
    if now.error is not None:
        alert = web_errors.error_alert(now.error)
        if isinstance(now.error, NoExamples) and now.error.columns:
            alert += read_options.asking(now.error.columns)
        close = components.button("Close", "dismiss", label="Close this message")
        return components.card(f"{fmt.shorten(now.name, 60)} was not read", alert, aside=close)
    percent = fmt.percent(now.fraction, 1.0)
    bar = components.progress(percent, now.phase or "Beginning")
    said = components.text(f"{now.phase or 'Beginning'}: {percent} %", "said")
    first = ""
    if now.first is not None:
        shape = SHAPES[now.first.source.shape].title if now.first.source.shape in SHAPES else ""
        first = components.text(f"Its first rows, read as {shape}:", "lead") + read_options.before_after(now.first)
    cancel = components.button("Cancel", "cancel", label="Cancel reading") if imports else ""
    title = f"{'Reading' if imports else 'Looking at'} {fmt.shorten(now.name, 60)}"
    return components.card(title, bar, said, first, aside=cancel)


def summary(data: DataState, limit: int | None) -> str:
    """Counts, the split in sentences, and how long the examples are. limit: tokens that the model is given."""
    report, tokens = data.report, data.tokens
    title = f"{fmt.count(data.rows, 'example')}, {'not ready yet' if data.blocked else 'ready'}"
    numbers = [(fmt.number(len(report.error_rows())), "with a fault in the file")]
    if tokens:
        numbers.append((fmt.number(tokens.learned), f"tokens to learn, of {fmt.number(tokens.total)}"))
        numbers.append((fmt.number(tokens.longest), "tokens in the longest example"))
    numbers.append((fmt.number(report.duplicates.exact + report.duplicates.near), "copies, or nearly"))
    small = f"From {fmt.shorten(data.name, 60)}."
    small += f" {fmt.count(data.left_out, 'example')} of the file left out." if data.left_out else ""
    small += f" {fmt.count(data.unusable, 'example')} can't be read." if data.unusable else ""
    drawn = length_histogram.histogram(list(tokens.lengths.values()), limit) if tokens else ""
    return components.card(title, components.facts(numbers), components.text(small, "small"), drawn, lead=data.split)


def tested(data: DataState) -> str:
    """The file of the person's own to test with, or what is done without one."""
    report = data.report.validation
    if report is None:
        return components.text("Without one, some of your examples are kept back to test it.", "small")
    usable = f"{fmt.number(report.usable)} of its {fmt.count(report.rows, 'example')} can be used."
    remove = components.button("Remove the test file", "clear-test")
    return f'<div class="actions">{components.text(f"Tested with {data.test_name}: {usable}", "small")}{remove}</div>'


def download(data: DataState, files: DataFiles | None) -> str:
    """The way to take the examples away as they now are, with the list of what was changed."""
    changed = f"{fmt.count(data.changed, 'example')} changed, {fmt.number(data.left_out)} left out."
    changed += f" {fmt.count(data.unusable, 'example')} can't be read and so not taken." if data.unusable else ""
    lead = f"{fmt.count(data.rows, 'example')} as mended so far: {changed}"
    if files is None:
        make = components.button("Make the files", "files", label="Make files of the cleaned examples")
        return components.card("Take your cleaned examples with you", lead=lead, aside=make)
    links = "".join(
        f'<a class="btn firm" href="{link(path)}" download="{escape(path.name)}">Download {escape(words)} '
        f"<span>{escape(path.name)}</span></a>"
        for path, words in (
            (files.clean, fmt.count(data.rows, "example")),
            (files.log, f"the list of {fmt.count(files.changes, 'change')}"),
        )
    )
    return components.card("Take your cleaned examples with you", f'<div class="files">{links}</div>', lead=lead)


def token_count(pieces: Sequence[Piece], note: str = "") -> str:
    """How much of a row is learned. note: a sentence on the row as a whole."""
    whole = sum(piece.tokens for piece in pieces)
    learned = sum(piece.tokens for piece in pieces if piece.kind == "learned")
    return components.text(f"{fmt.number(learned)} of {fmt.count(whole, 'token')} are learned. {note}", "small")


def no_such_example(typed: object, total: int) -> str:
    """Why the preview stays where it is. typed: what stood in the field, as the browser sends it."""
    said = f"Type a whole number from 1 to {fmt.number(total)}."
    if isinstance(typed, (int, float)):
        said = f"There is no example {typed:,.10g}. {said}"
    return f'<p class="small wrong" role="alert">{escape(said)}</p>'


def hits(found: Hits, text: str) -> str:
    """What a search came to."""
    if not text.strip():
        return ""
    said = f"{fmt.count(found.count, 'example')} with “{fmt.shorten(text, 40)}”"
    if not found.count:
        said = f"No example has “{fmt.shorten(text, 40)}”"
    place = f", this is number {fmt.number(found.place)}" if found.count > 1 else ""
    return f'<p class="small" role="status">{escape(said + place)}.</p>'
