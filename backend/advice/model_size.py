"""The sizes of models that are sensible to train on a machine, by the guide."""

from backend.records.machine import Hardware, nvidia_gpu

# (memory in MiB, smallest and largest model in parameters), for a GPU with at least this much memory. 16 GB (T4): the
# guide's 2 to 3.8 B. The others have no lower limit.
_BY_GPU = (
    (44_000, 0, 10.0e9),
    (22_000, 0, 8.3e9),
    (14_000, 2.0e9, 3.83e9),
    (11_000, 0, 3.79e9),
    (7_000, 0, 3.83e9),
    (5_000, 0, 1.8e9),
    (0, 0, 1.3e9),
)
_BY_UNIFIED_MEMORY = ((60_000, 8.3e9), (30_000, 4.1e9), (15_000, 1.8e9), (0, 0.7e9))
_PROCESSOR = 0.7e9


def largest_sensible(hardware: Hardware) -> float:
    """The largest model, in parameters, that is sensible to train on `hardware`."""
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        return next(largest for mib, _, largest in _BY_GPU if gpu.memory_total_mib >= mib)
    if hardware.unified_memory:
        return next(largest for mib, largest in _BY_UNIFIED_MEMORY if hardware.memory_total_mib >= mib)
    return _PROCESSOR


def smallest_sensible(hardware: Hardware) -> float:
    """The smallest model, in parameters, that the guide names for `hardware`; 0 for no limit."""
    gpu = nvidia_gpu(hardware)
    return next((smallest for mib, smallest, _ in _BY_GPU if gpu and gpu.memory_total_mib >= mib), 0)
