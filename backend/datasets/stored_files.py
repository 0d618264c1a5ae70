"""Reads the stored files of datasets and caches their rows."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from backend.datasets.background import NO_PROGRESS, ProgressListener
from backend.datasets.chats.people import NobodyAnswers
from backend.datasets.convert.mapping import NoExamples
from backend.datasets.documents.passages import Passage
from backend.datasets.read.as_text import read_material
from backend.datasets.read.load import load
from backend.errors import BadInput
from backend.records.reading import Limits, ReadOptions
from backend.records.rows import Dataset
from backend.settings import child_path
from backend.text.excerpt import excerpt

Options = Mapping[str, Any]  # fields of ReadOptions; {} reads the file as detected
USUAL = Limits()
MAX_ROWS, MAX_ENTRIES = 300_000, 6  # of a cache

Key = tuple[Any, ...]  # starts with the dataset's id
Value = TypeVar("Value")


class Run(Protocol):
    """Where the file at `path` is read or checked: what `do` returns. In this process
    it gets the listener.
    """

    def __call__(
        self,
        listener: ProgressListener,
        do: Callable[[ProgressListener], Value],
        path: Path,
        /,
    ) -> Value: ...


def run_here(
    listener: ProgressListener, do: Callable[[ProgressListener], Value], path: Path
) -> Value:
    return do(listener)


def without_progress(do: Callable[[], Value], _listener: ProgressListener) -> Value:
    """For a `Run`: what `do` returns, which takes no listener."""
    return do()


class RecentCache(Generic[Value]):
    """The newest values, at most MAX_ENTRIES with MAX_ROWS rows together; the newest
    stays whatever its size.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        value = self._values.get(key)
        return value[0] if value else None

    def put(self, key: Key, value: Value, rows: int = 0) -> None:
        """Stores a value as the newest. rows: how many rows it keeps in memory."""
        with self._lock:
            self._values[key] = value, rows
            self._values.move_to_end(key)
            total = 0
            for place, old in enumerate(reversed(list(self._values))):
                total += self._values[old][1]
                if place and (place >= MAX_ENTRIES or total > MAX_ROWS):
                    del self._values[old]

    def discard(self, data_id: str | None = None) -> None:
        """Drops everything of one dataset; of all, if None."""
        with self._lock:
            for key in [key for key in self._values if data_id in (None, key[0])]:
                del self._values[key]


class StoredFiles:
    """The files in the folders of datasets: each has a "source", and some a validation
    file.
    """

    def __init__(self, root: Path, limits: Limits, run: Run) -> None:
        self._root, self.limits, self.run = root, limits, run
        self._cache: RecentCache[Dataset] = RecentCache()
        self._materials: RecentCache[list[Passage]] = RecentCache()

    def source(
        self, data_id: str, name: str, options: Options, listener: ProgressListener
    ) -> Dataset:
        """The rows of a dataset before any fix. Raises BadInput, Cancelled."""
        key = (data_id, options_key(options))
        if (dataset := self._cache.get(key)) is None:
            path = child_path(self._root, data_id) / "source"
            dataset = self.run(
                listener, partial(read_source, path, name, options, self.limits), path
            )
            self._cache.put(key, dataset, len(dataset.rows))
        return dataset

    def material(
        self,
        data_id: str,
        name: str,
        options: Options,
        file: str = "source",
        listener: ProgressListener = NO_PROGRESS,
    ) -> list[Passage]:
        """The passages of a text or a table to make examples from. Raises BadInput."""
        key = (data_id, file, options_key(options))
        if (material := self._materials.get(key)) is None:
            path = child_path(self._root, data_id) / file
            read = partial(
                read_material, path, name, self.limits, options.get("encoding")
            )
            material = self.run(listener, partial(without_progress, read), path)
            self._materials.put(key, material, len(material))
        return material

    def validation(
        self,
        data_id: str,
        name: str,
        file: str,
        options: Options,
        listener: ProgressListener,
    ) -> Dataset:
        """The rows of a dataset's validation file. Raises BadInput, Cancelled."""
        key = (data_id, file, options_key(options))
        if (dataset := self._cache.get(key)) is None:
            dataset = self.new_validation(
                child_path(self._root / data_id, file), name, options, listener
            )
            self._cache.put(key, dataset, len(dataset.rows))
        return dataset

    def new_validation(
        self, path: Path, name: str, options: Options, listener: ProgressListener
    ) -> Dataset:
        """The rows of a validation file, which need not be stored. Raises BadInput,
        Cancelled.
        """
        return self.run(
            listener, partial(load_validation, path, name, options, self.limits), path
        )

    def discard(self, data_id: str | None = None) -> None:
        """Drops everything of one dataset from memory; of all, if None."""
        self._cache.discard(data_id)
        self._materials.discard(data_id)


def read_source(
    path: Path,
    name: str,
    options: Options,
    limits: Limits,
    listener: ProgressListener = NO_PROGRESS,
) -> Dataset:
    """The rows of a dataset's file. Raises BadInput, Cancelled."""
    return load(
        path,
        name=name,
        options=ReadOptions(**options, limits=limits),
        progress=listener.start_phase("Reading"),
        cancelled=listener.cancelled,
        on_first_rows=listener.on_first_rows,
    )


def load_validation(
    path: Path,
    name: str,
    options: Options,
    limits: Limits = USUAL,
    listener: ProgressListener = NO_PROGRESS,
) -> Dataset:
    """A validation file, with the columns or people chosen for the examples if it has
    them. Raises BadInput.
    """
    columns = {
        field: options[field]
        for field in ("shape", "mapping", "only", "marks", "imitate")
        if field in options
    }
    with suppress(BadInput):
        return read_source(path, name, columns, limits, listener)
    try:
        return read_source(path, name, {}, limits, listener)
    except (
        BadInput
    ) as error:  # nothing asks for its columns or people: it has to fit the examples
        choose = "Choose a file like your examples, with the same columns or people, or none."
        then = choose if isinstance(error, (NoExamples, NobodyAnswers)) else error.next
        what = f"{excerpt(name, width=60)} can't be used as the validation file."
        raise BadInput(what, f"{error.what} {error.why}".strip(), then) from error


def options_key(options: Options) -> str:
    """A key that is the same for equal options."""
    return json.dumps(options, sort_keys=True)
