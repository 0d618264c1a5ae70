"""Our speed beside TRL's, and Unsloth's and LLaMA-Factory's where they can be found, in
the same minutes.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.gpu_training_speed import ON_A_CARD, TINY_RUN, compared
from tests.benchmarks.trainers import available
from tests.gpu.place import SHAPES, Place, Record, random_llama

pytestmark = pytest.mark.gpu


def test_training_beside_its_peers(
    place: Place, tmp_path: Path, record: Record
) -> None:
    """Nothing is asserted about a speed."""
    shape, settings = (
        (SHAPES["1B"], ON_A_CARD) if place.is_card else (place.shape, TINY_RUN)
    )
    settings = replace(settings, half=place.precision(), four_bit=place.is_card)
    model, who = (
        random_llama(tmp_path / "model", place.kind, shape),
        ("ours", "peer", *available()),
    )
    place.clean()
    found = compared("1B", who, model, shape["vocab_size"], settings, tmp_path / "runs")
    for name, one in found.items():
        losses = (
            one.get("failed")
            or f"{one['peak_mib']} MiB, loss {one['first_loss']} to {one['last_loss']}"
        )
        record(
            "Tokens per second beside peers",
            f"1B QLoRA, {name}",
            str(one["tokens_per_second"]),
            losses,
        )
    assert found["ours"]["tokens_per_second"]
    assert found["peer"]["tokens_per_second"]
