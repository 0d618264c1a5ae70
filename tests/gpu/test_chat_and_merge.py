"""After a training: chat's base pane is the base, its tuned pane is what was trained, and so are merged weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend import training
from backend.chat.engine import TUNED
from backend.chat.torch_engine import TorchEngine
from backend.runs.token_rows import read_rows
from tests.backend.merging import merge
from tests.backend.tiny_run import make_run
from tests.gpu.place import Place

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning")]


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_chat_and_merge_keep_what_was_learned(
    place: Place, tiny: Path, tmp_path: Path, method: str, record: Callable[..., None]
) -> None:
    work = make_run(tmp_path / "run", tiny, method=method, precision=place.precision(), lora_dropout=0.0)
    trained = training.run(work).eval_loss
    adapter = work.folder / "result" / "adapter"
    engine = TorchEngine(tiny, adapter)
    rows = list(read_rows(work.folder)[1])
    nats = sum(engine.nats(TUNED, row.input_ids.tolist(), row.labels.tolist()) for row in rows)
    answered = nats / sum(row.learned for row in rows)
    check = merge(tiny, adapter, tmp_path / "merged", [row.input_ids.tolist() for row in rows])
    where = f"{engine.report.precision} on {engine.report.device}"
    record("Chat after training: loss", f"{method}, {where}", f"{answered:.4f}", f"trained {trained:.4f}")
    record("Merged weights", method, f"{check.lost:.2%} lost", f"{check.same_choice:.1%} same choices")
    assert engine.report.device == place.kind
    assert engine.report.pane_check.base_is_base is True
    assert method == "lora" or not place.is_card or engine.report.precision == "4-bit"
    assert answered == pytest.approx(trained, abs=0.05)
    assert check.ok
