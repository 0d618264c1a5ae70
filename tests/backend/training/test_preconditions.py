"""What can't work is refused in a sentence before a process starts; nothing is queued, no folder is left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend import training
from backend.errors import ApprenticeError, BadInput, BadSetting, MissingPart, NotEnough, TrainingFailed
from backend.estimate import Architecture
from backend.models.local import read_run
from backend.records.specs import RunSpec, TrainSettings, parse_settings
from backend.runs.prepare import PreparedRun
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import preconditions
from backend.training.distributed import process_group
from tests.backend.tiny_run import FakeWork, conversations, make_run, run_of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

SHAPE = Architecture(
    name="tiny", hidden_size=64, num_layers=2, num_attention_heads=4, num_kv_heads=2, head_dim=16,
    intermediate_size=128, vocab_size=44, tie_word_embeddings=True,
)  # fmt: skip


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def with_free(mib: int) -> None:
        monkeypatch.setattr(preconditions.shutil, "disk_usage", lambda _: SimpleNamespace(free=mib << 20))

    return with_free


@pytest.fixture
def stopped(tiny_model: Path, tmp_path: Path) -> FakeWork:
    """A run in a workspace, stopped after its second step."""
    work = make_run(tmp_path / "runs" / "a", shutil.copytree(tiny_model, tmp_path / "models" / "tiny"), max_steps=4)
    (work.folder / "spec.json").write_text(RunSpec.model_validate(work.spec).model_dump_json())
    work.stop_at = 2
    training.run(work)
    return work


def refused(work: FakeWork) -> ApprenticeError:
    with pytest.raises(ApprenticeError) as caught:
        preconditions.before_resume(work.folder, read_run(work.folder))
    assert caught.value.next
    return caught.value


@pytest.mark.parametrize("values", [{"method": "full"}, {}, {"use_dora": True}, {"target_modules": ("q_proj",)}])
def test_the_numbers_counted_are_those_that_are_trained(
    tiny_model: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    work = make_run(tmp_path, tiny_model, max_steps=1, **values)
    trained = training.run(work)["trainable_parameters"]
    settings = TrainSettings.model_validate(work.spec["settings"])
    assert preconditions.trainable_parameters(SHAPE, settings) == trained


def test_the_room_on_the_disk_is_computed_before(disk: Callable[[int], None], tmp_path: Path) -> None:
    settings = TrainSettings(method="full")
    large = SHAPE.model_copy(update={"num_params": 1_000_000_000})
    needed = preconditions.disk_needed(large, settings)
    assert 56e9 < needed < 57e9  # 4 saved states of 12 bytes a number, 2 results of 4
    disk(needed // (1 << 20))
    with pytest.raises(NotEnough, match="not enough room") as caught:
        preconditions.check_disk(tmp_path, needed)
    assert "are free" in caught.value.why
    disk(needed // (1 << 20) + 1)
    preconditions.check_disk(tmp_path, needed)


def test_a_base_model_without_a_template_is_refused_for_conversations_only(tiny_model: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_model, tmp_path / "base")
    (base / "chat_template.jinja").unlink(missing_ok=True)
    about = json.loads((base / "tokenizer_config.json").read_text())
    about.pop("chat_template", None)
    (base / "tokenizer_config.json").write_text(json.dumps(about))
    tokenizer = ChatTokenizer.load(base)
    with pytest.raises(BadInput, match="can't learn from conversations"):
        preconditions.check_chat_template(tokenizer, conversations=True)
    preconditions.check_chat_template(tokenizer, conversations=False)
    preconditions.check_chat_template(ChatTokenizer.load(tiny_model), conversations=True)


@pytest.mark.parametrize(
    ("settings", "cards", "free", "why"),
    [
        ({"num_processes": 2, "trainer": "dpo"}, 2, 1000, "single answers"),
        ({"num_processes": 2}, 1, 1000, "There are 1 cards"),
        ({"num_processes": 2, "sharding": "fsdp", "method": "full"}, 2, 700, "762 MiB in all, and 700 MiB are free"),
        ({"num_processes": 2, "sharding": "fsdp", "method": "full"}, 2, 800, ""),
        ({"num_processes": 2, "sharding": "fsdp"}, 2, 700, ""),
    ],
)
def test_what_several_processes_can_not_do_is_refused_before_they_start(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: Callable[[int], None],
    settings: dict[str, Any],
    cards: int,
    free: int,
    why: str,
) -> None:
    monkeypatch.setattr(process_group, "visible_gpus", lambda: [str(card) for card in range(cards)])
    disk(10_000)
    monkeypatch.setattr(preconditions, "memory", lambda: (free, free))
    data = [ChatTokenizer.load(tiny_model).encode(messages) for messages in conversations(12)]
    spec = RunSpec.model_validate(run_of(tmp_path, tiny_model, data[:8], data[8:], **settings).spec)
    large = SHAPE.model_copy(update={"num_params": 100_000_000})
    with nullcontext() if not why else pytest.raises((BadSetting, NotEnough)) as caught:
        preconditions.before_start(PreparedRun(spec, data[:8], data[8:]), tmp_path, large)
    assert caught is None or why in caught.value.why


@pytest.mark.parametrize("rate", ["0", "-1e-4", "0.5", "nan", "inf", "fast"])
def test_a_rate_out_of_range_is_refused_by_its_name(rate: str) -> None:
    with pytest.raises(BadSetting, match="learning_rate"):
        parse_settings({"learning_rate": rate})


def test_a_run_that_is_sound_may_go_on(stopped: FakeWork) -> None:
    preconditions.before_resume(stopped.folder, read_run(stopped.folder))


def test_a_run_without_its_model_is_not_resumed(stopped: FakeWork) -> None:
    next((stopped.folder.parent.parent / "models" / "tiny").glob("*.safetensors")).unlink()
    assert isinstance(refused(stopped), MissingPart)


def test_a_run_whose_rows_were_cut_is_not_resumed(stopped: FakeWork) -> None:
    rows = stopped.folder / "data" / "train.parquet"
    rows.write_bytes(rows.read_bytes()[:-1])
    error = refused(stopped)
    assert isinstance(error, TrainingFailed)
    assert error.what == "The examples of this run are damaged."


def test_a_saved_state_of_another_run_is_not_resumed_from(stopped: FakeWork) -> None:
    (manifest,) = (stopped.folder / "checkpoints" / "step-2").glob("MANIFEST.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "run": "b"}))
    assert "not of this run" in refused(stopped).what


def test_a_run_without_room_for_its_next_state_is_not_resumed(stopped: FakeWork, disk: Callable[[int], None]) -> None:
    disk(60)
    assert isinstance(refused(stopped), NotEnough)
