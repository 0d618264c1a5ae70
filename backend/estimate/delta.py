"""Qwen3.5's gated delta net on a `Tape`: the tensors that are saved, and those of the
gradient.

Source: transformers 5.24 `modeling_qwen3_5.py` without the packages fla and
causal-conv1d: in fp32, except for products under autocast, and in chunks of 64 tokens,
which are simulated as one step. Values per token and head (decays, betas, norms) are
left out.
"""

from functools import partial

from backend.estimate.architecture import Architecture
from backend.estimate.operations import (
    FLOAT,
    Weight,
    activate,
    cast,
    copy,
    multiply,
    norm,
    scale,
)
from backend.estimate.plan import Plan
from backend.estimate.tape import Tape, Tensor

_CHUNK = 64


def convolve(tape: Tape, x: Tensor, weight: Weight) -> Tensor:
    """A convolution of each channel over its last tokens. The kernel first reorders x
    from tokens to channels.
    """
    count, width = x.count, x.width
    ordered = tape.new(count, width)
    out = tape.new(count, width)
    del ordered
    learns = weight.learns

    def backward(g: Tensor) -> list[Tensor | None]:
        ordered = tape.new(count, width)
        of_x = tape.new(count, width)
        del ordered
        return [of_x, tape.new(weight.count, weight.width) if learns else None]

    return tape.record(out, [x, weight.tensor], [x], backward)


def rule(tape: Tape, shape: Architecture, plan: Plan, mixed: Tensor) -> Tensor:
    """The gated delta rule: the output for the queries, keys and values side by side in
    `mixed`.
    """
    assert shape.delta_heads is not None
    heads, dim = shape.delta_heads[1], shape.delta_dim
    chunks = plan.batch * -(-plan.max_tokens // _CHUNK)
    wide, square = (chunks * _CHUNK * heads * size for size in (dim, _CHUNK))
    step, narrow = (
        partial(_step, tape),
        partial(cast, tape, width=FLOAT if plan.full_logits else plan.width),
    )

    query, key, value = (
        _part(tape, mixed, plan.tokens * heads * dim, last)
        for last in (False, False, True)
    )
    query, key = (step(x.count, [x], [x], x.count) for x in (query, key))  # normalized
    query = scale(tape, query)
    query, key, value = (
        step(wide, [x], []) for x in (query, key, value)
    )  # padded to full chunks
    new, old = step(wide, [value], [value], wide), step(wide, [key], [key], wide)
    decay = step(square, [], [], square)
    decay = step(square, [decay], [decay], square)
    ordered = partial(copy, tape) if mixed.width == FLOAT else narrow
    system = multiply(tape, _product(tape, ordered(old), ordered(key), square), decay)
    inner = multiply(tape, _product(tape, ordered(query), ordered(key), square), decay)
    decayed = step(wide, [old], [old], wide)
    values, keys = _solve(tape, system, new), _solve(tape, system, decayed)
    query, key = (step(wide, [x], [x], wide) for x in (query, key))
    state, change = (
        tape.new(count, FLOAT) for count in (chunks * heads * dim * dim, wide)
    )
    narrowed = [narrow(x) for x in (keys, query, key, inner)]
    kept = [*narrowed, state, *(narrow(x) for x in (state, state, change, change))]
    out = step(wide, [values, *narrowed], kept, 2 * wide)
    del kept
    padded, result = (
        out.count,
        tape.new(plan.tokens * heads * dim, mixed.width),
    )  # without the padding
    return tape.record(result, [out], [], lambda g: [tape.new(padded, FLOAT)])


def gate(tape: Tape, x: Tensor, by: Tensor, weight: Weight) -> Tensor:
    """The norm of x times the SiLU of `by`, in fp32."""
    open_ = activate(tape, cast(tape, by, FLOAT))
    return cast(tape, multiply(tape, norm(tape, x, weight), open_), x.width)


def _step(
    tape: Tape, count: int, inputs: list[Tensor], kept: list[Tensor], more: int = 0
) -> Tensor:
    """`count` fp32 numbers computed from `inputs`, each of which gets a gradient;
    `more` temporary numbers in both passes.
    """
    temporary = tape.new(more, FLOAT)
    out = tape.new(count, FLOAT)
    del temporary
    sizes = [(x.count, x.width) for x in inputs]

    def backward(_gradient: Tensor) -> list[Tensor | None]:
        temporary = tape.new(more, FLOAT)
        gradients: list[Tensor | None] = [tape.new(*size) for size in sizes]
        del temporary
        return gradients

    return tape.record(out, inputs, kept, backward)


def _part(tape: Tape, mixed: Tensor, count: int, last: bool) -> Tensor:
    """Queries, keys or values in fp32. The `last` of them creates the gradient of
    `mixed`.
    """
    size, width = mixed.count, mixed.width
    out = (
        Tensor(mixed.storage, count, FLOAT)
        if width == FLOAT
        else tape.new(count, FLOAT)
    )
    return tape.record(
        out, [mixed], [], lambda g: [tape.new(size, width) if last else None]
    )


def _product(tape: Tape, a: Tensor, b: Tensor, count: int) -> Tensor:
    sizes = [(x.count, x.width) for x in (a, b)]
    return tape.record(
        (count, a.width), [a, b], [a, b], lambda g: [tape.new(*size) for size in sizes]
    )


def _solve(tape: Tape, system: Tensor, right: Tensor) -> Tensor:
    """The solution of a triangular system for each chunk."""
    out = tape.new(right.count, FLOAT)
    sizes = system.count, right.count
    return tape.record(
        out,
        [system, right],
        [system, out],
        lambda g: [tape.new(size, FLOAT) for size in sizes],
    )
