"""The operations of a transformer on a `Tape`: the tensors that each creates and saves,
and those of its gradient.

They follow torch/csrc/autograd (derivatives.yaml), bitsandbytes/autograd/_functions.py
(MatMul4Bit) and, on a GPU, ATen/native/cuda (SoftMax.cu, transformers/attention.cu).
Values per token or head (means, log-sums) are left out: they are thousands of times
smaller than a layer's input.
"""

from dataclasses import dataclass
from functools import partial

from backend.estimate.tape import Backward, Tape, Tensor

FLOAT = 4  # bytes


@dataclass
class Weight:
    """A matrix of `outputs` x `inputs`, `width` bytes per number; frozen, 4-bit
    (`packed`) or trained (`tensor` set).
    """

    outputs: int
    inputs: int
    width: int
    packed: bool = False
    tensor: Tensor | None = None

    @property
    def count(self) -> int:
        return self.outputs * self.inputs

    @property
    def learns(self) -> bool:
        return self.tensor is not None and self.tensor.node is not None


def cast(tape: Tape, x: Tensor, width: int) -> Tensor:
    """x.to(dtype): the same tensor if nothing changes."""
    if x.width == width:
        return x
    back = x.width
    return tape.record(
        tape.new(x.count, width), [x], [], lambda g: [tape.new(g.count, back)]
    )


def copy(tape: Tape, x: Tensor, back: bool = False) -> Tensor:
    """A contiguous copy, such as of a transposed tensor. back: the gradient is copied
    too.
    """
    return tape.record(tape.new(x.count, x.width), [x], [], _passing(tape, back))


def view(tape: Tape, x: Tensor, back: bool) -> Tensor:
    """Another view of the same memory. back: the gradient is copied."""
    return (
        tape.record(Tensor(x.storage, x.count, x.width), [x], [], _passing(tape, back))
        if back
        else x
    )


def _passing(tape: Tape, copied: bool) -> Backward:
    return lambda g: [tape.new(g.count, g.width) if copied else g]


def repeat(tape: Tape, x: Tensor, times: int) -> Tensor:
    """Repeats key or value heads for the query heads of their group; the gradient is
    their sum.
    """
    size = x.count
    return tape.record(
        tape.new(x.count * times, x.width), [x], [], lambda g: [tape.new(size, g.width)]
    )


def add(tape: Tape, a: Tensor, b: Tensor) -> Tensor:
    """a + b, in the wider of the two types; the gradient is passed on, cast if
    necessary.
    """
    wide = max(a.width, b.width)
    widths = [(tensor.width, tensor.node is not None) for tensor in (a, b)]

    def backward(g: Tensor) -> list[Tensor | None]:
        return [
            (g if width == g.width else tape.new(g.count, width)) if needed else None
            for width, needed in widths
        ]

    return tape.record(tape.new(a.count, wide), [a, b], [], backward)


def scale(tape: Tape, x: Tensor) -> Tensor:
    """x times a number, or times a frozen vector."""
    return _pointwise(tape, x, None)


def activate(tape: Tape, x: Tensor) -> Tensor:
    """SiLU, GELU or tanh."""
    return _pointwise(tape, x, x)


def sigmoid(tape: Tape, x: Tensor) -> Tensor:
    """Its gradient needs its result."""
    out = tape.new(x.count, x.width)
    return tape.record(out, [x], [out], lambda g: [tape.new(g.count, g.width)])


