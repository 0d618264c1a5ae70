"""Everything in one file: what it holds, that each part was checked, and the commands
for one's own computer.
"""

import json
import math
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.export import formats, space, take_home
from backend.files.json_file import write_json
from backend.models import bundled
from backend.records.specs import Descent, RunSpec
from backend.runs import about
from backend.runs.conversations import write_conversations
from backend.settings import Workspace, new_id
from tests.backend.export.test_export import Work, exported
from tests.backend.synthetic import make_adapter, make_finished_run
from tests.ui.fake_records import report_json
from ui.services.app import App

CHATS = [
    [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}]
    for question in ("Is it open?", "Wird geliefert?")
]


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path) -> Path:
    """The folder of a finished run of the tiny model, which llama.cpp does not support."""
    folder = Workspace.open(tmp_path / "workspace").runs / new_id()
    make_adapter(make_finished_run(folder, tiny_model, "tests/tiny"), tiny_model, 0.05)
    return with_examples(folder)


def with_examples(folder: Path) -> Path:
    write_conversations(folder, "train", CHATS[:1])
    write_conversations(folder, "held_out", CHATS[1:])
    return folder


def content(run: Path) -> tuple[dict[str, bytes], list[bool | None]]:
    """The files in the zip file by their paths, and how the checks ended."""
    work = Work(
        Workspace(run.parent.parent),
        {"run": run.name, "to": formats.HOME, "name": "Tiny"},
    )
    result = exported(work)
    assert [file.name for file in result.files] == ["tiny-everything.zip"]
    assert all(check.sentence for check in result.checks)
    with zipfile.ZipFile(work.published / "tiny-everything.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    readme = files["tiny/README.md"].decode()
    inside = {name.split("/")[1] for name in files} - {"README.md"}
    assert [
        name
        for name in inside
        if f"| `{name}` | " not in readme or f"| `{name}` |  |" in readme
    ] == []
    return files, [check.ok for check in result.checks]


def test_it_holds_what_was_learned_the_examples_and_the_script(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/demo")
    about.write(run, "Tiny", "mine")
    files, checks = content(run)
    assert {
        "tiny/tiny-adapter/adapter_model.safetensors",
        "tiny/tiny-script/train.py",
    } <= files.keys()
    assert not [name for name in files if name.endswith((".zip", ".gguf"))]
    assert [name for name in files if name.endswith("/run.json")] == [
        "tiny/apprentice/run.json"
    ], "the run once"
    assert json.loads(files["tiny/apprentice/run.json"])["note"] == "mine"
    assert None in checks, "there is no GGUF file"
    assert False not in checks
    assert [
        json.loads(line)["messages"]
        for line in files["tiny/examples.jsonl"].splitlines()
    ] == CHATS
    readme = files["tiny/README.md"].decode()
    assert "git clone https://huggingface.co/spaces/owner/demo" in readme
    assert "sh demo/apprentice/start.sh" in readme


@pytest.mark.parametrize(("perplexity", "taken"), [(2.0, True), (math.inf, False)])
def test_a_report_the_other_computer_would_refuse_is_left(
    perplexity: float, taken: bool, workspace: Workspace
) -> None:
    folder = workspace.runs / new_id()
    folder.mkdir()
    system = {"score": perplexity, "interval": [None, None]}
    systems = {"base": system, "tuned": system}
    write_json(
        folder / "evaluation.json",
        {**report_json(), "main_measure": "perplexity", "systems": systems},
    )
    source: Any = SimpleNamespace(
        workspace=workspace,
        requested=SimpleNamespace(evaluation=folder.name, scores="x"),
    )
    assert (take_home._evaluation(source) is not None) is taken


@pytest.mark.slow
def test_the_model_is_in_it_for_llama_cpp(
    workspace_with_model: Workspace, adapter: Path
) -> None:
    folder = workspace_with_model.runs / new_id()
    result = make_finished_run(
        folder, bundled.folder(workspace_with_model), bundled.MODEL_ID
    )
    shutil.copytree(adapter, result)
    files, checks = content(with_examples(folder))
    assert {"tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.Modelfile"} <= files.keys()
    assert checks.count(None) == 1, (
        "the script has nothing to compare with: this run is made up"
    )
    [zipped] = workspace_with_model.exports.rglob("*.zip")
    app = App(workspace_with_model)
    try:
        write_json(
            folder / "job.json", {"kind": "train", "name": "Orders", "created": 1.0}
        )
        write_json(folder / "status.json", {"state": "completed"})
        imported = app.model_imports.add(zipped)
        assert imported.note == ""
        before, after = (
            app.results.answer_once(run, "Is it open?")
            for run in (folder.name, imported.run_id)
        )
        assert before.text == after.text != ""
        assert before.engine == after.engine
    finally:
        app.close()
    assert False not in checks


def test_what_a_run_cannot_give_is_left_out(run: Path) -> None:
    spec = RunSpec.model_validate_json((run / "spec.json").read_text("utf-8"))
    full = spec.settings.model_copy(update={"method": "full"})
    assert (
        take_home.parts(spec.model_copy(update={"settings": full}), run)[0] == "merged"
    )
    continued = Descent.model_construct(weights="of another computer")
    assert "script" not in take_home.parts(
        spec.model_copy(update={"descent": continued}), run
    )


@pytest.mark.parametrize(
    "space_id", ["", "owner", "owner/demo; rm -rf /", "https://elsewhere.example/x"]
)
def test_there_are_no_commands_without_a_space(
    space_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", space_id)
    assert (space.address(), space.commands_at_home()) == ("", ())
    assert "git clone" not in take_home.readme(
        "tiny", ["examples.jsonl"], space.commands_at_home()
    )
