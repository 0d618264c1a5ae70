"""Runs that can't work are rejected before a process starts."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend import training
from backend.errors import BadInput, MissingPart, NotEnough, TrainingFailed
from backend.estimate import Architecture
from backend.models.local import read_run
from backend.records.specs import RunSpec, TrainSettings
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import preconditions
from tests.backend.tiny_run import make_run

SHAPE = Architecture(
    name="tiny", hidden_size=64, num_layers=2, num_attention_heads=4, num_kv_heads=2, head_dim=16,
    intermediate_size=128, vocab_size=44, tie_word_embeddings=True,
)  # fmt: skip


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def with_free(mib: int) -> None:
        monkeypatch.setattr(
            "shutil.disk_usage", lambda _: SimpleNamespace(free=mib << 20)
        )

    return with_free


@pytest.mark.parametrize(
    "values",
    [{"method": "full"}, {}, {"target_modules": ("q_proj",)}],
)
def test_trained_parameters_are_counted(
    tiny_model: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    work = make_run(tmp_path, tiny_model, max_steps=1, **values)
    trained = training.run(work).trainable_parameters
    assert (
        preconditions.trainable_parameters(
            SHAPE, TrainSettings.model_validate(work.spec["settings"])
        )
        == trained
    )


def test_the_disk_space_is_checked_before_the_run(
    disk: Callable[[int], None], tmp_path: Path
) -> None:
    settings = TrainSettings(method="full")
    large = SHAPE.model_copy(update={"num_params": 1_000_000_000})
    needed = preconditions.disk_needed(large, settings)
    assert 56e9 < needed < 57e9  # 4 checkpoints of 12 bytes a parameter, 2 results of 4
    disk(needed // (1 << 20))
    with pytest.raises(NotEnough, match="disk space") as caught:
        preconditions.check_disk(tmp_path, needed)
    needs, has = (float(size) for size in re.findall(r"([\d.]+) GB", caught.value.why))
    assert needs > has, "they differ by less than a MiB"
    assert has == pytest.approx(needed / (1 << 30), abs=0.01)
    disk(needed // (1 << 20) + 1)
    preconditions.check_disk(tmp_path, needed)


def test_a_model_without_a_template_is_rejected_for_conversations_only(
    tiny_model: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(tiny_model, tmp_path / "base")
    (base / "chat_template.jinja").unlink(missing_ok=True)
    about = json.loads((base / "tokenizer_config.json").read_text())
    about.pop("chat_template", None)
    (base / "tokenizer_config.json").write_text(json.dumps(about))
    tokenizer = ChatTokenizer.load(base)
    with pytest.raises(BadInput, match="can't learn from conversations"):
        preconditions.check_chat_template(tokenizer, conversations=True)
    preconditions.check_chat_template(tokenizer, conversations=False)
    preconditions.check_chat_template(
        ChatTokenizer.load(tiny_model), conversations=True
    )


def test_a_run_resumes_only_with_all_that_it_had(
    tiny_model: Path, tmp_path: Path, disk: Callable[[int], None]
) -> None:
    base = shutil.copytree(tiny_model, tmp_path / "models" / "tiny")
    work = make_run(tmp_path / "runs" / "a", base, max_steps=4)
    (work.folder / "spec.json").write_text(
        RunSpec.model_validate(work.spec).model_dump_json()
    )
    work.stop_at = 2
    training.run(work)
    preconditions.before_resume(work.folder, read_run(work.folder))
    manifest, rows = (
        work.folder / "checkpoints" / "step-2" / "MANIFEST.json",
        work.folder / "data" / "train.arrow",
    )
    foreign = json.dumps({**json.loads(manifest.read_text()), "run": "b"}).encode()
    for file, content, error, words in (
        (base / "model.safetensors", None, MissingPart, None), (manifest, foreign, TrainingFailed, "another"),
        (rows, rows.read_bytes()[:-1], TrainingFailed, "damaged"),
    ):  # fmt: skip
        before = file.read_bytes()
        file.write_bytes(content) if content else file.unlink()
        with pytest.raises(error, match=words) as caught:
            preconditions.before_resume(work.folder, read_run(work.folder))
        assert caught.value.next
        file.write_bytes(before)
    disk(60)
    with pytest.raises(NotEnough):
        preconditions.before_resume(work.folder, read_run(work.folder))
