"""From any usual file, a pasted text or a typed table to canonical rows, with every row that can't be used named.

data = load(Path("chats.jsonl"))
data.rows, data.problems, data.source.shape, data.total_rows
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backend.datasets.convert.detect import Record
from backend.datasets.convert.mapping import Plan, make_plan
from backend.datasets.convert.shapes import plain_name
from backend.datasets.options import Cancelled, Limits, ReadOptions
from backend.datasets.read.delimited import as_rows, unique_names
from backend.datasets.read.encoding import Encoding, NotUtf8, first_look, second_look
from backend.datasets.read.gc_pause import without_gc
from backend.datasets.read.open import Lines, Reading, open_reading
from backend.datasets.read.records import Collector, read_line
from backend.datasets.read.source import Digest, Feed, open_path, open_text
from backend.errors import BadInput
from backend.records.rows import Dataset, Source

__all__ = ["Cancelled", "Limits", "ReadOptions", "load", "load_table", "load_text"]

FIRST = 20  # rows given to `began`
_SAMPLE_ROWS = 200  # good ones that the shape is told from
_MEDIA = ("image", "picture", "video", "audio", "sound")
_LOOK_ROWS = 2_000  # looked at for them at most


def load(
    path: Path,
    *,
    name: str | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    options: ReadOptions | None = None,
    on_first_rows: Callable[[Dataset], None] | None = None,
) -> Dataset:
    """Read a file. name: what to call it, its own name by default; its ending matters only where the content
    leaves the format open. progress: told the fraction read, 0 to 1. cancelled: asked with each block. began: given
    the first rows as soon as they are read.

    Raises BadInput when the file can't be read at all or is no data set, Cancelled when `cancelled` says so.
    """
    options = options or ReadOptions()
    with open_path(path, options.limits, progress, cancelled) as feed:
        digest = Digest(path)
        try:
            data = _load(feed, name or path.name, options, on_first_rows)
        except BaseException:
            digest.cancel()
            raise
        data.source = replace(data.source, sha256=digest.result())
    if progress is not None:
        progress(1.0)
    return data


def load_text(
    text: str,
    *,
    name: str = "pasted text",
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    options: ReadOptions | None = None,
) -> Dataset:
    """Read a text that was pasted, in any of the formats. Arguments and errors as for `load`."""
    options = replace(options or ReadOptions(), encoding="utf-8")
    feed, sha256 = open_text(text, options.limits, progress, cancelled)
    with feed:
        data = _load(feed, name, options)
    data.source = replace(data.source, sha256=sha256)
    return data


def load_table(
    rows: Sequence[Sequence[str | None]],
    header: Sequence[str],
    *,
    name: str = "typed examples",
    options: ReadOptions | None = None,
) -> Dataset:
    """Read a table that was typed in the page; rows without any text are passed over. Errors as for `load`."""
    options = options or ReadOptions()
    cells = [(n, ["" if c is None else str(c) for c in row]) for n, row in enumerate(rows, 1)]
    filled = [(number, row) for number, row in cells if any(c.strip() for c in row)]
    if not filled:
        raise BadInput("There are no examples in this table yet.", "", "Type a question and its answer.")
    sha256 = hashlib.sha256(json.dumps([list(header), filled], ensure_ascii=True).encode()).hexdigest()
    typed = as_rows(iter(filled), unique_names(list(header)), pad=True)
    data = _collect(Reading("table", typed), name, Encoding("utf-8"), options)
    data.source = replace(data.source, sha256=sha256)
    return data


def _load(
    feed: Feed, name: str, options: ReadOptions, on_first_rows: Callable[[Dataset], None] | None = None
) -> Dataset:
    encoding = first_look(feed.head, options.encoding)
    with without_gc():
        try:
            return _collect(open_reading(feed, encoding, name, options), name, encoding, options, on_first_rows)
        except NotUtf8:
            encoding = second_look(feed)
            return _collect(open_reading(feed, encoding, name, options), name, encoding, options, on_first_rows)


def _collect(
    reading: Reading,
    name: str,
    encoding: Encoding,
    options: ReadOptions,
    on_first_rows: Callable[[Dataset], None] | None = None,
) -> Dataset:
    lines, rows = reading.lines or iter(()), reading.rows or iter(())
    seen_lines, seen_rows, sample = _look_ahead(lines, rows, options.limits)
    if not sample:
        raise BadInput("There is nothing in this file.", "It holds no rows.", "Choose another file.")
    plan = make_plan(sample, options)
    collector = Collector(plan, options.limits, encoding.settled)
    _say_what_was_guessed(collector, plan, encoding)
    for kind, message, fix in reading.notes:
        collector.note(kind, message, fix)

    def so_far() -> Dataset:
        source = Source(
            name=name,
            format=reading.format,
            shape=plan.shape,
            encoding=encoding.name,
            sha256="",
            mapping=plan.used or plan.mapping,
            ignored=collector.ignored(),
            details=reading.details,
        )
        return Dataset(source, collector.rows, collector.problems, collector.total_rows, collector.originals)

    for block in seen_lines:
        collector.take_lines(block)
    for batch in seen_rows:
        collector.take(batch)
    if on_first_rows is not None:
        first = so_far()
        on_first_rows(replace(first, rows=first.rows[:FIRST], originals=dict(first.originals)))
    for block in lines:
        collector.take_lines(block)
    for batch in rows:
        collector.take(batch)
    collector.finish()
    _say_what_is_no_text(collector)
    return so_far()


def _look_ahead(
    lines: Iterator[Lines], rows: Iterator[list[Record]], limits: Limits
) -> tuple[list[Lines], list[list[Record]], list[Record]]:
    """The first lines or rows, as they came and as records: enough to tell the shape."""
    seen_lines: list[Lines] = []
    seen_rows: list[list[Record]] = []
    sample: list[Record] = []

    def enough() -> bool:
        return len(sample) >= _LOOK_ROWS or sum(isinstance(value, dict) for _, value in sample) >= _SAMPLE_ROWS

    for block in lines:
        first = sum(map(len, seen_lines)) + 1
        seen_lines.append(block)
        filled = [(n, line) for n, line in enumerate(block, first) if line is None or line.strip()]
        sample += [(n, read_line(line, limits)) for n, line in filled[:_SAMPLE_ROWS]]
        if enough():
            break
    for batch in rows:
        seen_rows.append(batch)
        sample += batch
        if enough():
            break
    return seen_lines, seen_rows, sample


def _say_what_is_no_text(collector: Collector) -> None:
    media = [column for column in collector.ignored() if plain_name(column).rstrip("s") in _MEDIA]
    if media:
        collector.note(
            "media_ignored",
            f"Only text is learned here; what {' and '.join(map(repr, media))} names is not looked at.",
            "Leave rows out that make no sense without it.",
        )


def _say_what_was_guessed(collector: Collector, plan: Plan, encoding: Encoding) -> None:
    if encoding.guess:
        collector.note(
            "encoding",
            f"This file was read as {encoding.name}, which is a guess: {encoding.guess}.",
            "Look at a few accented letters; choose another encoding if they are wrong.",
        )
    if plan.guessed:
        which = ", ".join(f"{column!r} is the {field}" for field, column in plan.mapping.items())
        collector.note(
            "mapping_guessed", f"Which column is what was guessed: {which}.", "Choose other columns if this is wrong."
        )
    if plan.shape == "preference":
        collector.note(
            "preference_pairs",
            "Each row has a better (chosen) and a worse (rejected) answer. The better ones are used as examples; the "
            "worse ones are kept, and used only by preference training (DPO).",
        )
    if plan.shape == "kto":
        collector.note(
            "kto_labels",
            "The answers in this file are marked as good or bad (KTO). The good ones are used as examples.",
            "To learn from bad ones too, bring pairs: to each question a good (chosen) and a bad (rejected) answer.",
        )
