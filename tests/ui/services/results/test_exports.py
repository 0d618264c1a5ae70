"""An export that is here already is not made again; a model that an endpoint serves is
not deleted.
"""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadInput, RunProblem
from backend.files.json_file import read_json, write_json
from backend.models import catalogue
from backend.settings import Workspace, new_id
from tests.backend.synthetic import make_adapter, make_finished_run
from ui.cli.main import main
from ui.records.share import ExportStatus
from ui.services.app import App
from ui.services.results.exports import DAMAGED
from ui.web.share import views


def finished(workspace: Workspace, model: Path) -> tuple[str, Path]:
    """The id of a run that ended at 100, and the only file of its adapter's export,
    which was made from 110 on.
    """
    run, job = workspace.runs / new_id(), workspace.runs / new_id()
    make_adapter(make_finished_run(run, model, "tests/tiny"), model)
    write_json(run / "job.json", {"kind": "train", "name": "Orders", "created": 1.0})
    write_json(run / "status.json", {"state": "completed", "ended": 100.0})
    file = workspace.exports / job.name / "orders-adapter.zip"
    file.parent.mkdir()
    file.write_bytes(b"PK")
    job.mkdir()
    made = {"name": file.name, "bytes": 2, "sha256": hashlib.sha256(b"PK").hexdigest()}
    write_json(job / "spec.json", {"run": run.name, "to": "adapter", "name": "Orders"})
    write_json(
        job / "job.json",
        {"kind": "export", "name": "adapter", "parent": run.name, "created": 2.0},
    )
    result = {"to": "adapter", "files": [made], "checks": []}
    write_json(
        job / "status.json",
        {"state": "completed", "started": 110.0, "ended": 120.0, "result": result},
    )
    return run.name, file


def test_finished_work_is_not_repeated(
    bundled_model: Path, tmp_path: Path, workspace: Workspace
) -> None:
    run_id, file = finished(workspace, bundled_model)
    results = App(workspace).results
    assert results.finished_export(run_id, "merged") is None
    found = results.finished_export(run_id, "adapter")
    assert found.result.files[0].sha256 == hashlib.sha256(b"PK").hexdigest()
    options = [
        "export",
        run_id,
        "--to",
        "adapter",
        "-o",
        str(tmp_path / "out"),
        "--workspace",
        str(workspace.root),
    ]
    assert main(options) == 0
    assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes() == b"PK"
    write_json(
        workspace.runs / run_id / "status.json", {"state": "completed", "ended": 115.0}
    )
    assert results.finished_export(run_id, "adapter") is None, (
        "the run was resumed meanwhile"
    )
    write_json(
        workspace.runs / run_id / "status.json", {"state": "completed", "ended": 100.0}
    )
    App(workspace).versions.describe(run_id, name="Requests")
    assert results.finished_export(run_id, "adapter") is None, (
        "the file would have another name"
    )
    App(workspace).versions.describe(run_id, name="Orders")
    file.write_bytes(b"P")
    assert results.finished_export(run_id, "adapter") is None, "the file is not whole"


def with_result(
    workspace: Workspace, model: Path, result: dict[str, Any]
) -> ExportStatus:
    """The only export of a run, whose job stored this result."""
    run_id, file = finished(workspace, model)
    status = workspace.runs / file.parent.name / "status.json"
    write_json(status, {**read_json(status), "result": result})
    [export] = App(workspace).results.exports(run_id)
    return export


def test_the_result_of_an_older_version_is_read(
    bundled_model: Path, workspace: Workspace
) -> None:
    size = {
        "kind": "Q8_0",
        "bytes": 7,
        "kl": None,
        "same_choice": None,
        "places": 0,
        "too_narrow": 0.0,
    }
    older = {
        "to": "adapter",
        "files": [{"name": "orders-adapter.zip", "bytes": 2}],
        "checks": [{"ok": None, "sentence": "Not opened."}],
        "merge": {
            "ok": True,
            "sentence": "Kept.",
            "lost": None,
            "dtype": "bfloat16",
            "same_choice": 1.0,
            "tokens": 9,
        },
        "sizes": [{**size, "recommended": True}],
        "base": "trained",
    }
    export = with_result(workspace, bundled_model, older)
    assert export.job.failure is None
    assert export.result.passed
    assert (export.result.files[0].sha256, export.result.sizes[0].task) == ("", None)
    [run_id] = [job.id for job in App(workspace).runs.jobs()]
    assert App(workspace).results.finished_export(run_id, "adapter") is None, (
        "it merged into other weights"
    )


@pytest.mark.parametrize(
    "damage", [{"files": "none"}, {"files": [{"name": 1}]}, {"checks": [{"ok": False}]}]
)
def test_a_damaged_result_shows_in_its_card(
    bundled_model: Path, workspace: Workspace, damage: dict[str, Any]
) -> None:
    export = with_result(workspace, bundled_model, damage)
    assert export.job.failure == DAMAGED
    assert DAMAGED.next in views.export(export)
    [run_id] = [job.id for job in App(workspace).runs.jobs()]
    assert App(workspace).results.finished_export(run_id, "adapter") is None
    assert App(workspace).hub_pushes.forms(run_id) == []


def test_each_workspace_has_an_endpoint_of_its_own(
    bundled_model: Path, tmp_path: Path
) -> None:
    opened = []
    for owner in ("ana", "ben"):
        workspace = Workspace.open(tmp_path / owner)
        app, (run_id, _) = App(workspace), finished(workspace, bundled_model)
        endpoint, key = app.endpoints.start(run_id)  # queued: no runner ticks here
        with pytest.raises(RunProblem, match="Another endpoint"):
            app.endpoints.start(run_id)
        opened.append((endpoint.job.id, key))
    assert len({id for id, _ in opened}) == len({key for _, key in opened}) == 2


def test_a_served_model_is_not_deleted(
    bundled_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.open(tmp_path / "workspace")
    app, (run_id, _) = App(workspace), finished(workspace, bundled_model)
    base = catalogue.entries()[0]
    spec = app.runs.spec(run_id)
    served = spec.model_copy(
        update={"model": spec.model.model_copy(update={"id": base.id})}
    )
    monkeypatch.setattr(app.runs, "spec", lambda _: served)
    endpoint, _ = app.endpoints.start(run_id)
    for delete in (lambda: app.delete_run(run_id), lambda: app.remove_model(base.id)):
        with pytest.raises((RunProblem, BadInput), match="other programs") as refused:
            delete()
        assert "Stop it" in refused.value.next
    app.endpoints.stop(endpoint.job.id)
    app.delete_run(run_id)
    assert not app.runs.is_readable(run_id)
