"""Faults in real jobs with a tiny model: `python -m tests.faults.real_jobs KIND FAULTS
SEED`.

After each of FAULTS faults, spread over the writes of a job, ten kills at any moment,
and two jumps of the clock, an hour back (one with a kill after it), the app starts
again and the job is resumed until it is complete: what it made is, bit for bit, what it
makes without a fault.
"""

import gc
import mmap
import os
import random
import shutil
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backend import training
from backend.chat.torch_engine import NAME as TORCH
from backend.evaluation import job as evaluation
from backend.evaluation.report import REPORT
from backend.export import model_card, run_archive, take_home
from backend.files import manifest
from backend.files.json_file import read_json, write_json
from backend.models import hub, hub_token, local
from backend.models.model_folder import make_portable
from backend.records.events import StepEvent
from backend.runs.conversations import write_conversations
from backend.settings import Workspace
from backend.training import samples, session
from backend.training.state import checkpoints
from jobs import process
from jobs.records import State
from jobs.registry import JOB_TYPES, JobType
from jobs.runner import Runner
from tests.backend.models import model_hub
from tests.backend.synthetic import make_adapter
from tests.backend.tiny_run import conversations, make_model, make_run
from tests.faults import failing_disk, forked_workers
from tests.faults.failing_disk import Fault, Tally
from tests.faults.forked_workers import wait
from ui.services.machine.models import ModelImportService

SETTINGS: dict[str, Any] = {"num_train_epochs": 2, "per_device_train_batch_size": 4}
ROWS, VALIDATION, MOMENTS, HOUR = 16, 4, 10, 3600
EXPECTED: list[Any] = []
_took = [0.0]  # seconds, without a fault
_killed = [0]  # workers
_set_back = mmap.mmap(-1, 1)  # whether the clock was; for all processes
_time = time.time


class Moment(NamedTuple):
    """When a part of the time has passed, from 0 to 1, the clock is set back, or the
    worker is killed, or both.
    """

    part: float
    back: bool = False
    kill: bool = True

    def strike(self, root: Path) -> None:
        if self.back:
            for path in root.rglob("*"):  # what is written from now on is older
                with suppress(OSError):
                    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + HOUR))
            _set_back[0] = 1
            time.sleep((1 - self.part) * _took[0] / 2)
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)


class Kind(NamedTuple):
    """begin: queues the job, with what `make` made; returns its id. outcome: what it
    made.
    """

    begin: Callable[[Runner, Path], str]
    outcome: Callable[[Runner, str], Any]


def make(folder: Path) -> int:
    """A model, a run folder with its spec, the same with what was learned, and its zip
    file; done in a fork, because a worker must not inherit an open box.
    """
    model = make_model(folder / "model")
    run = make_run(folder / "run", model, rows=ROWS, validation=VALIDATION, **SETTINGS)
    write_json(folder / "run" / "spec.json", {**run.spec, "evaluate": False})
    write_conversations(folder / "run", "train", conversations(ROWS))
    write_conversations(folder / "run", "held_out", conversations(6, seed=1))
    learned = make_adapter(
        local.learned(shutil.copytree(folder / "run", folder / "learned"), "lora"),
        model,
    )
    write_json(
        folder / "learned" / "status.json",
        {"state": "completed", "result": {"best_step": 1}},
    )
    packed = folder / "packed"
    make_portable(shutil.copytree(learned, packed / "toy-adapter"), "tests/tiny")
    run_archive.write(
        packed, local.read_run(folder / "learned"), folder / "learned", "Toy", None, ""
    )
    manifest.write(packed, {})
    take_home.pack(packed, folder / "toy.zip", "toy")
    return 0


def train(context: Any) -> dict[str, Any]:
    """The job "train" without its dry run."""
    return training.run(context).to_json()


def import_model(context: Any) -> dict[str, Any]:
    """The import, as the page does it, as a job."""
    runner = Runner.__new__(
        Runner
    )  # to add a run with; the one that runs this job is in another process
    runner.workspace = context.workspace
    return {
        "run": ModelImportService(runner.workspace, runner)
        .add(Path(context.spec["file"]))
        .run_id
    }


