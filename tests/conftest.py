"""What all tests share: the embedded model, unpacked once and kept between runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.models import bundled
from backend.settings import HOME_VARIABLE, PROJECT_ROOT, Workspace

# Before torch is imported anywhere: several busy processes on few cores must not spin, and nothing asks the network,
# nor this computer's keyring.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"


@pytest.fixture(scope="session")
def bundled_model(request: pytest.FixtureRequest) -> Path:
    """The folder of the unpacked embedded model (read only: tests that change it take `workspace_with_model`)."""
    assert request.config.cache is not None
    workspace = Workspace.open(request.config.cache.mkdir("apprentice"))
    if not bundled.is_ready(workspace):  # in a process of its own: this one shall stay light
        program = (
            "from backend.models import bundled\nfrom backend.settings import Workspace\n"
            "bundled.ensure(Workspace.open())"
        )
        environment = {**os.environ, HOME_VARIABLE: str(workspace.root), "PYTHONPATH": str(PROJECT_ROOT)}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
    return bundled.folder(workspace)


@pytest.fixture
def workspace_with_model(bundled_model: Path, tmp_path: Path) -> Workspace:
    """A fresh workspace that has the embedded model already (hard links where the system has them)."""
    workspace = Workspace.open(tmp_path / "workspace")
    shutil.copytree(bundled_model, bundled.folder(workspace), copy_function=_link)
    return workspace


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
