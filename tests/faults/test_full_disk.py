"""On a full disk everything can still be looked at and deleted, on the page and with
commands.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from backend.settings import Workspace
from jobs import store
from jobs.records import Identity, State
from tests.app_command import command
from tests.browser.conftest import free_port, served


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with a run on a small disk of its own, on which not a byte is free."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        workspace = Workspace.open(disk / "workspace")
        run = store.create(
            workspace, Identity(kind="train", name="Orders", created=1.0), {}
        )
        run.write_status(run.status().ended_as(State.COMPLETED))
        with (disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 12))
        yield workspace
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_commands_list_and_delete_on_a_full_disk(full: Workspace) -> None:
    assert "Orders" in str(command(full, "runs"))
    (run,) = store.folders(full)
    command(full, "delete", run.id)
    assert store.folders(full) == []


def test_the_page_starts_on_a_full_disk(full: Workspace, tmp_path: Path) -> None:
    port = free_port()
    line = [
        sys.executable,
        "app.py",
        "serve",
        "--no-browser",
        "--port",
        str(port),
        "--workspace",
        str(full.root),
    ]
    log = tmp_path / "log.txt"
    with served(line, port, log) as url:
        for _ in range(100):
            if printed := [
                word for word in log.read_text("utf-8").split() if word.startswith(url)
            ]:
                break
            time.sleep(0.1)
        with httpx.Client(base_url=url, timeout=60) as browser:
            browser.get(printed[0])
            assert browser.get("/").status_code == 200
