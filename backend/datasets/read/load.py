"""Loads a file as rows, with a problem for each row that can't be used.

data = load(Path("chats.jsonl"))
data.rows, data.problems, data.source.shape, data.total_rows
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from backend.datasets.chats.read_chat import chat_format, read_chat
from backend.datasets.convert.detect import Record
from backend.datasets.convert.mapping import Plan, make_plan
from backend.datasets.convert.messages import WEIGHT_KEYS
from backend.datasets.convert.shapes import plain_name
from backend.datasets.read.annotations import with_annotations
from backend.datasets.read.encoding import Encoding, NotUtf8, detect_encoding, initial_encoding
from backend.datasets.read.open import open_source
from backend.datasets.read.opened import OpenSource
from backend.datasets.read.records import RecordCollector
from backend.datasets.read.source import ByteSource, Digest, open_path
from backend.datasets.read.together import ManyFiles, read_together
from backend.errors import BadInput
from backend.gc_pause import without_gc
from backend.records.reading import Cancelled, Limits, ReadOptions, RowFault
from backend.records.rows import Dataset, Source

__all__ = ["Cancelled", "Limits", "ReadOptions", "load"]

FIRST_ROWS = 20  # passed to `on_first_rows`
_SAMPLE_RECORDS = 200  # readable records, enough to detect the shape
_MEDIA = ("image", "picture", "video", "audio", "sound")
_MAX_SAMPLE_RECORDS = 2_000  # records read to find them


def load(
    path: Path,
    *,
    name: str | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    options: ReadOptions | None = None,
    on_first_rows: Callable[[Dataset], None] | None = None,
) -> Dataset:
    """Reads a file.

    name: for display, by default the file's own; its extension only decides unclear formats. progress: receives the
    fraction read, 0 to 1. cancelled: checked for each block. on_first_rows: receives the first rows, once read.

    Raises BadInput when the file can't be read or is not a dataset, Cancelled when `cancelled` returns True.
    """
    options = _limited(options or ReadOptions())
    with open_path(path, options.limits, progress, cancelled) as source:
        digest = Digest(path)
        try:
            data = _load(source, name or path.name, options, on_first_rows)
        except BaseException:
            digest.cancel()
            raise
        data.source = replace(data.source, sha256=digest.result())
    if progress is not None:
        progress(1.0)
    return data


def _limited(options: ReadOptions) -> ReadOptions:
    """The options with the chosen number of rows as their limit."""
    most = max(1, min(options.rows or options.limits.rows, options.limits.rows))
    return replace(options, limits=replace(options.limits, rows=most))


def _load(
    source: ByteSource, name: str, options: ReadOptions, on_first_rows: Callable[[Dataset], None] | None = None
) -> Dataset:
    encoding = initial_encoding(source.head, options.encoding)
    with without_gc():
        try:
            return _collect(open_source(source, encoding, name, options), name, encoding, options, on_first_rows)
        except NotUtf8:
            encoding = detect_encoding(source)
            return _collect(open_source(source, encoding, name, options), name, encoding, options, on_first_rows)
        except ManyFiles:
            return read_together(source, name, options, _load)


def _collect(
    opened: OpenSource,
    name: str,
    encoding: Encoding,
    options: ReadOptions,
    on_first_rows: Callable[[Dataset], None] | None,
) -> Dataset:
    if options.shape is None and not options.mapping:
        opened.records = with_annotations(opened.records)
    sample = _read_sample(opened.records)
    records = [record for batch in sample for record in batch]
    if not records:
        raise BadInput("This file is empty.", "It has no rows.", "Choose another file.")
    if not encoding.settled and any(isinstance(v, RowFault) and v.kind == "bad_encoding" for _, v in records):
        raise NotUtf8  # before the few rows in plain letters are judged
    if options.shape is None and not options.mapping and (chat := opened.chat or chat_format(records)):
        rest = (record for batch in opened.records for record in batch)
        found = read_chat(chain(records, rest), chat, options.imitate)
        sample, records, opened.records = [found.records], found.records, iter(())
        opened.notes.append(("chat", found.note, "If that is wrong, choose somebody else to learn from."))
        people = {"people": "\n".join(found.people), "imitate": "\n".join(found.imitate)}
        opened.details |= {"chat": found.title, **people}
    plan = make_plan(records, options)
    collector = RecordCollector(plan, options.limits, encoding.settled)
    _note_guesses(collector, plan, encoding)
    for kind, message, fix in opened.notes:
        collector.note(kind, message, fix)

    def collected() -> Dataset:
        source = Source(
            name=name,
            format=opened.format,
            shape=plan.shape,
            encoding=encoding.name,
            sha256="",
            mapping=plan.used or plan.mapping,
            ignored=collector.ignored(),
            details=opened.details,
        )
        return Dataset(source, collector.rows, collector.problems, collector.total_rows, collector.originals)

    for batch in sample:
        collector.add_records(batch)
    if on_first_rows is not None:
        first = collected()
        on_first_rows(replace(first, rows=first.rows[:FIRST_ROWS], originals=dict(first.originals)))
    for batch in opened.records:
        collector.add_records(batch)
        if options.rows and collector.full:
            break
    for kind, message, fix in opened.late_notes():
        collector.note(kind, message, fix)
    collector.finish(options.rows)
    _note_media(collector)
    _note_weights(collector)
    return collected()


def _read_sample(records: Iterator[list[Record]]) -> list[list[Record]]:
    """The first batches: enough to detect the shape."""
    batches: list[list[Record]] = []
    count = readable = 0
    for batch in records:
        batches.append(batch)
        count += len(batch)
        readable += sum(isinstance(value, dict) for _, value in batch)
        if count >= _MAX_SAMPLE_RECORDS or readable >= _SAMPLE_RECORDS:
            break
    return batches


def _note_weights(collector: RecordCollector) -> None:
    if any(f"message.{key}" in collector.ignored() for key in WEIGHT_KEYS):
        collector.note(
            "weights_ignored",
            "Some answers have a weight other than 0 or 1. They are learned like all others.",
            "Write 0 for answers that are only read, and 1 for those that are learned.",
        )


def _note_media(collector: RecordCollector) -> None:
    media = [column for column in collector.ignored() if plain_name(column).rstrip("s") in _MEDIA]
    if media:
        collector.note(
            "media_ignored",
            f"Only text is used for training; the content of {' and '.join(map(repr, media))} is ignored.",
            "Leave out examples that make no sense without it.",
        )


def _note_guesses(collector: RecordCollector, plan: Plan, encoding: Encoding) -> None:
    if encoding.guess:
        collector.note(
            "encoding",
            f"The letters of this file were read as {encoding.name} (encoding), which is a guess: {encoding.guess}.",
            "Look at a few accented letters, and choose another encoding if they are wrong.",
        )
    if plan.guessed:
        which = ", ".join(f"{column!r} is the {field}" for field, column in plan.mapping.items())
        collector.note("mapping_guessed", f"The columns were guessed: {which}.", "Choose other columns if not.")
    if plan.shape == "preference":
        collector.note(
            "preference_pairs",
            "Each example has a better (chosen) and a worse (rejected) answer. The better ones are used as examples; "
            "only preference training (DPO) also uses the worse ones.",
        )
    if plan.shape == "kto":
        collector.note(
            "kto_labels",
            "The answers in this file are marked as good or bad (KTO). The good ones are used as examples.",
            "To learn from the bad ones too, use pairs: a good (chosen) and a bad (rejected) answer per question.",
        )
