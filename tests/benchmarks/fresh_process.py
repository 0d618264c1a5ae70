"""Calls a function in a fresh process, so that the imports and memory of other measurements don't count."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from backend.hardware.process import prepare_process

P = ParamSpec("P")
R = TypeVar("R")


def in_fresh_process(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """What the function returns or raises there: offline, with sleeping idle threads, a low priority and no output.

    A smoke run, which measures nothing, is the fork of a process that has imported torch (test_smoke.py); so is this
    process then.
    """
    method = "fork" if multiprocessing.parent_process() else "spawn"
    with ProcessPoolExecutor(1, multiprocessing.get_context(method), initializer=_prepare) as pool:
        return pool.submit(function, *arguments, **named).result()


def _prepare() -> None:
    prepare_process()
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
