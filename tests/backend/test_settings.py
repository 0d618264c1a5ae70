"""Where the workspace is, and the environment of child processes: what they need, and
no secret.
"""

import os
import tempfile
from pathlib import Path

import psutil
import pytest

from backend.chat.child import ChatChild
from backend.errors import WorkspaceProblem
from backend.files.private import make_readable
from backend.settings import (
    HOME_VARIABLE,
    Workspace,
    child_path,
    default_root,
    is_secret,
)

SECRETS = [
    "HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "APPRENTICE_PASSWORD", "PGPASSWORD", "GH_PAT",
    "BASIC_AUTH", "github_token",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_recognized_by_its_name(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["PATH", "PYTHONPATH", "HOME", "TOKENIZERS_PARALLELISM", "KEYBOARD", "XAUTHORITY"],
)
def test_other_names_are_not_secrets(name: str) -> None:
    assert not is_secret(name)


def test_the_chat_process_gets_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*SECRETS, "MY_BANK_PIN", "DATABASE_URL", "HTTPS_PROXY"]:
        monkeypatch.setenv(name, "s3cr3t-value")
    monkeypatch.setenv("LANGUAGE", "en")
    workspace = Workspace.open(tmp_path)
    child = ChatChild(workspace, log_file=workspace.cache / "chat.log")
    try:
        environment = psutil.Process(child._child.pid).environ()
    finally:
        child.end()
    assert "s3cr3t-value" not in environment.values()
    assert (environment["LANGUAGE"], environment["APPRENTICE_HOME"]) == (
        "en",
        str(workspace.root),
    )


def test_on_a_space_the_workspace_is_not_home_nor_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    at_home = default_root()
    monkeypatch.setenv("SPACE_ID", "owner/demo")
    on_a_space = default_root()
    assert on_a_space != at_home
    assert not any(
        on_a_space.is_relative_to(folder)
        for folder in (tmp_path, tempfile.gettempdir())
    )
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "bucket"))
    assert default_root() == tmp_path / "bucket"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "a\\b", "a\0b", "ä", "x" * 256, "x" * 100_000],
)
def test_only_a_plain_short_name_is_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkspaceProblem):
        child_path(tmp_path, name)


@pytest.mark.skipif(os.name == "nt", reason="rights are kept otherwise there")
def test_what_is_in_a_workspace_is_for_its_owner_only_also_where_it_existed(
    tmp_path: Path,
) -> None:
    root = tmp_path / "workspace"
    (root / "runs").mkdir(parents=True)
    for folder in (root, root / "runs"):
        folder.chmod(0o755)
    before = os.umask(0o022)
    try:
        workspace = Workspace.open(root)
        (workspace.runs / "new").mkdir()
        (workspace.root / "app.log").write_text("x")
    finally:
        os.umask(before)
    assert workspace.runs.stat().st_mode & 0o077 == 0
    made = [workspace.runs / "new", workspace.root / "app.log"]
    assert [path.stat().st_mode & 0o077 for path in made] == [0, 0]


@pytest.mark.skipif(os.name == "nt", reason="rights are kept otherwise there")
def test_what_was_exported_is_for_everybody(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir(mode=0o700)
    (folder / "adapter_model.safetensors").touch(0o600)
    make_readable(folder)
    assert [
        oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())
    ] == ["0o755", "0o644"]
