"""Examples on their way in: read and checked in the background, so that the page never waits for a file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from backend.datasets.background import BackgroundTask, BackgroundTasks
from backend.datasets.dataset import CheckedDataset
from backend.datasets.store import DatasetStore
from backend.datasets.token_counts import TargetModel
from backend.errors import BadInput
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.settings import new_id
from ui.records import Reading

REMEMBERED = 16  # of what was brought, to be read once more in another way
SOON = 0.8  # seconds that the page waits, so that a small file needs no second look


class DatasetImports:
    """Brings data sets to a shelf, reads them another way, and looks at them, each in a thread."""

    def __init__(self, store: DatasetStore) -> None:
        self.store = store
        self._works = BackgroundTasks()
        self._adds: OrderedDict[str, tuple[str, Callable[..., str]]] = OrderedDict()

    def close(self) -> None:
        """Cancels what is being read."""
        self._works.cancel_all()

    def file(self, path: Path, name: str, model: TargetModel | None) -> str:
        """Begins to bring a file and gives the id that its examples will have."""
        return self._begin(name, model, partial(self.store.add, path, name))

    def text(self, text: str, name: str, model: TargetModel | None) -> str:
        """Begins to bring pasted or typed text."""
        return self._begin(name, model, partial(self.store.add_text, text, name))

    def _begin(self, name: str, model: TargetModel | None, add: Callable[..., str]) -> str:
        data_id = new_id()
        self._adds[data_id] = name, add
        while len(self._adds) > REMEMBERED:
            self._adds.popitem(last=False)
        self.once_more(data_id, {}, model)
        return data_id

    def once_more(self, data_id: str, how: Mapping[str, Any], model: TargetModel | None) -> None:
        """Begins to bring what `file` or `text` was given, read as `how` says. Raises BadInput when that is
        long ago."""
        if self.store.has(data_id):  # a form that was sent twice
            self.again(data_id, how, model)
            return
        if data_id not in self._adds:
            raise BadInput("What was brought is no longer here.", "It was long ago.", "Bring it again.")
        name, add = self._adds[data_id]

        def bring(work: BackgroundTask) -> None:
            add(work, data_id, how)
            try:
                self.store.open(data_id, model, listener=work)
            except BaseException:
                self.store.remove(data_id)
                raise

        self._works.start(data_id, name, bring).wait(SOON)

    def again(self, data_id: str, how: Mapping[str, Any], model: TargetModel | None) -> None:
        """Begins to read a data set in another way, if it is another. When that fails or is cancelled, it stays as it
        was."""
        before = self.store.info(data_id)
        if how == before.read_options:
            return

        def read(work: BackgroundTask) -> None:
            self.store.read_again(data_id, how, work)
            try:
                self.store.open(data_id, model, listener=work)
            except BaseException:
                self.store.restore(data_id, before)
                raise

        self._works.start(data_id, before.name, read).wait(SOON)

    def look(
        self, data_id: str, model: TargetModel | None, lengths: LengthLimits, seconds: float | None = None
    ) -> CheckedDataset | None:
        """The data set as it stands for a model; None when that takes longer than `seconds` and is still being found
        out."""
        found = self.store.cached(data_id, model, lengths)
        if found is not None:
            return found

        def examine(work: BackgroundTask) -> CheckedDataset:
            return self.store.open(data_id, model, lengths, work)

        work = self._works.start((data_id, model, lengths), self.store.info(data_id).name, examine)
        if not work.wait(seconds):
            return None
        if work.error is not None:
            raise work.error
        return self.store.open(data_id, model, lengths)

    def checked(self, data_id: str, model: TargetModel | None, lengths: LengthLimits = UNLIMITED) -> CheckedDataset:
        """The checked dataset for a model; waits until it is checked."""
        found = self.look(data_id, model, lengths)
        assert found is not None  # without a limit it waits
        return found

    def held(self, data_id: str, model: TargetModel | None) -> CheckedDataset | None:
        """The whole data set as it stands for a model; None where nobody has looked at it of late."""
        return self.store.cached(data_id, model, UNLIMITED)

    def looking(self, data_id: str) -> Reading | None:
        """How far the looks at a data set are; None when none is at work."""
        work = next((work for work in self._works.of(data_id) if not work.ended), None)
        return None if work is None else _reading(work)

    def mark(self, data_id: str) -> Hashable:
        """What is another whenever something was said of these examples, or a look at them began or ended."""
        return repr(self.store.info(data_id)), tuple((id(work), work.ended) for work in self._works.of(data_id))

    def reading(self, data_id: str) -> Reading | None:
        """How far the bringing of a data set is, or why it failed; None when it went well, was cancelled, or is not
        known."""
        work = self._works.get(data_id)
        return None if work is None or (work.ended and work.error is None) else _reading(work)

    def cancel(self, data_id: str) -> None:
        """Gives up bringing a data set; nothing of it is kept."""
        work = self._works.get(data_id)
        if work is not None:
            work.cancel()


def _reading(work: BackgroundTask) -> Reading:
    return Reading(work.name, work.phase, work.fraction, work.first, work.error)
