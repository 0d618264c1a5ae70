"""A micro batch asks no tensor for a value: on a GPU the program would wait until all
earlier work is done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from backend.runs.token_rows import TokenRow
from backend.training import loss
from backend.training.collate import Batch, Collator, needs_mask
from tests.backend.training.test_packing import KINDS, model_of

EAGER = {
    "gemma2, every other layer a window"
}  # which transformers computes without sdpa
ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique")
LENGTHS = {"padded": (9, 21, 4), "of one length": (9, 9, 9), "a single row": (21,)}


def rows(lengths: tuple[int, ...]) -> list[TokenRow]:
    draw = np.random.default_rng(0)
    ids = [draw.integers(1, 48, length) for length in lengths]
    return [TokenRow(one, one.copy(), len(one) - 1) for one in ids]


@contextmanager
def questions() -> Iterator[list[str]]:
    """The operations, forward and backward, whose result the program needs before it
    can go on.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    asked: list[str] = []

    class Watch(TorchDispatchMode):  # type: ignore[misc,unused-ignore]
        def __torch_dispatch__(
            self, function: Any, types: Any, arguments: Any = (), options: Any = None
        ) -> Any:
            name = function.overloadpacket.__name__
            if name in ASKING or (name.startswith("index") and has_mask(arguments)):
                asked.append(name)
            return function(*arguments, **(options or {}))

    with Watch():
        yield asked


def has_mask(arguments: Any) -> bool:
    """Whether a tensor is indexed by a mask, whose true values must be counted."""
    import torch

    numbers = (
        arguments[1]
        if len(arguments) > 1 and isinstance(arguments[1], list | tuple)
        else ()
    )
    return any(one is not None and one.dtype is torch.bool for one in numbers)


@pytest.mark.parametrize("packed", [False, True], ids=["batch", "pack"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_asked(kind: str, lengths: str, packed: bool) -> None:
    net = model_of(kind, "eager" if kind in EAGER else "sdpa")
    batch = Collator(0, "cpu", packed, needs_mask(net.config))(rows(LENGTHS[lengths]))
    with questions() as asked:
        loss.token_losses(net, batch).sum().backward()
    assert asked == []


def test_without_the_answers_transformers_would_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That the test above can see it."""

    @contextmanager
    def unanswered(batch: Batch) -> Iterator[None]:
        yield

    monkeypatch.setattr(loss, "_mask_questions_answered", unanswered)
    net = model_of("llama", "sdpa")
    with questions() as asked:
        loss.token_losses(net, Collator(0, "cpu")(rows((9, 21)))).sum()
    assert asked != []