def begin_training(runner: Runner, made: Path) -> str:
    copied = partial(shutil.copytree, made / "run", dirs_exist_ok=True)
    return runner.submit(
        "train", read_json(made / "run" / "spec.json"), "", prepare=copied
    )


def of_training(runner: Runner, job_id: str) -> tuple[Any, Any]:
    """The digest of the saved weights, and the loss of each step."""
    events = [logged.event for logged in runner.events(job_id).events]
    losses = {
        event.step: event.loss for event in events if isinstance(event, StepEvent)
    }
    return digests(local.learned(runner.folder(job_id), "lora"))[
        "adapter_model.safetensors"
    ], losses


def begin_with_run(kind: str, more: dict[str, str], runner: Runner, made: Path) -> str:
    """A job with a run that is complete."""
    copied = partial(shutil.copytree, made / "learned", dirs_exist_ok=True)
    run = runner.add_completed(
        "train", read_json(made / "run" / "spec.json"), "Toy", {"best_step": 1}, copied
    )
    return runner.submit(kind, {"run": run, **more}, kind, parent=run)


def of_evaluation(runner: Runner, job_id: str) -> Any:
    report = read_json(runner.folder(job_id) / REPORT)
    return report["answers"], report["verdict"], report["items"]


def of_export(runner: Runner, job_id: str) -> Any:
    """The checksums of all that is in the zip file, without the card, which names the
    day.
    """
    assert not (runner.folder(job_id) / "work").exists(), "left over"
    [file] = (runner.workspace.exports / job_id).iterdir()
    with zipfile.ZipFile(file) as archive:
        return {
            entry.filename: entry.CRC
            for entry in archive.infolist()
            if model_card.FILE not in entry.filename
        }


def of_import(runner: Runner, job_id: str) -> Any:
    """Of each imported run, since one that was killed after its last write may have
    made one; both are whole.
    """
    return {
        tuple(all_digests(runner.folder(job.id)).items())
        for job in runner.jobs("train")
    }


def of_download(runner: Runner, job_id: str) -> Any:
    return digests(local.workspace_folder(runner.workspace, model_hub.MODEL))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: manifest.digest(path)
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def all_digests(run: Path) -> dict[str, str]:
    return {**digests(local.learned(run, "lora")), **digests(run / "data")}


KINDS = {
    "training": Kind(begin_training, of_training),
    "evaluation": Kind(partial(begin_with_run, "evaluate", {}), of_evaluation),
    "export": Kind(partial(begin_with_run, "export", {"to": "merged"}), of_export),
    "import": Kind(
        lambda runner, made: runner.submit(
            "import", {"file": str(made / "toy.zip")}, ""
        ),
        of_import,
    ),
    "download": Kind(
        lambda runner, _: runner.submit("download", {"model": model_hub.MODEL}, ""),
        of_download,
    ),
}


