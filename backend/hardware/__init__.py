"""This machine: `probe` reads what it has, `load_hardware` reads another machine from a file.

probe.py        everything, also in sentences
gpus.py         NVIDIA GPUs, through the driver
gpu_choice.py   which of them trains, or why none
gpu_memory.py   the memory of the one that computes
memory.py       the computer's memory
container.py    limits of a container on cores and memory
torch_build.py  what the installed torch was built for
benchmark.py    this machine's speed, measured
keep_awake.py   no sleep while a block runs
process.py      the environment of a process that computes
"""

from backend.hardware.memory import memory_mib
from backend.hardware.probe import Probe, describe, disk_free_mib, load_hardware, probe

__all__ = ["Probe", "describe", "disk_free_mib", "load_hardware", "memory_mib", "probe"]
