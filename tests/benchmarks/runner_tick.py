"""What the job runner costs in a workspace of finished runs, in milliseconds.

  open     a new runner and its first tick, as every command and the page do once
  tick     a later tick with nothing to do; the page makes two a second
  waiting  a tick, and submit: to queue a run, while one run trains and one waits for it

    python -m tests.benchmarks.runner_tick [RUNS] [--smoke]

Goal for 1,000 runs: a tick takes at most 1 % of a processor, 10 ms twice a second. Each
    number is a median.
The last line is JSON; ours is the tick while one run waits. Nothing else does this
work, so there is no peer.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from backend.settings import Workspace, new_id
from jobs import store
from jobs.folder import JobFolder
from jobs.records import Identity, State
from jobs.runner import Runner
from jobs.status import Status
from tests.benchmarks.measuring import print_result
from tests.jobs import noop

RUNS, REPEATS = 1000, 20
SPEC = {"settings": {f"setting_{i}": i for i in range(40)}}


def fill(workspace: Workspace, runs: int) -> None:
    """Write the folders of `runs` completed runs."""
    yesterday = time.time() - 86400
    for _ in range(runs):
        folder = JobFolder(workspace.run_folder(new_id()))
        folder.path.mkdir()
        result = {"steps": 100, "best_step": 80, "eval_loss": 0.5}
        status = Status(
            state=State.COMPLETED,
            queued=yesterday,
            started=yesterday,
            ended=yesterday,
            result=result,
        )
        identity = Identity(kind="train", name="Orders", created=yesterday)
        files = {
            "job": identity.model_dump(mode="json"),
            "spec": SPEC,
            "status": status.model_dump(mode="json"),
        }
        for name, data in files.items():
            (folder.path / f"{name}.json").write_text(json.dumps(data))


def milliseconds(action: Callable[[], object], repeats: int = REPEATS) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        taken.append(1000 * (time.perf_counter() - start))
    return round(median(taken), 2)


def measure(workspace: Workspace, runs: int) -> dict[str, float]:
    noop.register()
    fill(workspace, runs)
    found: dict[str, float] = {
        "runs": runs,
        "open": milliseconds(lambda: Runner(workspace).tick(), 3),
    }
    runner = Runner(workspace)
    runner.tick()
    found["tick"] = milliseconds(runner.tick)
    assert len(runner.jobs()) == runs
    training = runner.submit(
        "noop", {"steps": 100_000, "seconds_per_step": 0.02}, "Training"
    )
    found["submit"] = milliseconds(lambda: runner.submit("noop", {}, "Waiting"), 5)
    while not runner.job(training).progress:
        runner.tick()
        time.sleep(0.1)
    found["waiting"] = milliseconds(runner.tick)
    for job in runner.jobs(kind="noop"):
        runner.stop(job.id)
    assert runner.wait(training).state is State.STOPPED
    assert len(store.folders(workspace)) == runs + 6
    return found


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Workspace.open(Path(folder)), runs)
    print_result(
        "runner_tick",
        "ms a tick",
        found["waiting"],
        None,
        None,
        no_peer="nothing else does it",
        **found,
    )


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:] if argument != "--smoke"]
    main(50 if "--smoke" in sys.argv else [*sizes, RUNS][0])
