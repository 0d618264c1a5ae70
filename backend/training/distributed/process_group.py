"""Several processes that train one run together, each on its own GPU; every step's rows are shared out among them.

The job's process is rank 0. It starts the others with the variables that `accelerate launch` sets. Each holds the
whole model, or its shard of it (sharding.py). After its rows of a step the gradients are added up, so that all take
the same step: the result is that of one process with as many more micro batches. Only rank 0 reports and saves. The
others read the run's spec from standard input and end with rank 0 (backend/hardware/child_process.py).
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from backend.errors import BadSetting, OutOfMemory, TrainingFailed
from backend.hardware import child_process, container
from backend.records.events import Event
from backend.records.specs import RunSpec, TrainSettings
from backend.training.distributed import sharding
from backend.training.distributed.collective import SINGLE_PROCESS, ProcessGroup
from backend.training.oom import out_of_memory
from backend.work import Work

_WORKER = ("-m", "backend.training.distributed.worker")
_START_TIMEOUT = timedelta(minutes=3)  # until all have loaded torch
_COLLECTIVE_TIMEOUT = timedelta(minutes=30)  # rank 0 generates samples and saves while the others wait
_END_TIMEOUT = 60.0  # seconds for the others to end after the last step
_EXIT_TIMEOUT = 5.0  # seconds for another process to exit once its connection is closed
_FAILURE_TIMEOUT = 60.0  # seconds for this process to fail by itself when another has: on GPUs it waits forever
EXIT_OUT_OF_MEMORY = 77  # exit code of another process
_KILLED = -9  # SIGKILL, by a system without memory
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_FAILED = (
    "One of the processes that trained together has failed.",
    "The file log.txt of this run shows the error.",
    "Set num_processes to 1, or resume the run.",
)


@contextmanager
def running(context: Work, spec: RunSpec, gpus: Sequence[str]) -> Iterator[ProcessGroup]:
    """The process group of a run. Rank 0 starts the other processes, watches them, and waits for them at the end.

    Raises TrainingFailed when another process failed, OutOfMemory when it ran out of memory. If this process hangs
    in a call that waits for the one that failed, a thread ends the attempt with that error, and this process too.
    """
    size = spec.settings.num_processes
    if size == 1:
        yield SINGLE_PROCESS
        return
    rank = int(os.environ.get("RANK", 0))
    others = [] if "RANK" in os.environ else _start(context.folder, spec, size, gpus)
    group = ProcessGroup(rank, size, spec.settings.sharding != "none")
    try:
        _connect(rank, size)
        for other in others:
            threading.Thread(target=_watch, args=(other, group, context), daemon=True).start()
        yield group
        for other in others:
            other.wait(_END_TIMEOUT)
    except OutOfMemory:
        raise
    except Exception as error:
        codes = [_exit_code(other) for other in others]
        if any(codes):
            raise _failure(codes) from error
        raise
    finally:
        group.finished.set()
        _shut_down(others)


def _exit_code(other: subprocess.Popen[bytes]) -> int:
    """The exit code of `other`, 0 while it runs."""
    try:
        return other.wait(_EXIT_TIMEOUT)
    except subprocess.TimeoutExpired:
        return 0


def _watch(other: subprocess.Popen[bytes], group: ProcessGroup, context: Work) -> None:
    """Ends the attempt and this process when `other` has failed and the group still waits for it."""
    if other.wait() and not group.finished.wait(_FAILURE_TIMEOUT):
        context.fail(_failure([other.returncode]))


def _failure(codes: Sequence[int]) -> OutOfMemory | TrainingFailed:
    """The error that the exit codes of the others stand for."""
    return TrainingFailed(*_FAILED) if {EXIT_OUT_OF_MEMORY, _KILLED}.isdisjoint(codes) else out_of_memory()


def check(settings: TrainSettings, gpus: Sequence[str]) -> None:
    """Raises BadSetting unless each process has a GPU (or core) and rows of its own. Only rank 0 checks this."""
    sharding.check(settings)
    count = settings.num_processes
    if count == 1 or "RANK" in os.environ:
        return
    places = len(gpus) or container.cores()
    if count > min(places, settings.effective_batch):
        raise BadSetting(
            f"{count} processes can't train together here.",
            f"There are {places} {'GPUs' if gpus else 'cores'} and {settings.effective_batch} examples per step.",
            "Set num_processes to 1.",
        )
    if gpus and sys.platform == "win32":
        raise BadSetting(
            "Several graphics cards can't train together on Windows.",
            "PyTorch for Windows lacks the library (NCCL) with which they exchange what they learned.",
            "Set num_processes to 1, or use Linux.",
        )
    if settings.trainer == "dpo":
        raise BadSetting(
            "DPO runs in one process only.",
            "Only training on single answers (sft) can use several processes.",
            "Set num_processes to 1.",
        )


def _start(folder: Path, spec: RunSpec, size: int, gpus: Sequence[str]) -> list[subprocess.Popen[bytes]]:
    """Starts the other processes, each with its own GPU, and sets this one's variables."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": "0"}
    others = []
    for rank in range(1, size):
        own = {"RANK": str(rank), **({"CUDA_VISIBLE_DEVICES": gpus[rank]} if gpus else {})}
        other = child_process.start([*_WORKER, str(folder)], {**shared, **own}, stdout=subprocess.DEVNULL)
        others.append(other)
        assert other.stdin is not None
        other.stdin.write(spec.model_dump_json().encode() + b"\n")
        other.stdin.flush()
    os.environ.update(shared, RANK="0")
    return others


def _connect(rank: int, size: int) -> None:
    import torch
    import torch.distributed as dist

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    libuv = sys.platform != "win32"  # PyTorch for Windows is built without it
    store = dist.TCPStore(host, port, size, rank == 0, timeout=_START_TIMEOUT, use_libuv=libuv)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_COLLECTIVE_TIMEOUT)
    _clear_variables()  # otherwise the trainer would add up the gradients a second time


def _shut_down(others: Sequence[subprocess.Popen[bytes]]) -> None:
    import torch.distributed as dist

    for other in others:
        child_process.kill(other)
    if dist.is_initialized():
        dist.destroy_process_group()
    if others:
        _clear_variables()


def _clear_variables() -> None:
    for name in _VARIABLES:
        os.environ.pop(name, None)


@dataclass
class SilentWork:
    """A job's context for processes that report nothing and are stopped by the one that started them."""

    folder: Path
    spec: dict[str, Any]
    attempt: int = 1
    short_of_memory: bool = False

    def emit(self, event: Event) -> None: ...
    def progress(
        self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None, detail: str = ""
    ) -> None: ...
    def alive(self) -> None: ...
    def fail(self, error: Exception) -> None: ...
    def should_stop(self) -> bool:
        return False


def exit_now(code: int) -> NoReturn:
    """Exits with `code` once everything printed is flushed, skipping the interpreter's own shutdown.

    The process group of a sharded model has threads that release tensors after the last step. One that asks for the
    interpreter's lock during shutdown aborts the process ("terminate called without an active exception", seen with
    torch 2.13). Rank 0 keeps running for seconds, to save and verify, so its own shutdown is safe.
    """
    try:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def join(folder: Path) -> SilentWork:
    """The context of a process that rank 0 started: reads the spec from standard input."""
    line = sys.stdin.buffer.readline()
    child_process.end_with_parent()
    return SilentWork(folder, json.loads(line))
