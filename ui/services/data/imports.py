"""Imports and checks of datasets in the background: the page waits for no file."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from backend.datasets.background import BackgroundTask, BackgroundTasks, still_read
from backend.datasets.choices import ValidationFiles
from backend.datasets.dataset import CheckedDataset
from backend.datasets.store import DatasetStore
from backend.errors import BadInput, NotInDemo
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.settings import new_id
from ui.records.data import DatasetProgress
from ui.services.demo.processes import Waiting
from ui.services.machine.models import ModelService

PAGE_WAIT = 0.5  # seconds that the page waits for a small file before it shows progress
_MAX_RETRIES = 4  # failed imports to make examples from; each may hold a pasted text
_CHECKS = 3  # of one dataset that may run besides a new one
_FAILED = 30.0  # seconds in which the same check is not tried again

Read = Callable[[BackgroundTask], object]


class DatasetImports:
    """Imports files into the store, reads them again with other options, and checks
    them, each in a thread. A model_id of "" stands for the recommended model. at_once:
    how many imports may run at the same time. waiting: how a visitor of a demo waits
    for a check; None: for as long as it takes.
    """

    def __init__(
        self,
        store: DatasetStore,
        models: ModelService,
        at_once: float,
        waiting: Waiting | None,
    ) -> None:
        self.store, self._models, self._at_once, self._waiting = (
            store,
            models,
            at_once,
            waiting,
        )
        self._starting = threading.Lock()
        self._tasks = BackgroundTasks()
        self.close = self._tasks.cancel_all
        self._imports: OrderedDict[str, tuple[str, Callable[..., str]]] = OrderedDict()

    def discard(self) -> None:
        """Drops from memory what can be read again, or added again."""
        self._imports.clear()
        self.store.discard()

    # Imports

    def add(
        self, name: str, model_id: str, add: Callable[..., str], task: str = ""
    ) -> str:
        """Starts an import: `add` is called with a listener, the future data id, which
        this returns, and options. task: what the model is to do, "" for unknown.
        """
        self.store.require_disk()
        data_id, options = new_id(), {"task": task} if task else {}
        self._imports[data_id] = name, partial(add, data_id=data_id, options=options)
        while len(self._imports) > min(_MAX_RETRIES, self._at_once):
            self._imports.popitem(last=False)
        self._begin(data_id, model_id)
        return data_id

    def make_from(self, data_id: str, model_id: str) -> None:
        """Starts an import that failed again, to make examples from the file. Raises
        BadInput when it is no longer remembered.
        """
        if data_id not in self._imports:
            raise BadInput(
                "This file is no longer in memory.",
                "It was added too long ago.",
                "Add it again.",
            )
        self._begin(data_id, model_id, written=True)

    def _begin(self, data_id: str, model_id: str, **how: bool) -> None:
        name, add = self._imports[data_id]
        remove = partial(self.store.remove, data_id)
        self._import(data_id, name, model_id, partial(add, **how), remove)

    def read_again(
        self, data_id: str, options: Mapping[str, Any], model_id: str = ""
    ) -> None:
        """Starts to read a stored dataset with these read options ({}: as detected). If
        that fails or is cancelled, the old ones stay.
        """
        before = self.store.info.read(data_id)
        stays = {k: v for k, v in before.read_options.items() if k in ("rows", "task")}
        options = {**stays, **options}
        if options == before.read_options:
            return
        restore = partial(self.store.info.restore, data_id, before)
        self._import(
            data_id,
            before.name,
            model_id,
            partial(self.store.read_again, data_id, options),
            restore,
        )

    def set_validation(self, data_id: str, path: Path) -> bool:
        """Starts to read a validation file for a dataset; returns whether that is
        already done. Raises its error if that came as soon.
        """
        if data_id in self._tasks.running():
            raise still_read()
        task = self._start(
            data_id,
            path.name,
            partial(ValidationFiles(self.store).set, data_id, path, path.name),
        )
        if task.error:
            raise task.error
        return task.ended

    def _import(
        self,
        data_id: str,
        name: str,
        model_id: str,
        read: Read,
        undo: Callable[[], None],
    ) -> None:
        """Starts to read and check a dataset in the background; `undo` takes back what
        was read but can't be used.
        """
        model = self._models.target_model(model_id)

        def work(task: BackgroundTask) -> None:
            read(task)
            try:
                self.store.open(data_id, model, listener=task)
            except BaseException:
                undo()
                raise
            self._imports.pop(data_id, None)  # it is stored now

        self._start(data_id, name, work)

    def _start(self, data_id: str, name: str, work: Read) -> BackgroundTask:
        """Starts what changes a dataset, and waits for a moment. Raises NotInDemo where
        no more may run at once.
        """
        with self._starting:
            running = [
                key
                for key in self._tasks.running()
                if isinstance(key, str) and key != data_id
            ]
            if len(running) >= self._at_once:
                raise NotInDemo(
                    "Another of your files is still being imported.",
                    f"In this demo each visitor can have {self._at_once:g} read at a time.",
                    "Wait until it is done, or cancel it.",
                )
            task = self._tasks.start(data_id, name, work)
        task.wait(PAGE_WAIT)
        return task

    def progress(self, import_id: str, data_id: str) -> DatasetProgress | None:
        """The progress or the error of an import, unless it succeeded or was cancelled;
        without an import, the progress of a check of the dataset.
        """
        checks = (task for task in self._tasks.of(data_id) if not task.ended)
        task = self._tasks.get(import_id) if import_id else next(checks, None)
        if task is None or (task.ended and task.error is None):
            return None
        return DatasetProgress(
            task.name, task.phase, task.fraction, task.first, task.error
        )

    def cancel(self, key: Hashable) -> None:
        """Cancels an import, whose key is the data id, or a check; nothing of it is
        stored.
        """
        if task := self._tasks.get(key):
            task.cancel()

    # Checks

    def check(
        self, data_id: str, model_id: str, lengths: LengthLimits, seconds: float | None
    ) -> CheckedDataset | None:
        """The checked dataset; None until so many seconds after its check began, if
        there is such a limit. lengths: the planned run's length limits.
        """
        model = self._models.target_model(model_id)
        checked = self.store.cached(data_id, model, lengths)
        if checked is not None:
            return checked
        info = self.store.info.read(data_id)
        key = data_id, model, lengths, repr(info)
        task = self._tasks.get(key)
        if task is None or task.error is None or monotonic() - task.changed > _FAILED:
            if (
                self._waiting
            ):  # a demo: whoever asks for many models or lengths waits for the latest
                running = [
                    key
                    for key in self._tasks.running()
                    if isinstance(key, tuple) and key[0] == data_id
                ]
                for old in set(running[:-_CHECKS]) - {key}:
                    self.cancel(old)
            task = self._tasks.start(
                key, info.name, partial(self.store.open, data_id, model, lengths)
            )
        if not task.wait(seconds) or task.cancelled():
            return None
        if task.error is not None:
            raise task.error
        return self.store.cached(data_id, model, lengths) or self.store.open(
            data_id, model, lengths
        )

    def patiently(
        self, check: Callable[[float | None], CheckedDataset | None]
    ) -> CheckedDataset:
        """Runs `check` with the seconds that this caller may wait (None: no limit).
        Raises NotYet when that takes longer.
        """
        with self._waiting.patience() if self._waiting else nullcontext() as seconds:
            checked = check(seconds)
        if checked is None:
            raise still_read()
        return checked

    def checked(
        self, data_id: str, model_id: str = "", lengths: LengthLimits = UNLIMITED
    ) -> CheckedDataset:
        """The checked dataset for a model; waits until it is checked. Raises NotYet
        when that takes too long.
        """
        return self.patiently(partial(self.check, data_id, model_id, lengths))

    def change_token(self, data_id: str) -> Hashable:
        """Differs whenever the dataset's fixes or options change, or an import or check
        of it starts or ends.
        """
        tasks = tuple((id(task), task.ended) for task in self._tasks.of(data_id))
        return repr(self.store.info.read(data_id)), tasks
