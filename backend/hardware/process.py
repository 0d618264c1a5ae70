"""What a process that computes sets before torch is imported."""

from __future__ import annotations

import os
import sys

from backend.hardware.gpus import most_free_first

_POLITE = 10  # niceness: the page and other programs come first


def prepare_process(card: str = "") -> None:
    """Before torch is imported: no network, one card, idle threads that sleep, and a low priority.

    card: its number in the order of the bus, "" for the one with the most free memory. Cards that the environment
    names already are left as they are.
    With other busy processes the default of OpenMP (idle threads spin) made a step take over ten times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        chosen = card or next(iter(most_free_first()), "0")
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
        elif process.nice() < _POLITE:
            process.nice(_POLITE)
    except psutil.Error:
        pass  # not allowed here: training then competes with the page, nothing else
