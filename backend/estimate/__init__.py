"""Estimates what training needs, before anything is loaded: peak memory by part,
whether it fits, and the time.

Decision: Memory is simulated, not fitted: a step is run with tensors that have a size
    but no content, through a copy of PyTorch's allocator.
Because: a formula fitted to measurements fails on the next model. Where a kind of model
    is not modeled, the estimate says "unknown" and the dry run decides.
Proof: tests/benchmarks/memory_estimate.py (61 published measurements of a T4),
    memory_on_processor.py.
Reconsider when: dry runs are quick enough to replace it. Expandable segments, which
    NVIDIA GPUs use on Linux, are not simulated.

Decision: An estimate advises: only weights that don't fit prevent a run.
Because: an estimate that is too high would refuse what works.
Proof: tests/ui/services/training/test_planning.py.
Reconsider when: dry runs show that estimates are never too high.
"""

from typing import Any

from backend.estimate.architecture import Architecture
from backend.estimate.memory import Fit, Memory, fit, memory
from backend.estimate.plan import Plan, plan_from
from backend.estimate.speed import Rates, Time, time
from backend.gc_pause import without_gc
from backend.records.base import Record
from backend.records.machine import Hardware

__all__ = [
    "Architecture",
    "Estimate",
    "Fit",
    "Memory",
    "Plan",
    "Rates",
    "Time",
    "estimate",
    "plan_from",
]


class Estimate(Record):
    """Memory, fit and time (None if this machine's speed is unknown)."""

    model: str
    memory: Memory
    fit: Fit
    time: Time | None

    def to_json(self) -> dict[str, Any]:
        """The keys of `estimate --json`."""
        return {
            "model": self.model,
            "memory": self.memory.to_json(),
            "fits": self.fit.fits,
            "fit": self.fit.badge,
            "needs_mib": round(self.fit.needs_mib, 1),
            "has_mib": round(self.fit.has_mib, 1),
            "time": self.time.to_json() if self.time else None,
        }


def estimate(
    architecture: Architecture,
    plan: Plan,
    hardware: Hardware,
    *,
    tokens: float | None = None,
    rates: Rates | None = None,
    quick: bool = False,
) -> Estimate:
    """The memory and time that training `architecture` by `plan` needs on `hardware`,
    and whether it fits.

    tokens: in the training data over all epochs; if None, the time is for one million
        tokens
    rates: this machine's measured speed (`backend.hardware.benchmark.load_rates`), if
        any
    quick: see `step.peak`
    """
    with without_gc():
        peak = memory(architecture, plan, hardware, quick)
        duration = time(
            architecture, plan, hardware, 1e6 if tokens is None else tokens, rates
        )
    fits = fit(peak, hardware, architecture.is_modeled)
    return Estimate(model=architecture.name, memory=peak, fit=fits, time=duration)
