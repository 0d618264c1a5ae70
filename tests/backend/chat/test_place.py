"""Where a chat's model answers, and in which precision; GPUs are simulated."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from backend.chat import engines, place, served, torch_engine
from backend.chat.place import Place
from backend.chat.torch_engine import TorchEngine
from backend.errors import ChatFailed, NotEnough
from backend.models import four_bit, model_folder
from tests.backend.synthetic import make_adapter, make_finished_run

GIB = 1 << 30
WEIGHTS = 16 * GIB  # an 8 B model in 16 bits


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    """What a QLoRA run saved."""
    (tmp_path / "spec.json").write_text(json.dumps({"settings": {"method": "qlora"}}))
    return tmp_path / "result" / "adapter"


@pytest.mark.parametrize(
    ("gpu", "memory", "run", "expected"),
    [
        (("cuda", 12), 64, "qlora", Place("cuda", packed=True)),
        (("cuda", 80), 64, "qlora", Place("cuda", packed=True)), (("cuda", 80), 64, "lora", Place("cuda")),
        (("cuda", 12), 64, "lora", Place("cpu")), (("cuda", 12), 64, "", Place("cuda", packed=True)),
        (("cuda", 80), 64, "", Place("cuda")), (("cuda", 4), 64, "qlora", Place("cpu")),
        (("mps", 30), 32, "qlora", Place("mps")), (("mps", 10), 12, "qlora", Place("cpu", packed=True)),
        (None, 12, "qlora", Place("cpu", packed=True)), (None, 12, "lora", None), (None, 4, "qlora", None),
    ],
)  # fmt: skip
def test_where_a_model_answers(
    learned: Path, monkeypatch: pytest.MonkeyPatch, gpu: tuple[str, int] | None, memory: int, run: str,
    expected: Place | None,
) -> None:  # fmt: skip
    monkeypatch.setattr(model_folder, "weight_bytes", lambda _: WEIGHTS)
    monkeypatch.setattr(four_bit, "is_possible", lambda: True)
    monkeypatch.setattr(place, "_gpus", lambda: [(gpu[0], gpu[1] * GIB)] if gpu else [])
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: SimpleNamespace(available=memory * GIB)
    )
    (learned.parent.parent / "used.json").write_text(json.dumps({"method": run}))
    tuned = learned if run else None
    if expected is None:
        with pytest.raises(NotEnough):
            place.place(Path("model"), tuned)
    else:
        assert place.place(Path("model"), tuned) == expected


def test_after_qlora_on_a_card_llama_cpp_is_not_tried(
    learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    learned.mkdir(parents=True)
    (learned / "adapter_config.json").write_text("{}")
    assert engines.fits_llama_cpp(learned)
    monkeypatch.setattr(
        engines, "read_choice", lambda: (None, SimpleNamespace(devices=["a card"]))
    )
    monkeypatch.setattr(engines, "on_gpu", lambda: True)
    assert not engines.fits_llama_cpp(learned)
    (learned.parent.parent / "used.json").write_text(json.dumps({"method": "lora"}))
    assert engines.fits_llama_cpp(learned)


def test_a_qlora_run_answers_in_4_bit(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes")
    run = tmp_path / "run"
    run.mkdir()
    adapter = make_adapter(
        make_finished_run(run, tiny_model, "tests/tiny", method="qlora"), tiny_model
    )
    monkeypatch.setattr(
        torch_engine, "place", lambda model, tuned: Place("cpu", packed=True)
    )
    engine = TorchEngine(tiny_model, adapter)
    assert engine.report.precision == "4-bit"
    assert engine.report.pane_check
    assert [
        module
        for module in engine.models["tuned"].modules()
        if type(module).__name__ == "Linear4bit"
    ]
    first = engine.models["base"].model.layers[0].self_attn.q_proj.weight
    twin = (
        engine.models["tuned"]
        .base_model.model.model.layers[0]
        .self_attn.q_proj.base_layer.weight
    )
    assert first.data_ptr() == twin.data_ptr(), "one copy of the weights"


def test_programs_get_as_many_answers_at_a_time_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        served, "tokens_that_fit", lambda bytes_per_token: 40_000 // bytes_per_token
    )
    monkeypatch.setattr(served.container, "cores", lambda: 2)
    models = (8192, 1), (8192, 2), (512, 9), (0, 9), (8192, 0), (0, 0)
    assert [served.helpful_slots(*model) for model in models] == [8, 4, 8, 1, 8, 8]
    monkeypatch.setattr(served.container, "cores", lambda: 32)
    assert served.helpful_slots(512, 1) == 16


def test_where_memory_is_short_fewer_answers_have_the_same_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With as much room for all as before, fewer answers would not fit either."""
    tried: list[tuple[int, int]] = []

    class Small:
        def __init__(self, file: Path, slots: int, tokens: int, *_: Any, **__: Any):
            tried.append((slots, tokens))
            if slots > 2:
                raise ChatFailed("Memory is short.")
            self.slots, self.address = slots, "http://127.0.0.1:1"

        encode = next = call = lambda self, *_, **__: {}
        end_ids = lambda self: set()  # noqa: E731

    facts = SimpleNamespace(trained_context=32_768, bytes_per_token=1)
    tokenizer = SimpleNamespace(
        chat_template="", can_skip_thought=False, control_markers=()
    )
    for name, stand_in in {
        "fits_llama_cpp": lambda _: True,
        "gguf_files": lambda *_: nullcontext((Path("a.gguf"), None)),
        "Facts": lambda _: facts,
        "trained_tokenizer": lambda *_: (tokenizer, set()),
        "tokens_that_fit": lambda _: 40_000,
        "context_length": lambda trained, size, slots: 40_000 // slots,
        "LlamaServer": Small,
        "_reads": lambda *_: True,
    }.items():
        monkeypatch.setattr(served, name, stand_in)
    monkeypatch.setattr(served.container, "cores", lambda: 2)
    workspace: Any = SimpleNamespace(models=Path("models"))
    opened = served.open_server(workspace, Path("m"), None, "m", "k", lambda *_: None)
    assert opened[1].slots == 2
    assert tried == [(8, 5000), (4, 5000), (2, 5000)]
