"""What this machine has, and how fast it is. `probe` reads it; `load_hardware` reads
another machine's from a file.

Decision: One function chooses the GPU, and every process that computes sees that GPU
    only. A GPU that could train but for something that a person can change blocks
    training.
Because: nobody should get the processor by surprise, and doctor, page, plan and run
    must agree.
Proof: tests/backend/hardware/test_gpu_choice.py; docs/hardware.md is made from
    simulated machines, none of them real.
Reconsider when: a real machine contradicts the table.

Decision: This computer's speed is measured again after an hour, and the fastest of the
    last measurements counts.
Because: other programs can only slow a measurement down.
Proof: tests/backend/hardware/test_benchmark.py, tests/benchmarks/training_time.py.
Reconsider when: a computer gets slower for good, for example by a power setting.

Decision: A run keeps the computer awake where the system allows it. Whatever does that
    ends with the worker, and a failure stops nothing.
Because: runs take hours, and a laptop falls asleep after minutes.
Proof: tests/backend/hardware/test_keep_awake.py; nothing of it has run on Windows or
    macOS.
Reconsider when: a small package holds the same on all three systems.
"""

from backend.hardware.probe import Probe, describe, disk_free_mib, load_hardware, probe

__all__ = ["Probe", "describe", "disk_free_mib", "load_hardware", "probe"]
