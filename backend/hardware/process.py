"""The environment of a process that computes, set before torch is imported."""

from __future__ import annotations

import os
import sys

from backend.hardware.gpus import most_free_first

_NICENESS = 10  # the page and other programs come first


def prepare_process(gpu: str = "") -> None:
    """Before torch is imported: no network, one GPU, idle threads that sleep, nothing compiled, and a low priority.

    gpu: its index in PCI bus order, "" for the one with the most free memory. A CUDA_VISIBLE_DEVICES that is already
    set is left alone. OpenMP's default (idle threads spin) made a step over ten times slower when other processes
    were busy. Importing bitsandbytes otherwise loads torch's compiler, which takes a second and is not used here.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        chosen = gpu or next(iter(most_free_first()), "0")
        os.environ.update(CUDA_DEVICE_ORDER="PCI_BUS_ID", CUDA_VISIBLE_DEVICES=chosen)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    _lower_priority()


def _lower_priority() -> None:
    import psutil

    process = psutil.Process()
    try:
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        elif process.nice() < _NICENESS:
            process.nice(_NICENESS)
    except psutil.Error:
        pass  # not allowed: training then merely competes with the page
