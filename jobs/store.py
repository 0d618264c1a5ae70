"""The jobs' folders in a workspace: create, find, list, delete."""

import logging
import math
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import ApprenticeError, WorkspaceProblem
from backend.files.atomic import fsync, fsync_names, replace_file
from backend.files.disk_errors import disk_words
from backend.files.json_file import write_json
from backend.files.listing import files_in
from backend.records.base import FileVersion, file_version
from backend.settings import Workspace, new_id
from jobs.folder import JobFolder, no_such_run
from jobs.records import Identity, State
from jobs.status import Status

Spec = dict[str, Any]
Prepare = Callable[[Path], None]  # fills a job's folder before others see it

log = logging.getLogger(__name__)

# Folders being created or deleted; no id starts with a dot.
NEW, DELETED = ".new-", ".deleted-"
_LOCK = ".lock"


def find(workspace: Workspace, job_id: str) -> JobFolder:
    """The folder of a job. Raises RunProblem for an unknown id, WorkspaceProblem for a
    malformed one.
    """
    folder = JobFolder(workspace.run_folder(job_id))
    if not os.path.isdir(
        folder.path
    ):  # unlike Path.is_dir, False for a name too long for the disk
        raise no_such_run(job_id)
    return folder


def folders(workspace: Workspace) -> list[JobFolder]:
    """All jobs' folders, damaged ones too, in no particular order."""
    return [JobFolder(Path(entry.path)) for entry in _entries(workspace)]


def status_versions(workspace: Workspace) -> list[tuple[str, FileVersion | None]]:
    """Each job's id, with the version of its status.json. Quick: every tick asks for
    all of them.
    """
    return [
        (entry.name, file_version(f"{entry.path}/status.json"))
        for entry in _entries(workspace)
    ]


def _entries(workspace: Workspace) -> list[os.DirEntry[str]]:
    with os.scandir(workspace.runs) as entries:
        return [
            entry
            for entry in entries
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
        ]


def create(
    workspace: Workspace,
    identity: Identity,
    spec: Spec,
    prepare: Prepare | None = None,
    queued: float | None = None,
    ended: Status | None = None,
) -> JobFolder:
    """Create the folder of a queued job; it appears complete, in one step. After an
    error nothing is left behind. Raises WorkspaceProblem when the folder can't be
    written, and whatever else `prepare` raises.

    identity: becomes job.json
    spec: becomes spec.json
    prepare: gets the folder before it appears, and fills its data/
    queued: its place in the queue, if not the last
    ended: the status of a job that is not to be done, because another computer did it
    """
    job_id = new_id()
    status = ended or Status(
        state=State.QUEUED, queued=last_place(workspace) if queued is None else queued
    )
    staging, folder = workspace.runs / (NEW + job_id), workspace.run_folder(job_id)
    held = _being_made(staging)
    try:
        held.acquire()
        (staging / "data").mkdir(parents=True)
        if prepare:
            prepare(staging)
        for file in files_in(staging):
            fsync(file)
        write_json(staging / "job.json", identity.model_dump(mode="json"))
        write_json(staging / "spec.json", spec)
        write_json(staging / "status.json", status.model_dump(mode="json"))
        replace_file(staging, folder)
        fsync_names(workspace.runs)
    except BaseException as error:
        for path in (staging, folder):
            shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            log.warning("a run could not be written: %r", error)
            raise WorkspaceProblem(
                "The run could not be written to disk.", *disk_words(error)
            ) from error
        raise
    finally:
        _let_go(held)
    return JobFolder(folder)


def _being_made(staging: Path) -> FileLock:
    """Held while the folder is made; its process may be killed meanwhile."""
    return FileLock(f"{staging}{_LOCK}")


def _let_go(lock: FileLock) -> None:
    lock.release()
    with suppress(OSError):
        os.unlink(lock.lock_file)


def last_place(workspace: Workspace) -> float:
    """The place of a job that joins the queue now: the time, unless the clock was set
    back, and behind all others.
    """
    places = [time.time()]
    for folder in folders(workspace):
        with suppress(ApprenticeError):
            status = folder.status()
            if not status.state.is_terminal:
                places.append(math.nextafter(status.queued, math.inf))
    return max(places)


def with_descendants(folder: JobFolder, workspace: Workspace) -> list[JobFolder]:
    """The job, the jobs made from it, the jobs made from those, and so on."""
    parents = {}
    for other in folders(workspace):
        with suppress(ApprenticeError):
            parents[other.id] = other.identity().parent
    family = [folder.id]
    for member in family:
        family += [
            other
            for other, parent in parents.items()
            if parent == member and other not in family
        ]
    return [JobFolder(workspace.run_folder(member)) for member in family]


def hide(folder: JobFolder) -> Path:
    """Make a folder disappear in one step; the caller then deletes the returned path.
    Raises OSError.
    """
    hidden = folder.path.with_name(DELETED + folder.id)
    replace_file(folder.path, hidden)
    return hidden


def delete_leftovers(workspace: Workspace) -> None:
    """Delete what an interrupted submission or deletion left behind."""
    for path in workspace.runs.glob(f"{DELETED}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in {
        path.with_name(path.name.removesuffix(_LOCK))
        for path in workspace.runs.glob(f"{NEW}*")
    }:
        lock = _being_made(path)
        with suppress(OSError, Timeout):  # another process is making it
            lock.acquire(timeout=0)
            shutil.rmtree(path, ignore_errors=True)
            _let_go(lock)
