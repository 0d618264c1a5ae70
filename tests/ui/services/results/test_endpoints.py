"""An endpoint belongs to one workspace, and what it serves can't be deleted under it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import BadInput, RunProblem
from backend.models import catalogue
from backend.settings import Workspace
from tests.ui.services.results.test_exports import finished
from ui.services.app import App


def test_each_workspace_has_an_endpoint_of_its_own(bundled_model: Path, tmp_path: Path) -> None:
    opened = []
    for owner in ("ana", "ben"):
        workspace = Workspace.open(tmp_path / owner)
        app, (run_id, _) = App(workspace), finished(workspace, bundled_model)
        endpoint, key = app.endpoints.start(run_id)  # queued: no runner ticks here
        with pytest.raises(RunProblem, match="Another endpoint"):
            app.endpoints.start(run_id)
        opened.append((endpoint.id, key))
    assert len({id for id, _ in opened}) == len({key for _, key in opened}) == 2


def test_a_model_that_is_served_is_not_deleted(
    bundled_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.open(tmp_path / "workspace")
    app, (run_id, _) = App(workspace), finished(workspace, bundled_model)
    base = catalogue.entries()[0]
    spec = app.runs.spec(run_id)
    served = spec.model_copy(update={"model": spec.model.model_copy(update={"id": base.id})})
    monkeypatch.setattr(app.runs, "spec", lambda _: served)
    endpoint, _ = app.endpoints.start(run_id)
    for delete in (lambda: app.delete_run(run_id), lambda: app.remove_model(base.id)):
        with pytest.raises((RunProblem, BadInput), match="other programs") as refused:
            delete()
        assert "Stop it" in refused.value.next
    app.endpoints.stop(endpoint.id)
    app.delete_run(run_id)
    assert not app.runs.is_readable(run_id)
