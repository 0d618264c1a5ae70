"""Every part of an estimate of the memory has words for the page."""

from __future__ import annotations

from backend.estimate import Plan
from backend.estimate.memory import memory
from backend.models import catalogue
from backend.records.machine import Gpu, Hardware
from ui.text.memory_parts import PARTS

SMALL = catalogue.default().architecture
CARD = Gpu(name="RTX 3090", memory_total_mib=24576, memory_free_mib=24000, compute_capability=(8, 6))


def test_every_part_of_the_memory_has_its_words_and_its_source() -> None:
    plans = [
        (Plan(method=method, precision=precision, fp32_norms=method == "qlora"), hardware)
        for method in ("lora", "qlora", "full")
        for precision in ("bf16", "fp32")
        for hardware in (Hardware(), Hardware(unified_memory=True), Hardware(gpus=(CARD,)))
    ]
    parts = {name for plan, hardware in plans for name in memory(SMALL, plan, hardware).parts}  # type: ignore[arg-type]
    assert parts == set(PARTS)
    assert all(part.name and part.source for part in PARTS.values())
