"""Adding a GGUF file to Ollama and LM Studio: a stand-in executable, and a folder."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import MissingPart, RunProblem, WorkspaceProblem
from backend.export import local_programs
from backend.hosting.policy import DEMO, HOME
from backend.records.exports import Check, ExportResult, GgufFile
from jobs.records import State
from tests.ui.fake_records import job
from ui.records.share import ExportStatus
from ui.services.results.local_programs import LocalProgramService
from ui.web.share import views

OLLAMA = """#!/bin/sh
echo "$(pwd)|$#|$*" >> "$(dirname "$0")/asked"
test -f "$(dirname "$0")/down" && { echo "Error: could not connect to ollama"; exit 1; }
cd "$(dirname "$0")"
test "$1" = list && { printf 'NAME  ID  SIZE\\norders-q8_0:latest  abc  144 MB\\n'; cat created; sleep 0.1; }
test "$1" = create && echo "$2:latest  abc  144 MB" >> created
exit 0
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalProgramService:
    """With two exports, of which the second failed a check; both programs are there."""
    programs, folder = tmp_path / "bin", tmp_path / "export"
    for place in (programs, folder, tmp_path / ".lmstudio" / "models"):
        place.mkdir(parents=True)
    (programs / "ollama").write_text(OLLAMA)
    (programs / "ollama").chmod(0o755)
    (programs / "created").write_text("orders-q8_0-2:latest  abc  144 MB\n")
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (folder / "orders-Q8_0.gguf").write_bytes(b"GGUF")
    exports: Any = SimpleNamespace(
        exports=lambda run: [line(folder), line(folder, "2", ok=False)]
    )
    return LocalProgramService(exports, HOME)


def line(folder: Path, export: str = "1", *, ok: bool = True) -> ExportStatus:
    check, sizes = (
        Check(ok=ok, sentence="The same."),
        (GgufFile(kind="Q8_0", file="orders-Q8_0.gguf", bytes=1),),
    )
    result = ExportResult(to="gguf:Q8_0", checks=(check,), sizes=sizes)
    return ExportStatus(job(export, State.COMPLETED, name="gguf:Q8_0"), folder, result)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_ollama_gets_a_free_name(service: LocalProgramService, tmp_path: Path) -> None:
    assert (service.installed(), service.add("run", "1", "Ollama")) == (
        ["Ollama", "LM Studio"],
        "orders-q8_0-3",
    )
    asked = (tmp_path / "bin" / "asked").read_text().splitlines()
    created = f"{tmp_path / 'export'}|4|create orders-q8_0-3 -f orders-Q8_0.Modelfile"
    assert asked == [f"{tmp_path / 'export'}|1|list", created]
    with ThreadPoolExecutor() as clicks:
        names = clicks.map(lambda _: service.add("run", "1", "Ollama"), range(2))
    assert sorted(names) == ["orders-q8_0-4", "orders-q8_0-5"]
    (tmp_path / "bin" / "down").touch()
    with pytest.raises(RunProblem, match="could not connect to ollama"):
        service.add("run", "1", "Ollama")
    (tmp_path / "bin" / "ollama").unlink()
    with pytest.raises(MissingPart):
        service.add("run", "1", "Ollama")


def test_lm_studio_gets_a_file_and_keeps_what_it_has(
    service: LocalProgramService, tmp_path: Path
) -> None:
    models = tmp_path / ".lmstudio" / "models" / "apprentice"
    for name in ("orders-Q8_0", "orders-Q8_0-2"):
        assert service.add("run", "1", "LM Studio") == name
        assert [file.read_bytes() for file in (models / name).iterdir()] == [b"GGUF"]
        (models / name / "orders-Q8_0.gguf").unlink()
        (models / name / "orders-Q8_0.gguf").write_bytes(name.encode())
    assert (models / "orders-Q8_0" / "orders-Q8_0.gguf").read_bytes() == b"orders-Q8_0"
    (tmp_path / "export" / "orders-Q8_0.gguf").unlink()
    with pytest.raises(
        WorkspaceProblem, match=r"LM Studio\. The system reports: No such file"
    ):
        service.add("run", "1", "LM Studio")
    assert sorted(path.name for path in models.iterdir()) == [
        "orders-Q8_0",
        "orders-Q8_0-2",
    ]


def test_only_a_checked_file_of_this_run_and_a_known_program(
    service: LocalProgramService, tmp_path: Path
) -> None:
    for export, program in (
        ("2", "Ollama"),
        ("3", "Ollama"),
        ("1", "rm -rf"),
        ("../1", "LM Studio"),
    ):
        with pytest.raises(RunProblem):
            service.add("run", export, program)
    assert LocalProgramService(service._results, DEMO).installed() == []
    assert 'data-do="Ollama" data-value="1"' in views.export(
        line(tmp_path), "", ["Ollama"]
    )
    assert "data-do" not in views.export(line(tmp_path, ok=False), "", ["Ollama"])
    assert "ollama run orders-q8_0-2" in views.added("Ollama", "orders-q8_0-2", "")
    (tmp_path / ".lmstudio" / "models").rmdir()
    assert service.installed() == ["Ollama"]
    assert local_programs.lm_studio_models() is None
