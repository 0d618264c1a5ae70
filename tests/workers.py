"""Ends what a test left behind, so that it does not slow down the tests that follow."""

import os

from backend.settings import Workspace
from jobs import process, store


def end_workers(workspace: Workspace) -> None:
    """Kills the workers of a workspace, whoever started them."""
    folders = store.folders(workspace)
    own = {folder.id for folder in folders}
    for key, child in list(process._children.items()):
        if key[0] in own:
            child.kill()
            child.wait()
            del process._children[key]
    for folder in folders:
        status = folder.status()
        if status.pid and status.pid_created and status.pid != os.getpid():
            with folder.claim() as free:
                if not free:
                    process.kill(status.pid, status.pid_created)
