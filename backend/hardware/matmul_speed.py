"""How fast this processor multiplies matrices in each precision, measured in under a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def bf16_speedup() -> float:
    """How many times faster this processor multiplies bf16 than float32 matrices, measured in under a second."""
    import torch

    return seconds_of_product(torch.float32) / seconds_of_product(torch.bfloat16)


def seconds_of_product(dtype: torch.dtype) -> float:
    """Seconds of one matrix product as in a small model's step (512 x 576 by 576 x 1536), the best in 0.2 seconds."""
    import torch

    left, right = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
    best, until = float("inf"), time.perf_counter() + 0.2
    while time.perf_counter() < until or best == float("inf"):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return best


def seconds_of_four_bit(compute: torch.dtype) -> float:
    """Seconds of one product with a 4-bit matrix and its gradient, computed in `compute`; the best of three. Measured
    because some builds of bitsandbytes are ten times slower in bf16 on a processor."""
    import torch
    from bitsandbytes.nn import Linear4bit

    layer = Linear4bit(576, 1536, bias=False, compute_dtype=compute, quant_type="nf4").to("cpu")
    best = float("inf")
    for _ in range(3):
        inputs = torch.ones(256, 576, dtype=compute, requires_grad=True)
        start = time.perf_counter()
        layer(inputs).sum().backward()
        best = min(best, time.perf_counter() - start)
    return best
