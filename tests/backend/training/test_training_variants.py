"""Variants of LoRA: each learns, resumes bit for bit, and can be merged."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend import training
from tests.backend.merging import merge
from tests.backend.tiny_run import make_run

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.mark.parametrize(
    ("settings", "tensors"),
    [
        ({"use_dora": True, "use_rslora": True}, 42),  # a magnitude vector for each of the 14 layers
        ({"use_dora": True, "method": "qlora"}, 42),
    ],
    ids=str,
)
def test_it_learns_resumes_and_merges(tiny_model: Path, tmp_path: Path, settings: dict[str, Any], tensors: int) -> None:
    from safetensors.torch import load_file

    whole, halved = (make_run(tmp_path / name, tiny_model, max_steps=6, **settings) for name in ("whole", "halved"))
    result = training.run(whole)
    assert result.eval_loss < result.first_eval_loss
    halved.stop_at = 3
    training.run(halved)
    halved.stop_at = None
    training.run(halved)
    assert halved.losses() == whole.losses()
    adapter = whole.folder / "result" / "adapter"
    about = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    assert {name: about[name] for name in ("use_rslora", "use_dora")} == {
        "use_rslora": "use_rslora" in settings,
        "use_dora": "use_dora" in settings,
    }
    assert len(load_file(adapter / "adapter_model.safetensors")) == tensors
    assert merge(tiny_model, adapter, tmp_path / "merged", [[1, 4, 5, 2, 5, 4, 3]]).ok
