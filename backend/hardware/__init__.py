"""This machine: `probe` finds out what it has, `load_hardware` reads another one from a file.

probing.py     all of it, and in sentences          container.py    limits of a container on cores and memory
cards.py       NVIDIA cards, through the driver     torch_build.py  whether torch was built for the card
"""

from backend.hardware.probe import Probe, describe, disk_free_mib, format_gb, load_hardware, memory_mib, probe

__all__ = ["Probe", "describe", "disk_free_mib", "format_gb", "load_hardware", "memory_mib", "probe"]
