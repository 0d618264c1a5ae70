"""The exported script by accelerate's engines, on all GPUs there are; a sharded model
trains on a single one too.
"""

import sys
from pathlib import Path

import pytest

from backend.hardware.gpus import read_nvidia
from tests.backend.export.test_engines import (
    check_same_losses,
    finished,
    losses_in,
    make_script,
    started,
)
from tests.gpu.place import Place, Record

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        ("ddp", "lora"), ("fsdp2", "lora"), ("fsdp2", "full"), ("fsdp_qlora", "qlora"), ("zero2", "full"),
        ("zero3", "lora"),
    ],
)  # fmt: skip
def test_all_gpus_have_the_losses_of_one(
    place: Place, tiny: Path, tmp_path: Path, record: Record, engine: str, kind: str
) -> None:
    if not place.is_card:
        pytest.skip("tests/backend/export/test_engines.py has the processor")
    if engine.startswith("zero"):
        pytest.importorskip("deepspeed")
    gpus = [device.uuid for device in read_nvidia().devices]
    if engine == "ddp" and len(gpus) < 2:
        pytest.skip("it needs two GPUs")
    folder = make_script(tmp_path, tiny, kind)
    finished(started(folder, tiny, "one", sys.executable, gpus=gpus[0]))
    finished(
        started(
            folder, tiny, engine, sys.executable, gpus=",".join(gpus), engine=engine
        )
    )
    one, all_of_them = (
        list(losses_in(folder / out)["loss"].values())[-1] for out in ("one", engine)
    )
    record(
        "Several GPUs",
        f"{engine}, {kind}",
        f"{len(gpus)} GPUs",
        f"loss {one:.4f} and {all_of_them:.4f}",
    )
    check_same_losses(folder, engine, tolerance=1e-3)
