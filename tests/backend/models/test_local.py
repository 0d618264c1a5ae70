"""Where models are found: in a workspace that was moved, or in a folder elsewhere; and
what their weights hold.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend import training
from backend.errors import BadInput, MissingPart, RunProblem
from backend.models import bundled, catalogue, local, model_folder
from backend.models.safetensors_files import read, values
from backend.records.specs import RunSpec
from backend.settings import Workspace
from tests.backend.tiny_run import make_run


def test_a_run_can_be_read_and_resumed_after_its_workspace_was_moved(
    tiny_model: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    model = shutil.copytree(tiny_model, old / "models" / "tiny")
    work = make_run(old / "runs" / "a", model, max_steps=3)
    (work.folder / "spec.json").write_text(
        RunSpec.model_validate(work.spec).model_dump_json()
    )
    work.stop_at = 2
    training.run(work)
    old.rename(new)
    work.folder, work.stop_at = new / "runs" / "a", None
    assert (local.read_run(work.folder).model.path, training.run(work).steps) == (
        new / "models" / "tiny",
        3,
    )


def test_a_model_outside_the_workspace_stays_where_it_is(
    tiny_model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "a"
    work = make_run(run, tiny_model)
    (tmp_path / "models" / tiny_model.name).mkdir(parents=True)
    assert (
        local.relocate(RunSpec.model_validate(work.spec), run).model.path == tiny_model
    )


def test_a_folder_without_a_readable_spec_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(RunProblem, match="not a training run"):
        local.read_run(tmp_path)


def test_a_registered_folder_can_be_planned_and_trained(
    tiny_model: Path, workspace: Workspace
) -> None:
    model_id = local.register_folder(workspace, tiny_model)
    assert local.register_folder(workspace, tiny_model) == model_id
    assert local.reference(workspace, model_id).path == tiny_model.resolve()
    assert local.tokenizer(workspace, model_id).chat_template
    assert catalogue.find_or_read(workspace, model_id).parameters > 10_000
    assert list(workspace.models.glob("*.safetensors")) == []  # nothing is copied


def test_an_incomplete_model_is_not_ready(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshot = tmp_path / "cache" / "models--made--up" / "snapshots" / ("a" * 40)
    shutil.copytree(tiny_model, snapshot)
    first, second = (
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    )
    (snapshot / "model.safetensors").rename(snapshot / first)
    index = {
        "weight_map": {"model.embed_tokens.weight": first, "model.norm.weight": second}
    }
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    workspace = Workspace.open(tmp_path / "home")
    assert not local.is_ready(workspace, "made/up")
    shutil.copyfile(snapshot / first, snapshot / second)
    assert local.is_ready(workspace, "made/up")


def test_a_symlinked_bundled_model_is_found(
    tiny_model: Path, tmp_path: Path, workspace: Workspace
) -> None:
    """Such as one on a larger disk."""
    elsewhere = shutil.copytree(tiny_model, tmp_path / "elsewhere")
    try:
        bundled.folder(workspace).symlink_to(elsewhere, target_is_directory=True)
    except OSError:
        pytest.skip("this system or user has no symbolic links")
    assert local.folder(workspace, local.DEFAULT) == bundled.folder(workspace)


def test_models_in_the_workspace_and_the_cache_are_downloaded_ones_and_broken_models_are_not(
    tiny_model: Path,
    tmp_path: Path,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    ids = ["a/Ours", "a/cached", "a/broken", "a/absent"]
    assert local.downloaded(workspace, ids) == set()
    shutil.copytree(tiny_model, workspace.models / "a--Ours")
    shutil.copytree(
        tiny_model, tmp_path / "cache" / "models--a--cached" / "snapshots" / "1"
    )
    shutil.copytree(
        tiny_model,
        workspace.models / "a--broken",
        ignore=shutil.ignore_patterns("*.safetensors"),
    )
    assert local.downloaded(workspace, ids) == {"a/Ours", "a/cached"}
    assert [one for one in ids if local.is_ready(workspace, one)] == [
        "a/Ours",
        "a/cached",
    ]


@pytest.mark.parametrize(
    "weight_map", [{"a": "../other/model.safetensors"}, {"a": "/other"}, {"a": 3}]
)
def test_weights_are_never_read_from_outside_the_folder(
    tmp_path: Path, weight_map: object
) -> None:
    other = tmp_path / "other" / "model.safetensors"
    model = tmp_path / "model"
    other.parent.mkdir()
    model.mkdir()
    for file in (
        other,
        model / "model.safetensors",
        model / "config.json",
        model / "tokenizer.json",
    ):
        file.write_bytes(b"{}")
    model_folder.check(model)
    (model / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": weight_map})
    )
    with pytest.raises(MissingPart):
        model_folder.check(model)


def test_a_folder_without_a_model_is_not_registered(
    tmp_path: Path, workspace: Workspace
) -> None:
    with pytest.raises(MissingPart):
        local.register_folder(workspace, tmp_path)
    assert not local.is_ready(workspace, "local/anything")
    with pytest.raises(BadInput):
        catalogue.find_or_read(workspace, "local/anything")


NUMBERS = np.arange(12, dtype=np.float32).reshape(4, 3) - 5.5


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_tensors_and_rows_are_read_as_float32(tmp_path: Path, kind: str) -> None:
    save_file(
        {"other": NUMBERS[:1], "some": NUMBERS.astype(kind)}, tmp_path / "a.safetensors"
    )
    found, _ = read(tmp_path / "a.safetensors")
    assert found.keys() == {"other", "some"}
    assert np.array_equal(values(found["some"]), NUMBERS)
    assert np.array_equal(values(found["some"], np.array([3, 0])), NUMBERS[[3, 0]])
    assert values(found["some"]).dtype == np.float32


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    """These numbers are exact in bfloat16, the upper half of float32."""
    halves = (NUMBERS.view("<u4") >> 16).astype("<u2").tobytes()
    write(
        tmp_path,
        {"some": {"dtype": "BF16", "shape": [4, 3], "data_offsets": [0, len(halves)]}},
        halves,
    )
    assert np.array_equal(values(read(tmp_path / "a.safetensors")[0]["some"]), NUMBERS)


def test_other_types_and_damaged_files_are_rejected(tmp_path: Path) -> None:
    write(
        tmp_path, {"some": {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}}, b"ab"
    )
    with pytest.raises(ValueError, match="I8"):
        values(read(tmp_path / "a.safetensors")[0]["some"])
    (tmp_path / "b.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match="header"):
        read(tmp_path / "b.safetensors")


def write(folder: Path, header: dict[str, object], content: bytes) -> None:
    text = json.dumps(header).encode()
    (folder / "a.safetensors").write_bytes(
        len(text).to_bytes(8, "little") + text + content
    )
