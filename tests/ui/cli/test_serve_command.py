"""`serve-model` answers with the key and leaves nothing running; `space` says which
commands come next.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from backend.export import space
from backend.models import bundled
from backend.settings import HOME_VARIABLE, PROJECT_ROOT, Workspace
from jobs import store
from jobs.folder import JobFolder
from jobs.records import Identity, State
from tests.backend.synthetic import make_adapter, make_finished_run
from tests.backend.test_child_process import gone
from ui.cli.main import main


@pytest.fixture
def serving(workspace_with_layers: Workspace) -> Iterator[subprocess.Popen[str]]:
    model, spec = bundled.folder(workspace_with_layers), dict[str, Any]()

    def prepare(folder: Path) -> None:
        make_adapter(make_finished_run(folder, model, bundled.MODEL_ID), model)
        spec.update(json.loads((folder / "spec.json").read_text("utf-8")))

    run = store.create(
        workspace_with_layers,
        Identity(kind="train", name="Orders", created=1.0),
        spec,
        prepare,
    )
    run.write_status(run.status().ended_as(State.COMPLETED))
    environment = {**os.environ, HOME_VARIABLE: str(workspace_with_layers.root)}
    with subprocess.Popen(
        [sys.executable, "app.py", "serve-model", run.id, "--json"], cwd=PROJECT_ROOT, env=environment,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def endpoint_job(workspace: Workspace) -> JobFolder:
    return next(
        folder
        for folder in store.folders(workspace)
        if folder.identity().kind == "serve"
    )


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize("number", ["SIGHUP", "SIGKILL"])
def test_the_endpoint_and_its_model_end_with_a_closed_terminal_and_a_killed_command(
    serving: subprocess.Popen[str], workspace_with_layers: Workspace, number: str
) -> None:
    url = json.loads(serving.stdout.readline())["url"]
    worker = endpoint_job(workspace_with_layers).status().pid
    assert worker
    processes = [
        worker,
        *(child.pid for child in psutil.Process(worker).children(recursive=True)),
    ]
    assert len(processes) > 1, "the model is in a process of its own"
    serving.send_signal(getattr(signal, number))
    serving.wait(30)
    assert all(map(gone, processes))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models")


@pytest.mark.skipif(os.name == "nt", reason="a signal ends a process at once there")
def test_a_model_is_served_until_stopped(
    serving: subprocess.Popen[str], workspace_with_layers: Workspace
) -> None:
    assert serving.stdout
    with serving:
        ready = json.loads(serving.stdout.readline())
        listed = httpx.get(
            f"{ready['url']}/models",
            headers={"Authorization": f"Bearer {ready['key']}"},
        )
        assert [one["id"] for one in listed.json()["data"]] == [ready["model"]]
        assert httpx.get(f"{ready['url']}/models").status_code == 401
        for _ in range(2):  # an impatient person
            serving.send_signal(signal.SIGINT)
        serving.terminate()
        assert serving.stdout.read() == ""
    job = endpoint_job(workspace_with_layers).job()
    assert job.state is State.STOPPED
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{ready['url']}/models")
    files = [
        path
        for path in workspace_with_layers.run_folder(job.id).iterdir()
        if path.is_file()
    ]
    stored = b"".join(path.read_bytes() for path in files)
    assert ready["key"].encode() not in stored


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    calls: list[tuple[Path, str]] = []

    def write(folder: Path, hardware: str) -> space.Space:
        calls.append((folder, hardware))
        return space.Space(folder, hardware, 3, 5_000_000)

    monkeypatch.setattr(space, "write", write)
    return calls


def test_next_steps_follow(
    asked: list[tuple[Path, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert main(["space", "-o", str(out), "--workspace", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "3 files, 4.8 MB" in text
    assert "--flavor zero-a10g" in text
    assert f"hf upload YOU/NAME {out} . --repo-type space" in text
    assert asked == [(out, "zero-a10g")]


def test_json_is_a_document(
    asked: list[tuple[Path, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert (
        main(
            [
                "space",
                "-o",
                str(out),
                "--flavor",
                "cpu-basic",
                "--json",
                "--workspace",
                str(tmp_path),
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(out), "hardware": "cpu-basic", "files": 3, "bytes": 5_000_000,
    }  # fmt: skip
