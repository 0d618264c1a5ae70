"""What a call of a GPU must do, whoever makes it: a fake here, and the package `spaces` in a process of its own."""

import multiprocessing
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from backend.files.json_file import read_json, write_json
from backend.settings import Workspace
from jobs import store
from jobs.context import Context
from jobs.folder import JobFolder
from jobs.status import Identity
from jobs.supervisor import Supervisor
from tests.jobs import noop
from ui.services.demo import gpu_calls
from ui.services.demo.gpu_calls import GpuCall, NoGpu, learn

QUOTA = 100.0  # seconds of each visitor


class FakeGpu:
    """Runs a call in a forked process, kills it when its time is up, and refuses calls beyond a visitor's quota, from
    which it takes what was asked for."""

    def __init__(self, quota: float = QUOTA) -> None:
        self.left: defaultdict[str, float] = defaultdict(lambda: quota)
        self.asked: list[float] = []

    def call(self, visitor: str, workspace: Path, job_id: str, seconds: float) -> float:
        self.asked.append(seconds)
        if seconds > self.left[visitor]:
            raise NoGpu("over quota", self.left[visitor])
        self.left[visitor] -= seconds
        fork = multiprocessing.get_context("fork")
        results = fork.SimpleQueue()
        process = fork.Process(target=lambda: results.put(learn(str(workspace), job_id, seconds)), daemon=True)
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            raise NoGpu("GPU task aborted")
        taken: float = results.get()
        return taken


def count(context: Context) -> dict[str, Any]:
    """Stands for a training: counts to 40 in two seconds, and goes on where it stopped."""
    counter = context.folder / "counter.json"
    step = read_json(counter)["step"] if counter.exists() else 0
    while step < 40 and not context.should_stop():
        time.sleep(0.05)
        step += 1
    write_json(counter, {"step": step})
    return {"steps": step}


def queued(workspace: Workspace, **spec: Any) -> JobFolder:
    """A job that counts, as it is once an attempt was started."""
    folder = store.create(workspace, Identity(kind="noop", name="", created=time.time()), spec)
    Supervisor(workspace, 10, 10, lambda *_: None).launch(folder)
    return folder


def outcomes(call: GpuCall, workspace: Workspace) -> dict[str, Any]:
    """What became of a call that is quick, of one that needs another, of one that is killed, and of a refused one."""
    noop.register()
    gpu_calls.WORK, gpu_calls.SAVING = "tests.jobs.noop:run", 1.0
    found: dict[str, Any] = {}

    def ask(name: str, seconds: float, **spec: Any) -> None:
        folder = queued(workspace, **spec)
        try:
            found[name] = call("anna", workspace.root, folder.id, seconds) < seconds
        except NoGpu as refused:
            found[name] = refused.left is not None and QUOTA / 2 < refused.left <= QUOTA
        state = Supervisor(workspace, 10, 10).reconcile(folder).state
        found[name] = found[name], state.value

    ask("quick", 30, steps=3)
    ask("longer", 2, steps=3000, seconds_per_step=0.02)
    ask("killed", 2, steps=3000, seconds_per_step=0.02, deaf=True)
    ask("refused", 1000, steps=3)
    return found


EXPECTED = {
    "quick": (True, "completed"), "longer": (True, "queued"), "killed": (False, "interrupted"),
    "refused": (True, "starting"),
}  # fmt: skip