def fails(
    kind: Kind,
    made: Path,
    moment: Moment | None,
    folder: Path,
    operation: int,
    fault: Fault | None,
) -> int:
    workspace, count = Workspace.open(folder / "workspace"), folder / "count"
    _set_back[0] = 0

    def arm() -> None:
        failing_disk.arm(workspace.root, operation, fault or 0)
        count.write_text(str(_time()))
        if moment:
            timer = threading.Timer(
                moment.part * _took[0], moment.strike, (workspace.root,)
            )
            timer.daemon = True
            timer.start()

    def ended() -> None:
        count.write_text(
            f"{_time() - float(count.read_text())} {failing_disk.operations()}"
        )

    forked_workers.install(arm, ended)
    runner = Runner(workspace)
    job_id = kind.begin(runner, made)
    runner.tick()
    forked_workers.install()
    if process._children[job_id, 1].wait(120) == failing_disk.KILLED:
        _killed[0] += 1
    elif moment and moment.kill:  # it was quicker than the first one
        _took[0] = float(count.read_text().split()[0])
    runner = Runner(workspace)
    assert runner.damaged() == [], "damaged"
    assert not list(workspace.runs.glob(".*")), "left over"
    job = wait(runner, job_id)
    for folder_of in checkpoints._by_step(runner.folder(job_id) / "checkpoints"):
        whole = manifest.holds(folder_of, content=True)
        assert whole == checkpoints.is_valid(folder_of, content=True), (
            "half a checkpoint counts as one"
        )
    for _ in range(3):
        if job.state.can_resume:
            assert job.failure
            runner.resume(job_id)
            job = wait(runner, job_id)
    assert job.state is State.COMPLETED, job.failure
    found = kind.outcome(runner, job_id)
    if fault is moment is None:
        EXPECTED[:] = [found]
        seconds, operations = count.read_text().split()
        _took[0] = float(seconds)
        return int(operations)
    if (
        fault is Fault.POWER_CUT and kind is KINDS["training"]
    ):  # takes the events of the last second
        found = (
            (found[0], EXPECTED[0][1])
            if found[1].items() <= EXPECTED[0][1].items()
            else found
        )
    assert found == EXPECTED[0], "another result"
    return 0


def spread(total: int, count: int, draw: random.Random) -> Iterator[tuple[Fault, int]]:
    """`count` faults: each kind at operations from each part of the job."""
    kinds = list(Fault)
    each = -(-count // len(kinds))
    for part in range(each):
        for kind in kinds:
            yield kind, min(total, 1 + int((part + draw.random()) * total / each))


def prepare_forks(patch: pytest.MonkeyPatch) -> None:
    """What each worker need not do, or does otherwise in this test."""
    from transformers.models.llama import modeling_llama  # noqa: F401
    from trl import SFTTrainer  # noqa: F401

    gc.freeze()  # so that no fork looks through the libraries' objects again
    patch.setattr(
        session, "sample_answers", partial(samples.sample_answers, new_tokens=2)
    )
    JOB_TYPES["train"] = JobType("tests.faults.real_jobs:train", "training")
    JOB_TYPES["import"] = JobType("tests.faults.real_jobs:import_model", "light")
    patch.setattr(time, "time", lambda: _time() - HOUR * _set_back[0])
    patch.setattr(
        evaluation, "choose_engine", lambda *_, **__: TORCH
    )  # llama.cpp can't read the tiny model
    patch.setattr(hub_token, "find", lambda: None)
    patch.setattr(hub, "_PAUSE", 0.0)
    model_hub.pin(patch, model_hub.COMMIT)
    patch.setenv("HF_HUB_OFFLINE", "0")


def main(name: str, count: int, seed: int) -> None:
    folder, patch, draw = (
        Path(os.environ["FAULTS_FOLDER"]),
        pytest.MonkeyPatch(),
        random.Random(seed),
    )
    code, _ = failing_disk.acknowledged(lambda say: make(folder))
    assert code == 0
    prepare_forks(patch)
    tally, check = Tally(), partial(fails, KINDS[name], folder)
    with ExitStack() as stack:
        patch.setenv(
            "HF_ENDPOINT",
            stack.enter_context(model_hub.running(model_hub.small_model())),
        )
        failing_disk.inject(tally, name, partial(check, None), faults=())
        for fault, operation in spread(tally.operations[name], count, draw):
            failing_disk.one(tally, name, partial(check, None), operation, fault)
        moments = [
            Moment(0.9 * (part + draw.random()) / MOMENTS) for part in range(MOMENTS)
        ]
        for moment in [
            *moments,
            Moment(0.5, back=True, kill=False),
            Moment(0.4, back=True),
        ]:
            tally.faults["clock" if moment.back else "moment"] += 1
            for _ in range(5):
                killed = _killed[0]
                failing_disk.one(
                    tally, f"{name}, {moment}", partial(check, moment), 0, None
                )
                if not moment.kill or _killed[0] > killed:
                    break
    tally.operations["killed"] = _killed[0]
    print(tally.as_json(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
