"""The visitors of a demo: each one's own services over their own folder, made at the
first visit, deleted later.
"""

import logging
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from backend.errors import ApprenticeError
from backend.hosting.policy import Policy
from backend.hosting.visitors import Loss, Visitors
from backend.records.machine import Hardware
from backend.settings import Workspace
from jobs.fair_queue import FairQueue
from jobs.repeating import RepeatingThread
from ui.services.app import App
from ui.services.demo.processes import Processes
from ui.services.demo.shared import Shared
from ui.services.results.chat import ChatSeats

log = logging.getLogger(__name__)

_UPLOAD_AGE = 3600.0  # seconds after which an uploaded file is deleted
PURGE = 60.0  # seconds between checks for expired visitors


class VisitorApps:
    """base: the app over what no visitor made, the machine and its models. No visitor
    ever gets it. uploads: where uploaded files lie until they are read; gradio forgets
    them after a broken upload and at a restart.
    """

    def __init__(
        self,
        workspace: Workspace,
        policy: Policy,
        simulated: Hardware | None = None,
        uploads: Path | None = None,
    ) -> None:
        self.policy, self._uploads = policy, uploads
        self.base = App(workspace, simulated, open_to_network=True, policy=policy)
        self.visitors = Visitors(workspace.root / "visitors", policy.limits)
        self._queue = FairQueue(policy.limits.training)
        self._seats, self._processes = ChatSeats(policy.limits.chats), Processes()
        self._queue.add(self.base.runner)
        self._apps: dict[str, App] = {}
        self._lock = threading.RLock()
        self._purging = RepeatingThread("purge", self.purge, PURGE)

    def start(self) -> None:
        """Starts the queue and the purge, and prepares the model."""
        self.adopt()
        self._queue.start()
        self._purging.start()
        self._processes.start()
        self.base.prepare()

    def adopt(self) -> None:
        """Adds the jobs of earlier visitors to the queue, including those that still
        run.
        """
        for visitor in self.visitors.all():
            with suppress(ApprenticeError):
                self._open(visitor)

    def close(self) -> None:
        """Ends the threads and all chats; jobs continue."""
        self._queue.close()
        self._purging.close()
        with self._lock:
            for app in self._apps.values():
                app.close()
        self.base.close()

    def app(self, visitor: str) -> App:
        """The visitor's services. visitor: from `Visitors`, never from a request.
        Raises NotInDemo when full.
        """
        with self._lock:
            if (leaving := self.visitors.dispensable(visitor)) is not None:
                self._remove(leaving, None)
            self.visitors.visit(visitor)
            return self._open(visitor)

    def _open(self, visitor: str) -> App:
        with self._lock:
            app = self._apps.get(visitor)
            if app is None:
                workspace = self._workspace(self.visitors.folder(visitor))
                shared = Shared(
                    self.base.models,
                    self.base.advice.recommended,
                    self._queue,
                    self._seats,
                    self._processes,
                    partial(self.visitors.require_disk, visitor),
                    partial(self.visitors.at_the_same_address, visitor),
                )
                app = App(workspace, policy=self.policy, shared=shared)
                self._apps[visitor] = app
                self._queue.add(app.runner)
            return app

    def _workspace(self, folder: Path) -> Workspace:
        """The workspace in a visitor's folder. The models and files made from them are
        links to the shared ones.
        """
        shared = self.base.workspace
        (folder / "cache").mkdir(mode=0o700, exist_ok=True)
        (shared.cache / "gguf").mkdir(parents=True, exist_ok=True)
        for link, target in (
            (folder / "models", shared.models),
            (folder / "cache" / "gguf", shared.cache / "gguf"),
        ):
            with suppress(FileExistsError):
                _link(link, target)
        return Workspace.open(folder)

    # Expired visitors

    def purge(self) -> None:
        """Deletes what expired visitors made, once their jobs have stopped, and forgets
        the rows of who is away.
        """
        for app in filter(None, map(self._apps.get, self.visitors.away())):
            app.discard()
        for visitor in filter(self.visitors.is_expired, self.visitors.all()):
            try:
                self._forget(visitor)
            except Exception:  # one damaged folder must not keep the others
                log.exception("the folder of a visitor was not deleted")
        self.visitors.delete_set_aside()
        for path in self._uploads.rglob("*") if self._uploads else ():
            with suppress(OSError):  # just deleted
                if path.is_file() and path.stat().st_mtime < time.time() - _UPLOAD_AGE:
                    path.unlink()

    def _forget(self, visitor: str) -> None:
        app = self._open(visitor)
        unfinished = [job for job in app.runner.jobs() if not job.state.is_terminal]
        for job in unfinished:
            if not job.stop_requested:
                app.runner.stop(job.id)
        with (
            self._lock
        ):  # whoever comes back now finds either everything or a new folder
            if not unfinished and self.visitors.is_expired(
                visitor
            ):  # else a later purge deletes it
                self._remove(visitor)

    def _remove(self, visitor: str, why: Loss | None = "expired") -> None:
        """Call it under the lock. The folder is deleted by the next purge."""
        self.visitors.set_aside(visitor, why)
        if app := self._apps.pop(visitor, None):
            self._queue.remove(app.runner)
            threading.Thread(
                target=app.close, daemon=True
            ).start()  # which may wait for an import


def _link(link: Path, target: Path) -> None:
    """Makes `link` lead to the folder `target`; on Windows a junction, because a
    symbolic link needs a right there. Raises OSError.
    """
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(target), str(link))
    else:
        link.symlink_to(target, target_is_directory=True)
