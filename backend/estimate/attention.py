"""Attention on a `Tape`, by implementation: the tensors that are saved, and those of
the gradient.

Sources: transformers' `eager_attention_forward` and sdpa_attention.py;
ATen/native/cuda/SoftMax.cu (the fused half-to-float softmax, and the product that its
gradient computes first); ATen/native/transformers/cuda/attention.cu and
attention_backward.cu for the memory-efficient kernel; Dao, FlashAttention-2 (2023) for
the flash kernel.
"""

from backend.estimate.operations import FLOAT, cast, copy, repeat, scale
from backend.estimate.tape import Tape, Tensor


def eager(
    tape: Tape, q: Tensor, k: Tensor, v: Tensor, groups: int, batch: int, scores: int
) -> tuple[Tensor, Tensor]:
    """The output and the attention weights (which transformers also returns). q, k and
    v are transposed, so that a batch of more than one row has to be made contiguous.

    groups: query heads for each head of keys and values
    scores: numbers in the score matrices
    """
    given, many = q.width, batch > 1
    k, v = (repeat(tape, k, groups), repeat(tape, v, groups)) if groups > 1 else (k, v)
    k_turned = copy(tape, k) if many and groups == 1 else k
    weights = _product(tape, copy(tape, q) if many else q, k_turned, scores)
    del k_turned
    weights = scale(tape, weights)
    weights = copy(tape, weights)  # the mask is added
    weights = cast(tape, _softmax(tape, weights), given)
    out = _product(tape, weights, copy(tape, v) if many and groups == 1 else v, q.count)
    return copy(tape, out, back=many), weights


def fused(
    tape: Tape, q: Tensor, k: Tensor, v: Tensor, groups: int, flash: bool
) -> Tensor:
    """Attention without score matrices: `sdpa`'s memory-efficient kernel, or
    FlashAttention-2 (`flash`), which supports `groups`: query heads for each head of
    keys and values.
    """
    if groups > 1 and not flash:
        k, v = repeat(tape, k, groups), repeat(tape, v, groups)
    out = tape.new(q.count, q.width)
    counts = q.count, k.count, v.count
    return tape.record(
        out,
        [q, k, v],
        [q, k, v, out],
        lambda g: [tape.new(count, g.width) for count in counts],
    )


def _product(tape: Tape, a: Tensor, b: Tensor, count: int) -> Tensor:
    counts = a.count, b.count

    def backward(g: Tensor) -> list[Tensor | None]:
        of_b = tape.new(counts[1], g.width)
        return [tape.new(counts[0], g.width), of_b]

    return tape.record((count, a.width), [a, b], [a, b], backward)


def _softmax(tape: Tape, x: Tensor) -> Tensor:
    out = tape.new(x.count, FLOAT)
    width = x.width

    def backward(g: Tensor) -> list[Tensor | None]:
        result = tape.new(g.count, width)
        product = tape.new(g.count, FLOAT)
        del product
        return [result]

    return tape.record(out, [x], [out], backward)
