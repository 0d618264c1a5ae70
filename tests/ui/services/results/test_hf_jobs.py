"""Training a run with Hugging Face Jobs, against a stand-in for the hub on this computer.

The stand-in answers as the hub's documentation and client say. Not covered: the upload of the files' content, which
goes through another service (Xet) in native code; what would be uploaded is recorded instead.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ApprenticeError, BadInput, BadSetting, MissingPart, RunProblem
from backend.export import hf_jobs
from jobs.records import State
from tests.backend.tiny_run import run_of
from tests.ui.web.html.test_compare_runs import ROW
from tests.ui.web.test_page import tabs
from ui.cli.main import main
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.share import hf_jobs_card

SECRET = "hf_secret"
HARDWARE = [
    {"name": "a10g-small", "prettyName": "Nvidia A10G - small", "cpu": "4 vCPU", "ram": "15 GB",
     "accelerator": {"type": "gpu", "model": "A10G", "quantity": "1", "vram": "24 GB", "manufacturer": "Nvidia"},
     "unitCostMicroUSD": 16667, "unitCostUSD": 0.016667, "unitLabel": "minute"},
    {"name": "cpu-basic", "prettyName": "CPU Basic", "cpu": "2 vCPU", "ram": "16 GB",
     "unitCostMicroUSD": 167, "unitCostUSD": 0.000167, "unitLabel": "minute"},
]  # fmt: skip


class Hub(ThreadingHTTPServer):
    """Records its requests and answers like the hub."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.requests: list[tuple[str, str, str, Any]] = []
        self.private, self.status = True, 200

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        sent = json.loads(body) if body else None
        self.server.requests.append((self.command, self.path, self.headers.get("authorization") or "", sent))
        bucket = {"id": "ana/jobs-artifacts", "private": self.server.private, "createdAt": "2026-11-24T12:00:00.000Z",
                  "size": 0, "totalFiles": 0}  # fmt: skip
        known: dict[str, Any] = {
            "/api/whoami-v2": {"name": "ana", "type": "user"},
            "/api/jobs/hardware": HARDWARE,
            "/api/buckets/ana/jobs-artifacts": {**bucket, "url": f"{self.server.address}/buckets/ana/jobs-artifacts"},
            "/api/jobs/ana": {"id": "job1", "owner": {"id": "1", "name": "ana", "type": "user"},
                              "status": {"stage": "SCHEDULING"}, "volumes": (sent or {}).get("volumes")},
        }  # fmt: skip
        status = self.server.status if self.path in known else 404
        answer = json.dumps(known[self.path] if status == 200 else {"error": "no"}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in; its `uploaded` holds the files that would be uploaded."""
    from huggingface_hub import HfApi, constants

    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uploaded: dict[str, bytes] = {}

    def batch(_: Any, bucket_id: str, *, add: list[tuple[Path, str]], token: Any = None) -> None:
        assert bucket_id == "ana/jobs-artifacts"
        uploaded.update({name: Path(path).read_bytes() for path, name in add})

    server.uploaded = uploaded  # type: ignore[attr-defined]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "batch_bucket_files", batch)
    monkeypatch.setattr(hf_jobs, "api", lambda token: HfApi(endpoint=server.address, token=token))
    monkeypatch.setattr(hf_jobs, "token", lambda: SECRET)
    yield server
    server.shutdown()
    server.server_close()


def with_script(app: App, tmp_path: Path, model_id: str = "") -> str:
    """A run with an exported script. model_id: its base model, if it matters."""
    work = run_of(tmp_path / "made", tmp_path, [ROW] * 8, [ROW])
    work.spec["model"]["id"] = model_id or work.spec["model"]["id"]
    runner = app.runner
    run = runner.submit("train", work.spec, "Orders")
    runner.stop(run)
    export = runner.submit("export", {"run": run, "to": "script"}, "script", parent=run)
    runner.stop(export)
    status = app.workspace.runs / export / "status.json"
    done = {**json.loads(status.read_text()), "state": State.COMPLETED, "result": {"folder": "toy-script"}}
    status.write_text(json.dumps(done))
    folder = app.workspace.exports / export / "toy-script"
    for name in ("data/train.jsonl", "data/validation.jsonl", "tokenizer/tokenizer.json", "train.py",
                 "start/adapter_model.safetensors", "extra.txt"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    return run


def test_prices_are_per_hour_cheapest_first(hub: Hub) -> None:
    computers = hf_jobs.prices()
    assert [(one.flavor, one.memory) for one in computers] == [("cpu-basic", ""), ("a10g-small", "1 x 24 GB")]
    assert computers[1].cost == pytest.approx(1.00002)
    assert all(not authorization for _, _, authorization, _ in hub.requests)  # prices are public
    for hours in (25, 0.0001, 0, float("nan")):  # 0 seconds would be no limit at all
        with pytest.raises(BadSetting):
            hf_jobs.max_cost(computers[0], hours)


def test_a_run_is_submitted_only_with_consent(hub: Hub, app: App, tmp_path: Path) -> None:
    run = with_script(app, tmp_path)
    app.hf_jobs.look_up_computers()
    with pytest.raises(BadInput, match="Nothing was sent") as refused:
        app.hf_jobs.submit(run, "a10g-small", 2, agreed=False)
    assert "$2.00" in refused.value.why
    assert not hub.uploaded  # type: ignore[attr-defined]
    assert {path for _, path, _, _ in hub.requests} == {"/api/jobs/hardware"}

    sent = app.hf_jobs.submit(run, "a10g-small", 2, agreed=True)
    names = {name.partition("/")[2] for name in hub.uploaded}  # type: ignore[attr-defined]
    assert names == set(app.hf_jobs.uploads(run)) == {"train.py", "train.jsonl", "validation.jsonl",
                                                      "tokenizer.json", "adapter_model.safetensors"}  # fmt: skip
    (job,) = [body for _, path, _, body in hub.requests if path == "/api/jobs/ana"]
    assert job["command"] == [
        "uv", "run", "/data/train.py", "--train", "/data/train.jsonl", "--validation", "/data/validation.jsonl",
        "--out", "/data/out", "--tokenizer", "/data/tokenizer.json", "--start", "/data/adapter_model.safetensors",
    ]  # fmt: skip
    assert (job["flavor"], job["timeoutSeconds"]) == ("a10g-small", 7200)
    assert "secrets" not in job  # the base model is open to all
    assert sent.at_most == pytest.approx(2.0, abs=0.01)
    assert sent.learned.endswith("/out")
    assert app.hf_jobs.submitted(run) == [sent]
    everything = "".join(path.read_text("utf-8", "replace") for path in app.workspace.root.rglob("*.json"))
    assert SECRET not in everything


def test_a_gated_base_model_needs_consent_to_send_the_token_as_a_secret(
    hub: Hub, app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_script(app, tmp_path, "google/gemma-3-270m-it")
    card = tabs(app)["share"].rent
    app.hf_jobs.look_up_computers()
    assert "as a secret" in card.offered(Choice(run_id=run), "cpu-basic", 1, False)[card.offer]
    with pytest.raises(BadInput) as refused:
        app.hf_jobs.submit(run, "cpu-basic", 1, agreed=False)
    assert "your access token" in refused.value.why
    command = ["rent", run, "--flavor", "cpu-basic", "--workspace", str(app.workspace.root)]
    assert main(command) == 1
    assert "access token" in "".join(capsys.readouterr())
    assert not hub.uploaded  # type: ignore[attr-defined]

    app.hf_jobs.submit(run, "cpu-basic", 1, agreed=True)
    (job,) = [body for _, path, _, body in hub.requests if path == "/api/jobs/ana"]
    assert job["secrets"] == {"HF_TOKEN": SECRET}


def test_a_local_base_model_cannot_be_trained_there(hub: Hub, app: App, tmp_path: Path) -> None:
    run = with_script(app, tmp_path, "local/mine-123456")
    app.hf_jobs.look_up_computers()
    with pytest.raises(RunProblem) as refused:
        app.hf_jobs.submit(run, "cpu-basic", 1, agreed=True)
    assert "folder on this computer" in refused.value.why
    assert {path for _, path, _, _ in hub.requests} == {"/api/jobs/hardware"}


def test_examples_are_never_uploaded_to_a_public_bucket(hub: Hub, app: App, tmp_path: Path) -> None:
    run = with_script(app, tmp_path)
    app.hf_jobs.look_up_computers()
    hub.private = False
    with pytest.raises(RunProblem) as refused:
        app.hf_jobs.submit(run, "cpu-basic", 1, agreed=True)
    assert "public" in refused.value.why
    assert not hub.uploaded  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "why"), [(401, "token is not valid"), (402, "payment method"), (500, "error 500")]
)
def test_an_error_of_the_hub_is_explained(hub: Hub, status: int, why: str) -> None:
    hub.status = status
    with pytest.raises(RunProblem) as refused:
        hf_jobs.prices()
    assert why in refused.value.why


def test_a_missing_network_is_explained(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    monkeypatch.setattr(hf_jobs, "api", lambda token: HfApi(endpoint="http://127.0.0.1:9", token=token))
    with pytest.raises(RunProblem) as refused:
        hf_jobs.prices()
    assert "can't be reached" in refused.value.why


def test_a_missing_token_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import keyring

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(keyring, "get_password", lambda *_: None)
    with pytest.raises(MissingPart, match="access token"):
        hf_jobs.token()
    monkeypatch.setattr(keyring, "get_password", lambda *_: "hf_saved")
    assert hf_jobs.token() == "hf_saved"


def test_the_page_shows_cost_and_files_before_consent(hub: Hub, app: App, tmp_path: Path) -> None:
    run = with_script(app, tmp_path)
    card = tabs(app)["share"].rent
    app.hf_jobs.look_up_computers()
    shown = card.offered(Choice(run_id=run), "a10g-small", 3, False)
    assert "$1.00" in shown[card.offer]
    assert "$3.00" in shown[card.offer]
    assert "train.jsonl" in shown[card.offer]
    assert "as a secret" not in shown[card.offer]
    assert shown[card.send]["interactive"] is False
    assert card.offered(Choice(run_id=run), "a10g-small", 3, True)[card.send]["interactive"] is True
    with pytest.raises(ApprenticeError):
        card.offered(Choice(run_id=run), "made-up", 3, True)


def test_a_link_leads_only_to_the_hub() -> None:
    evil = hf_jobs.SubmittedJob("1", "javascript:alert(1)", "cpu-basic", 1, 1, "x")
    assert hf_jobs_card.jobs([evil]) == ""


def test_the_command_lists_prices_and_submits_with_yes(
    hub: Hub, app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_script(app, tmp_path)
    workspace = ["--workspace", str(app.workspace.root), "--json"]
    assert main(["rent", run, *workspace]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["flavor"] for one in listed["computers"]] == ["cpu-basic", "a10g-small"]
    assert main(["rent", run, "--flavor", "cpu-basic", *workspace]) == 1
    assert "Nothing was sent" in json.loads(capsys.readouterr().out)["what"]
    assert main(["rent", run, "--flavor", "cpu-basic", "--hours", "0.5", "--yes", *workspace]) == 0
    assert json.loads(capsys.readouterr().out)["at_most"] == pytest.approx(0.00501)
