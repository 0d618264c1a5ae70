"""The GGUF file of a base model in the cache: one for each model, made again after a failure, deleted with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from backend.errors import BadInput, ExportFailed
from backend.gguf import base_file as base
from backend.gguf import convert
from backend.gguf.convert import UnsupportedModel
from backend.settings import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


class Tools:
    """Stand in for llama.cpp's tools. error: raised by the next conversions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.conversions = 0
        monkeypatch.setattr(convert, "convert", self.convert)
        monkeypatch.setattr(convert, "quantize", lambda f16, out, kind: out.write_bytes(bytes(1 << 20)))

    def convert(self, model: Path, out: Path) -> None:
        self.conversions += 1
        if self.error:
            raise self.error


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    return Tools(monkeypatch)


def new_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", "utf-8")
    return folder


def made(workspace: Workspace, model: Path) -> Path:
    return base.base_file(workspace, model, lambda *step: None)


def stored(workspace: Workspace) -> set[Path]:
    return {path for path in (workspace.cache / "gguf").iterdir() if path.suffix != ".lock"}


def test_a_changed_model_replaces_its_own_file_only(workspace: Workspace, tools: Tools, tmp_path: Path) -> None:
    models = [new_model(tmp_path / name) for name in ("a/chat", "b/chat", "a/chat-large", "a/[chat]*")]
    first, *others = [made(workspace, model) for model in models]
    assert len(stored(workspace)) == 4
    (models[0] / "config.json").write_text("{ }", "utf-8")
    second = made(workspace, models[0])
    assert second != first
    assert stored(workspace) == {second, *others}


def test_only_an_unsupported_model_is_remembered(workspace: Workspace, tools: Tools, tmp_path: Path) -> None:
    model = new_model(tmp_path / "model")
    for error, conversions in ((ExportFailed(""), 2), (UnsupportedModel(""), 3)):
        tools.error = error
        for _ in range(2):
            with pytest.raises(type(error)):
                made(workspace, model)
        assert tools.conversions == conversions


@pytest.mark.parametrize("unsupported", [True, False])
def test_the_output_of_the_converter_tells_an_unsupported_model(tmp_path: Path, unsupported: bool) -> None:
    output = "Model NewForCausalLM is not supported" if unsupported else "OSError: No space left on device"
    with pytest.raises(ExportFailed) as caught:
        convert._check((1, output), tmp_path / "out.gguf", "")
    assert isinstance(caught.value, UnsupportedModel) == unsupported


def test_what_a_killed_conversion_left_is_deleted(workspace: Workspace, tools: Tools, tmp_path: Path) -> None:
    model = new_model(tmp_path / "model")
    leftover = workspace.cache / "gguf" / f"{base._key(model)}-making-x"
    leftover.mkdir(parents=True)
    (leftover / "f16.gguf").touch()
    assert stored(workspace) == {leftover}
    file = made(workspace, model)
    assert stored(workspace) == {file}


def test_a_model_is_deleted_with_its_file(workspace: Workspace, tools: Tools, tmp_path: Path) -> None:
    gone, other = new_model(tmp_path / "gone"), new_model(tmp_path / "other")
    assert base.delete(workspace, gone) == 0
    made(workspace, gone)
    kept = made(workspace, other)
    assert base.delete(workspace, gone) == 1
    assert stored(workspace) == {kept}


def test_a_file_that_is_being_made_is_not_deleted(workspace: Workspace, tools: Tools, tmp_path: Path) -> None:
    model = new_model(tmp_path / "model")
    file = made(workspace, model)
    with FileLock(file.parent / f".{base._key(model)}.lock"), pytest.raises(BadInput):
        base.delete(workspace, model)
    assert file.is_file()
