"""Several processes that train one run together, each on its card: every step's rows are shared out among them.

The worker is the first of them and starts the others with the variables that `accelerate launch` sets. Each holds
the whole model, or its part of it (sharding.py); after its rows of a step the gradients are added up, so that all
take the same step: what is learned is what one process learns with as many more micro batches. Only the first one
tells and saves. The others read the run's spec from their standard input and end when it closes: they never outlive
the worker.
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
from typing import Any, NoReturn, Protocol

from backend.errors import BadSetting, OutOfMemory, TrainingFailed
from backend.hardware import container
from backend.hardware.gpus import most_free_first
from backend.records.specs import RunSpec, TrainSettings
from backend.settings import child_environment
from backend.training.distributed import sharding
from backend.training.distributed.collective import ALONE, Team
from backend.training.oom import out_of_memory


class Member(Protocol):
    """What a team needs of the worker's side of a job."""

    folder: Path

    def fail(self, error: Exception) -> None: ...


_MEMBER = ("-m", "backend.training.distributed.worker")
_PATIENCE = timedelta(minutes=30)  # for the others: the first one answers questions and saves meanwhile
_TO_START = timedelta(minutes=3)  # until all have loaded torch
_TO_END = 60.0  # seconds for the others after the last step
_TO_FOLLOW = 5.0  # seconds for another process to be gone when its connection is
_TO_NOTICE = 60.0  # seconds for this process to fail by itself when another one has: on cards it waits for ever
SHORT_OF_MEMORY = 77  # exit code of another process
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_FAILED = (
    "One of the processes that trained together has failed.",
    "What went wrong is in the file log.txt of this run.",
    "Set num_processes to 1, or resume the run.",
)


@contextmanager
def gathered(context: Member, spec: RunSpec, cards: Sequence[str]) -> Iterator[Team]:
    """The team of a run; the first process starts the others, watches them, and waits for them at the end.

    Raises TrainingFailed when one of the others failed, OutOfMemory when it ran out of it. Where this process does
    not notice, waiting for one that is gone, the attempt ends with that error and so does the process.
    """
    size = spec.settings.num_processes
    if size == 1:
        yield ALONE
        return
    rank = int(os.environ.get("RANK", 0))
    others = [] if "RANK" in os.environ else _start(context.folder, spec, size, cards)
    team = Team(rank, size, spec.settings.sharding != "none")
    try:
        _connect(rank, size)
        for other in others:
            threading.Thread(target=_watch, args=(other, team, context), daemon=True).start()
        yield team
        for other in others:
            other.wait(_TO_END)
    except OutOfMemory:
        raise
    except Exception as error:
        codes = [_code(other) for other in others]
        if any(codes):
            raise _failure(codes) from error
        raise
    finally:
        team.over.set()
        _leave(others)


def _code(other: subprocess.Popen[bytes]) -> int:
    """The exit code of `other`, 0 where it goes on."""
    try:
        return other.wait(_TO_FOLLOW)
    except subprocess.TimeoutExpired:
        return 0


def _watch(other: subprocess.Popen[bytes], team: Team, context: Member) -> None:
    """Ends the attempt, and this process, when `other` has failed and the rest of the team waits for it."""
    if other.wait() and not team.over.wait(_TO_NOTICE):
        context.fail(_failure([other.returncode]))


def _failure(codes: Sequence[int]) -> OutOfMemory | TrainingFailed:
    """What the exit codes of the others say."""
    return out_of_memory() if SHORT_OF_MEMORY in codes else TrainingFailed(*_FAILED)


def cards() -> list[str]:
    """The NVIDIA cards that this process may use, as CUDA_VISIBLE_DEVICES names them, by free memory where it names
    none; asked without torch."""
    there = most_free_first()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None or not there:
        return there
    return [card.strip() for card in named.split(",") if card.strip()]


def refuse(settings: TrainSettings, cards: Sequence[str]) -> None:
    """Raises BadSetting when the processes asked for have no card, core or rows of their own. Asked once, by the
    first of them."""
    sharding.refuse(settings)
    count = settings.num_processes
    if count == 1 or "RANK" in os.environ:
        return
    places = len(cards) or container.cores()
    if count > min(places, settings.effective_batch):
        raise BadSetting(
            f"{count} processes can't train together here.",
            f"There are {places} {'cards' if cards else 'cores'} and {settings.effective_batch} examples a step.",
            "Set num_processes to 1.",
        )
    if settings.trainer == "dpo":
        raise BadSetting(
            "Pairs of answers (DPO) are trained by one process.",
            "Only trainings on single answers can be shared out.",
            "Set num_processes to 1.",
        )


def _start(folder: Path, spec: RunSpec, size: int, cards: Sequence[str]) -> list[subprocess.Popen[bytes]]:
    """Starts the other processes, each with its own card, and sets this one's variables."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": "0"}
    others = []
    for rank in range(1, size):
        own = {"RANK": str(rank), **({"CUDA_VISIBLE_DEVICES": cards[rank]} if cards else {})}
        other = subprocess.Popen(
            [sys.executable, *_MEMBER, str(folder)],
            env={**child_environment(), **shared, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
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
    store = dist.TCPStore(host, port, size, rank == 0, timeout=_TO_START)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    _forget()  # else the trainer would add up gradients once more


def _leave(others: Sequence[subprocess.Popen[bytes]]) -> None:
    import torch.distributed as dist

    for other in others:
        if other.poll() is None:
            other.kill()
        assert other.stdin is not None
        other.stdin.close()
        other.wait()
    if dist.is_initialized():
        dist.destroy_process_group()
    if others:
        _forget()


def _forget() -> None:
    for name in _VARIABLES:
        os.environ.pop(name, None)


@dataclass
class Silent:
    """Stands in for the worker's context in processes that tell nothing; whoever began them stops them."""

    folder: Path
    spec: dict[str, Any]
    attempt: int = 1
    short_of_memory: bool = False

    def emit(self, kind: str, **data: Any) -> None: ...
    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None: ...
    def alive(self) -> None: ...
    def fail(self, error: Exception) -> None: ...
    def should_stop(self) -> bool:
        return False


def end(code: int) -> NoReturn:
    """Ends this process with `code`, without the interpreter's own end, once all it has printed is out.

    A divided model keeps its process group, whose threads give tensors back after the last step; one that asks for
    the interpreter's lock while it ends aborts the process ("terminate called without an active exception": seen
    with torch 2.13 where that thread was held up until then). The first process goes on for seconds, to save and to
    prove, so that nothing waits when it ends.
    """
    try:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def joined(folder: Path) -> Silent:
    """The work of another process: reads the spec, and ends this process when the first one is gone."""
    line = sys.stdin.buffer.readline()

    def until_alone() -> None:
        os.read(sys.stdin.fileno(), 1)  # blocks until the other end is closed
        os._exit(1)

    threading.Thread(target=until_alone, daemon=True).start()
    return Silent(folder, json.loads(line))
