"""Without a card: the table is printed, and all proofs run tiny on the processor."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.settings import PROJECT_ROOT
from tests.gpu.conftest import Figure, table, versions


def test_a_table_names_each_proof_once_and_aligns_its_columns() -> None:
    lines = table(
        [
            Figure("Speed", "lora", "10", "dry run 9"),
            Figure("Speed", "full", "2", "dry run 3"),
        ]
    )
    assert [line.split()[0] for line in lines] == ["Proof", "Speed", "full"]
    words = ("Against", "dry run 9", "dry run 3")
    assert len({line.index(word) for line, word in zip(lines, words, strict=True)}) == 1
    assert "torch" in versions()


@pytest.mark.slow
def test_all_proofs_run_tiny_on_the_processor(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/gpu",
        "-m",
        "gpu",
        "--on-processor",
    ]
    command += ["--basetemp", str(tmp_path / "proofs")]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "start.py train" in done.stdout
