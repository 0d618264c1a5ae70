"""On a graphics card: every precision and method trains, resumes and proves itself. Run with -m gpu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend import training
from tests.backend.tiny_run import make_model, make_run

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "bf16"},
        {"precision": "fp16"},  # as on cards before compute capability 8
        {"precision": "fp32"},
        {"precision": "auto", "method": "qlora"},
        {"precision": "fp16", "method": "qlora"},
        {"precision": "auto", "method": "full", "learning_rate": 1e-3},
        {"precision": "auto", "packing": True},
        {"precision": "auto", "gradient_checkpointing": True},
    ],
    ids=str,
)
def test_it_learns_and_goes_on_after_a_stop(model: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    work = make_run(tmp_path, model, **settings)
    work.stop_at = 7
    assert training.run(work)["state"] == "stopped"
    work.stop_at = None
    result = training.run(work)
    assert result["state"] == "completed"
    assert result["eval_loss"] < result["first_eval_loss"]
    assert result["weights_changed"] is result["base_unchanged"] is True
    assert [event["step"] for event in work.told("step")] == list(range(1, 16))
    assert 0 < result["peak_memory_mib"] < 2048
