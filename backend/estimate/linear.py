"""Linear layers on a `Tape`: plain, 4-bit, full fine-tuning under autocast, and with an adapter."""

from backend.estimate.operations import FLOAT, Weight, cast
from backend.estimate.tape import Tape, Tensor


def linear(tape: Tape, x: Tensor, weight: Weight) -> Tensor:
    """x @ weight.T, for any `Weight`. The result has the width of x."""
    if weight.packed:
        return _linear_4bit(tape, x, weight)
    learns, needs = weight.learns, x.node is not None
    saved = [tape.save(tensor) for tensor, needed in ((x, learns), (None, needs)) if needed]
    out = tape.new(x.count // weight.inputs * weight.outputs, x.width)
    if not saved:
        return out
    into = x.count

    def backward(g: Tensor, _: list[Tensor]) -> list[Tensor | None]:
        of_weight = tape.new(weight.count, weight.width) if learns else None
        return [of_weight, tape.new(into, g.width) if needs else None]

    return tape.record(out, [weight.tensor, x], saved, backward)


def _linear_4bit(tape: Tape, x: Tensor, weight: Weight) -> Tensor:
    given = x.width
    x = cast(tape, x, weight.width)
    rows = x.count // weight.inputs
    opened = tape.new(weight.count, weight.width)
    out = tape.new(rows * weight.outputs, weight.width)
    del opened
    if x.node is not None:

        def backward(g: Tensor, _: list[Tensor]) -> list[Tensor | None]:
            opened = tape.new(weight.count, weight.width)
            result = tape.new(rows * weight.inputs, g.width)
            del opened
            return [result]

        out = tape.record(out, [x], [], backward)
    return cast(tape, out, given)


def linear_widened(tape: Tape, x: Tensor, weight: Weight, width: int) -> Tensor:
    """`linear` under autocast with an fp32 weight: input and weight are cast to `width` first. The copy of the weight
    stays until the backward pass has used it."""
    x = cast(tape, x, width)
    narrow = tape.new(weight.count, width)
    saved = [tape.save(x), tape.save(narrow)]
    out = tape.new(x.count // weight.inputs * weight.outputs, width)
    into, needs = x.count, x.node is not None

    def backward(g: Tensor, _: list[Tensor]) -> list[Tensor | None]:
        of_narrow = tape.new(weight.count, width)
        of_x = tape.new(into, width) if needs else None
        of_weight = tape.new(weight.count, weight.width)
        del of_narrow
        return [of_weight, of_x]

    return tape.record(out, [weight.tensor, x], saved, backward)


def linear_adapted(tape: Tape, x: Tensor, weight: Weight, first: Weight, second: Weight) -> Tensor:
    """A frozen linear layer fused with its adapter (backend/training/fused_lora.py): one output, one gradient."""
    rows = x.count // weight.inputs
    narrow = tape.new(rows * first.outputs, x.width)
    out = tape.new(rows * weight.outputs, x.width)
    saved = [tape.save(x), tape.save(narrow)]
    into, needs = x.count, x.node is not None

    def backward(g: Tensor, _: list[Tensor]) -> list[Tensor | None]:
        through = tape.new(rows * first.outputs, g.width)
        for_first, for_second = tape.new(first.count, FLOAT), tape.new(second.count, FLOAT)
        of_x = tape.new(into, g.width) if needs else None
        del through
        return [for_first, for_second, of_x]

    return tape.record(out, [first.tensor, second.tensor, x], saved, backward)
