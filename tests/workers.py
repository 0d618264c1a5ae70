"""Ends what a test left behind, so that it does not slow down the tests that follow."""

from __future__ import annotations

import os

from backend.settings import Workspace
from jobs import process, store


def end_workers(workspace: Workspace) -> None:
    """Kills the workers of a workspace, those that this process started and all others."""
    for child in process._children.values():
        child.kill()
        child.wait()
    process._children.clear()
    for folder in store.folders(workspace):
        status = folder.status()
        if status.pid and status.pid_created and status.pid != os.getpid():
            with folder.claim() as free:
                if not free:
                    process.kill(status.pid, status.pid_created)