def part(tape: Tape, x: Tensor, parts: int, whole: bool) -> Tensor:
    """A view of one of the equal `parts` of x. The part with `whole` set creates the
    gradient of x.
    """
    count, width = x.count, x.width
    out = Tensor(x.storage, count // parts, width)
    return tape.record(
        out, [x], [], lambda g: [tape.new(count, width) if whole else None]
    )


def _pointwise(tape: Tape, x: Tensor, needed: Tensor | None) -> Tensor:
    return tape.record(
        (x.count, x.width), [x], [needed], lambda g: [tape.new(g.count, g.width)]
    )


def multiply(tape: Tape, a: Tensor, b: Tensor) -> Tensor:
    """a * b, element-wise, in the wider of the two types."""
    widths = a.width, b.width
    out = tape.new(a.count, max(widths))
    return tape.record(
        out, [a, b], [a, b], lambda g: [tape.new(g.count, width) for width in widths]
    )


def convolve(tape: Tape, x: Tensor, weight: Weight) -> Tensor:
    """LFM2's gated short convolution (modeling_lfm2.py): C * conv(B * h) for x = (B, C,
    h) side by side. The parts are views of x. The product is saved for the convolution,
    and its result for the gate. The gradient of x is assembled from those of its parts.
    """
    count, width = x.count // 3, x.width
    product = tape.new(count, width)
    convolved = tape.new(count, width)
    out = tape.new(count, width)
    learns, x_count = weight.learns, x.count

    def backward(g: Tensor) -> list[Tensor | None]:
        of_gate, of_convolved = tape.new(count, g.width), tape.new(count, g.width)
        of_product = tape.new(count, g.width)
        of_weight = tape.new(weight.count, weight.width) if learns else None
        del of_convolved
        of_factors = [tape.new(count, g.width) for _ in range(2)]
        del of_product
        whole = tape.new(x_count, g.width)
        del of_gate, of_factors
        return [whole, of_weight]

    return tape.record(out, [x, weight.tensor], [x, product, convolved], backward)


def norm(tape: Tape, x: Tensor, weight: Weight, wide: bool = False) -> Tensor:
    """RMSNorm as in transformers: in fp32, back to x's width, times the weight (`wide`:
    before the cast).
    """
    normal = _normalize(tape, cast(tape, x, FLOAT))
    weighted = (
        partial(apply_weight, tape, weight=weight)
        if weight.learns
        else partial(scale, tape)
    )
    if wide:
        return cast(tape, weighted(normal), x.width)
    return weighted(cast(tape, normal, x.width))


def _normalize(tape: Tape, x: Tensor) -> Tensor:
    def of_square(g: Tensor) -> list[Tensor | None]:
        spread, power, doubled = (tape.new(size, FLOAT) for _ in range(3))
        result = tape.new(size, FLOAT)
        del spread, power, doubled
        return [result]

    def of_scaling(g: Tensor) -> list[Tensor | None]:
        of_root = tape.new(g.count, FLOAT)
        of_x = tape.new(g.count, FLOAT)
        del of_root
        return [of_x, tape.new(1, FLOAT)]

    size = x.count
    square = tape.record((x.count, FLOAT), [x], [x], of_square)
    root = tape.record(tape.new(1, FLOAT), [square], [], lambda g: [g])
    del square
    return tape.record((x.count, FLOAT), [x, root], [x], of_scaling)


def apply_weight(
    tape: Tape, x: Tensor, weight: Weight, width: int | None = None
) -> Tensor:
    """x times a trainable vector. width: of the result; None for x's."""
    given = x.width

    def backward(g: Tensor) -> list[Tensor | None]:
        of_x = tape.new(g.count, g.width)
        product = tape.new(g.count, g.width)
        of_weight = tape.new(weight.count, weight.width)
        del product
        return [cast(tape, of_x, given), of_weight]

    return tape.record(
        (x.count, width or given), [x, weight.tensor], [x, None], backward
    )


def rotate(tape: Tape, x: Tensor) -> Tensor:
    """Rotary position embedding: x * cos + rotate_half(x) * sin."""

    def of_halves(g: Tensor) -> list[Tensor | None]:
        half = tape.new(g.count // 2, g.width)
        first = tape.new(g.count, g.width)
        del half
        second = tape.new(g.count, g.width)
        total = tape.new(g.count, g.width)
        del first, second
        return [total]

    straight = scale(tape, x)
    half = tape.new(x.count // 2, x.width)
    turned = tape.new(x.count, x.width)
    del half
    crossed = scale(tape, tape.record(turned, [x], [], of_halves))
    del turned
    return add(tape, straight, crossed)


def linear(tape: Tape, x: Tensor, weight: Weight) -> Tensor:
    """x @ weight.T, for any `Weight`. The result has the width of x."""
    if weight.packed:
        return _linear_4bit(tape, x, weight)
    learns, needs = weight.learns, x.node is not None
    into, out = x.count, x.count // weight.inputs * weight.outputs

    def backward(g: Tensor) -> list[Tensor | None]:
        of_weight = tape.new(weight.count, weight.width) if learns else None
        return [of_weight, tape.new(into, g.width) if needs else None]

    needed = [tensor for tensor, is_needed in ((x, learns), (None, needs)) if is_needed]
    return tape.record((out, x.width), [weight.tensor, x], needed, backward)


def _linear_4bit(tape: Tape, x: Tensor, weight: Weight) -> Tensor:
    given = x.width
    x = cast(tape, x, weight.width)
    rows = x.count // weight.inputs
    opened = tape.new(weight.count, weight.width)
    out = tape.new(rows * weight.outputs, weight.width)
    del opened

    def backward(g: Tensor) -> list[Tensor | None]:
        opened = tape.new(weight.count, weight.width)
        result = tape.new(rows * weight.inputs, g.width)
        del opened
        return [result]

    return cast(tape, tape.record(out, [x], [], backward), given)


def linear_widened(tape: Tape, x: Tensor, weight: Weight, width: int) -> Tensor:
    """`linear` under autocast with an fp32 weight: input and weight are cast to `width`
    first. The copy of the weight stays until the backward pass has used it.
    """
    x = cast(tape, x, width)
    narrow = tape.new(weight.count, width)
    out = x.count // weight.inputs * weight.outputs
    into, needs = x.count, x.node is not None

    def backward(g: Tensor) -> list[Tensor | None]:
        of_narrow = tape.new(weight.count, width)
        of_x = tape.new(into, width) if needs else None
        of_weight = tape.new(weight.count, weight.width)
        del of_narrow
        return [of_weight, of_x]

    return tape.record((out, width), [weight.tensor, x], [x, narrow], backward)


def linear_adapted(
    tape: Tape, x: Tensor, weight: Weight, first: Weight, second: Weight
) -> Tensor:
    """A frozen linear layer fused with its adapter (backend/training/fused_lora.py):
    one output, one gradient.
    """
    rows = x.count // weight.inputs
    narrow = tape.new(rows * first.outputs, x.width)
    out = tape.new(rows * weight.outputs, x.width)
    into, needs = x.count, x.node is not None

    def backward(g: Tensor) -> list[Tensor | None]:
        through = tape.new(rows * first.outputs, g.width)
        for_first, for_second = (
            tape.new(first.count, FLOAT),
            tape.new(second.count, FLOAT),
        )
        of_x = tape.new(into, g.width) if needs else None
        del through
        return [for_first, for_second, of_x]

    return tape.record(out, [first.tensor, second.tensor, x], [x, narrow], backward)
