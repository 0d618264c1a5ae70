"""Adding a GGUF file to Ollama and LM Studio: a stand-in executable, and a folder."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import ApprenticeError, MissingPart, RunProblem
from backend.export import local_programs
from backend.records.exports import Check, ExportResult, GgufFile
from backend.settings import Workspace
from jobs.records import State
from ui.records.share import AddedStatus, ExportStatus
from ui.services.results.local_programs import LocalProgramService
from ui.web.share import views

OLLAMA = """#!/bin/sh
echo "$(pwd)|$#|$*" >> "$(dirname "$0")/asked"
test -f "$(dirname "$0")/down" && { echo "Error: could not connect to ollama"; exit 1; }
test "$1" = list && printf 'NAME  ID  SIZE\\norders-q8_0:latest  abc  144 MB\\norders-q8_0-2:latest  abc  144 MB\\n'
exit 0
"""
needs_sh = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs the job for a file of an export, with a home of its own and the stand-in on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ollama").write_text(OLLAMA)
    (programs / "ollama").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    (tmp_path / "home" / ".lmstudio" / "models").mkdir(parents=True)
    workspace = Workspace.open(tmp_path / "ws")
    folder = workspace.exports / "job-1"
    folder.mkdir(parents=True)
    (folder / "orders-Q8_0.gguf").write_bytes(b"GGUF")
    (folder / "orders-Q8_0.Modelfile").write_text("FROM ./orders-Q8_0.gguf\n")

    def run(program: str, stop: bool = False, **more: str) -> dict[str, Any]:
        spec = {"program": program, "export": "job-1", "file": "orders-Q8_0.gguf", **more}
        ways = {"progress": lambda *_: None, "alive": lambda: None, "should_stop": lambda: stop}
        return local_programs.run(SimpleNamespace(workspace=workspace, spec=spec, **ways))  # type: ignore[arg-type]

    return run


@needs_sh
def test_ollama_gets_a_free_name(add: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    assert local_programs.installed() == ["Ollama", "LM Studio"]
    assert add("Ollama") == {"program": "Ollama", "name": "orders-q8_0-3"}
    folder = tmp_path / "ws" / "exports" / "job-1"
    asked = (tmp_path / "bin" / "asked").read_text().splitlines()
    assert asked == [f"{folder}|1|list", f"{folder}|4|create orders-q8_0-3 -f orders-Q8_0.Modelfile"]
    (tmp_path / "bin" / "down").touch()
    with pytest.raises(RunProblem, match="could not connect to ollama"):
        add("Ollama")
    (tmp_path / "bin" / "ollama").write_text("#!/bin/sh\nsleep 60\n")
    assert add("Ollama", stop=True) == {}


def test_lm_studio_gets_a_file_and_keeps_what_it_has(add: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    models = tmp_path / "home" / ".lmstudio" / "models" / "apprentice"
    for name in ("orders-Q8_0", "orders-Q8_0-2"):
        assert add("LM Studio") == {"program": "LM Studio", "name": name}
        assert [file.name for file in (models / name).iterdir()] == ["orders-Q8_0.gguf"]
        (models / name / "orders-Q8_0.gguf").unlink()
        (models / name / "orders-Q8_0.gguf").write_bytes(name.encode())
    assert (models / "orders-Q8_0" / "orders-Q8_0.gguf").read_bytes() == b"orders-Q8_0"


def test_what_is_gone_is_a_sentence(add: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    for more in ({"file": "../../secret"}, {"export": ".."}, {"file": "other.gguf"}):
        with pytest.raises(ApprenticeError):
            add("LM Studio", **more)
    (tmp_path / "home" / ".lmstudio" / "models").rmdir()
    with pytest.raises(MissingPart, match="LM Studio"):
        add("LM Studio")


def line(*, ok: bool = True) -> ExportStatus:
    check, sizes = Check(ok=ok, sentence="The same."), (GgufFile(kind="Q8_0", file="orders-Q8_0.gguf", bytes=1),)
    result = ExportResult(to="gguf:Q8_0", checks=(check,), sizes=sizes)
    return ExportStatus("job-1", "gguf:Q8_0", State.COMPLETED, False, None, None, Path(), result)


def test_a_file_that_failed_a_check_is_not_offered() -> None:
    assert 'data-do="Ollama" data-value="job-1"' in views.exports([line()], "", ["Ollama"])
    assert "data-do" not in views.exports([line(ok=False)], "", ["Ollama"])
    added = [AddedStatus("2", "job-1", "Ollama", False, None, "orders-q8_0-2")]
    shown = views.exports([line()], "", ["Ollama"], added)
    assert "ollama run orders-q8_0-2" in shown
    assert "data-do" not in shown


def test_only_a_file_of_this_run_and_a_known_program_are_added() -> None:
    submitted: list[Any] = []
    runner = SimpleNamespace(submit=lambda *given, **_: submitted.append(given[1]) or "add-1", jobs=lambda **_: [])
    allowed = SimpleNamespace(require=lambda feature: None)
    exports = [line(), line(ok=False)]
    service = LocalProgramService(runner, SimpleNamespace(exports=lambda run: exports), allowed)  # type: ignore[arg-type]
    assert service.add("run", "job-1", "Ollama") == "add-1"
    for export, program in (("job-2", "Ollama"), ("job-1", "rm -rf"), ("", "")):
        with pytest.raises(RunProblem):
            service.add("run", export, program)
    assert submitted == [{"program": "Ollama", "export": "job-1", "file": "orders-Q8_0.gguf"}]
