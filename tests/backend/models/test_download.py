"""Downloads from a local stand-in for the hub: complete, resumed, stopped, denied, and never more than needed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from backend.errors import BadInput, MissingPart, NotEnough, WorkspaceProblem
from backend.models import catalogue, download, hub_token, local
from backend.models import hub as hub_client
from backend.records.events import Event
from backend.settings import Workspace
from jobs import process, worker
from jobs.records import State
from jobs.runner import Runner
from tests.backend import keyring_in_file
from tests.backend.keyring_in_file import NONE

MODEL = "HuggingFaceTB/SmolLM2-360M-Instruct"
COMMIT = "a" * 40
SIGNATURE = "s1gned"
WEIGHTS = bytes(range(256)) * 16000  # 4 MB


class Request(NamedTuple):
    """One that the stand-in got: its Host, Range and Authorization headers."""

    path: str
    host: str
    range: str | None
    authorization: str | None


@dataclass
class Hub:
    """What the stand-in has, and the requests it got.

    status: its answer; if `listed`, for files only. broken: it hangs up once after so many bytes. signed: weights are
    redirected to a signed address on another host, which answers with this status; 0 for no redirect.
    """

    files: dict[str, bytes]
    status: int = 200
    listed: bool = False
    commit: str = COMMIT
    broken: int | None = None
    signed: int = 0
    sha256: str = ""
    address: str = ""
    requests: list[Request] = field(default_factory=list)

    def file_names(self) -> list[str]:
        return [request.path.rpartition("/")[2] for request in self.requests if "/resolve/" in request.path]

    def listing(self) -> dict[str, Any]:
        def one(name: str, content: bytes) -> dict[str, Any]:
            large = name.endswith(".safetensors")
            sha = self.sha256 or hashlib.sha256(content).hexdigest()
            return {"rfilename": name, "size": len(content), **({"lfs": {"sha256": sha}} if large else {})}

        return {"sha": self.commit, "siblings": [one(*file) for file in self.files.items()]}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    served = Hub(
        {
            "config.json": json.dumps({"model_type": "llama"}).encode(),
            "tokenizer.json": b"{}",
            "README.md": b"not wanted",
            "pytorch_model.bin": b"never",
            "modeling_own.py": b"never",
            "onnx/model.safetensors": b"never",
            "model.safetensors": WEIGHTS,
        }
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = self.headers
            request = Request(self.path, headers["Host"], headers["Range"], headers["Authorization"])
            served.requests.append(request)
            name = re.sub(r".*/resolve/\w+/", "", self.path)
            if served.signed and name == "model.safetensors":
                self.send_response(302)
                port = server.server_port
                self.send_header(
                    "Location", f"http://localhost:{port}/resolve/cdn/model.safetensors?Signature={SIGNATURE}"
                )
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if SIGNATURE in name and served.signed != 200:
                self.send_error(served.signed)
                return
            name = name.removesuffix(f"?Signature={SIGNATURE}")
            content = served.files.get(name, json.dumps(served.listing()).encode())
            start = int(re.sub(r"\D", "", self.headers["Range"] or "0"))
            denied = served.status != 200 and not (served.listed and "/api/" in self.path)
            self.send_response(served.status if denied else 206 if self.headers["Range"] else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if name.endswith(".safetensors") and served.broken is not None:
                content, served.broken = content[: start + served.broken], None
            self.wfile.write(content[start:])

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(hub_token, "find", lambda: None)
    monkeypatch.setattr(hub_client, "_PAUSE", 0.0)
    pin(monkeypatch, "")
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def pin(monkeypatch: pytest.MonkeyPatch, commit: str, gated: bool = False) -> None:
    """Has the catalogue pin MODEL to `commit` ("": to none), and list it as `gated`."""
    entry = catalogue.find(MODEL).model_copy(update={"revision": commit, "gated": gated})
    monkeypatch.setattr(catalogue, "find", lambda model_id: entry)


@dataclass
class FakeWork:
    """A worker's context in which the person stops the download at `stop_at` MiB."""

    workspace: Workspace
    spec: dict[str, Any] = field(default_factory=lambda: {"model": MODEL})
    stop_at: int | None = None
    reached: list[tuple[int, int]] = field(default_factory=list)

    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None:
        self.reached.append((done, total))

    def emit(self, event: Event) -> None: ...

    def should_stop(self) -> bool:
        return self.stop_at is not None and self.reached[-1][0] >= self.stop_at


@pytest.fixture
def work(hub: Hub, tmp_path: Path) -> FakeWork:
    return FakeWork(Workspace.open(tmp_path / "home"))


def test_a_model_is_downloaded_completely_and_nothing_else(hub: Hub, work: FakeWork) -> None:
    result = download.run(work)
    place = local.folder(work.workspace, MODEL)
    assert sorted(path.name for path in place.iterdir()) == [
        "MANIFEST.json", "config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert (place / "model.safetensors").read_bytes() == WEIGHTS
    assert result["revision"] == COMMIT == local.reference(work.workspace, MODEL).revision
    assert MODEL in catalogue.installed(work.workspace)
    assert work.reached[-2] == (3, 3)  # MiB
    assert hub.file_names()[-1] == "model.safetensors"  # the small files come first and are checked


def test_an_installed_model_is_not_downloaded_again(hub: Hub, work: FakeWork) -> None:
    download.run(work)
    hub.requests.clear()
    assert download.run(work)["revision"] == COMMIT
    assert hub.requests == []


def test_a_stopped_download_resumes_at_its_last_byte(hub: Hub, work: FakeWork) -> None:
    work.stop_at = 1
    assert download.run(work) == {}
    assert not local.is_ready(work.workspace, MODEL)
    assert download.has_partial(work.workspace, MODEL)
    work.stop_at, hub.requests[:] = None, []
    download.run(work)
    assert not download.has_partial(work.workspace, MODEL)
    ranges = [request.range for request in hub.requests if request.path.endswith("model.safetensors")]
    assert ranges == ["bytes=2097152-"]
    assert (local.folder(work.workspace, MODEL) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_stop_during_the_check_takes_effect_and_nothing_is_downloaded_again(hub: Hub, work: FakeWork) -> None:
    checking = (0, 0)  # the progress of a phase without a count
    work.should_stop = lambda: len(work.reached) > 1 and work.reached[-1] == checking  # type: ignore[method-assign]
    assert download.run(work) == {}
    assert not local.is_ready(work.workspace, MODEL)
    work.should_stop, hub.requests[:] = lambda: False, []  # type: ignore[method-assign]
    assert download.run(work)["revision"] == COMMIT
    assert hub.file_names() == []


@pytest.mark.parametrize("stop_at", [1, None])
def test_a_complete_or_partial_download_can_be_deleted(hub: Hub, work: FakeWork, stop_at: int | None) -> None:
    work.stop_at = stop_at
    download.run(work)
    assert download.delete(work.workspace, MODEL) > 1
    assert not local.is_ready(work.workspace, MODEL)
    assert not list(work.workspace.models.rglob("*.safetensors*"))
    with pytest.raises(BadInput, match="can't be deleted"):
        download.delete(work.workspace, MODEL)


def test_a_running_download_cannot_be_deleted(hub: Hub, work: FakeWork) -> None:
    def should_stop() -> bool:
        if len(work.reached) == 2:
            with pytest.raises(BadInput, match="being downloaded"):
                download.delete(work.workspace, MODEL)
        return False

    work.should_stop = should_stop  # type: ignore[method-assign]
    download.run(work)
    assert local.is_ready(work.workspace, MODEL)


def test_another_commit_in_the_cache_is_not_the_pinned_one(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshot = tmp_path / "cache" / f"models--{MODEL.replace('/', '--')}" / "snapshots" / ("d" * 40)
    snapshot.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (snapshot / name).write_bytes(hub.files[name])
    assert download.run(work)["revision"] == "d" * 40  # any commit will do
    assert hub.requests == []
    pin(monkeypatch, COMMIT)
    assert download.run(work)["revision"] == COMMIT
    assert local.folder(work.workspace, MODEL).parent == work.workspace.models


def test_a_broken_connection_is_resumed(hub: Hub, work: FakeWork) -> None:
    hub.broken = 700_000
    download.run(work)
    assert hub.file_names().count("model.safetensors") == 2
    assert (local.folder(work.workspace, MODEL) / "model.safetensors").read_bytes() == WEIGHTS


def test_much_more_than_the_hub_announced_is_not_stored(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = hub.listing()
    short = [{**one, "size": min(one["size"], 1000)} for one in truth["siblings"]]
    monkeypatch.setattr(hub, "listing", lambda: {**truth, "siblings": short})
    with pytest.raises(MissingPart):
        download.run(work)
    [part] = work.workspace.models.rglob("model.safetensors*")
    assert part.stat().st_size <= 1 << 20


def test_a_new_version_starts_over(hub: Hub, work: FakeWork) -> None:
    work.stop_at = 1
    download.run(work)
    work.stop_at, hub.commit, hub.requests[:] = None, "b" * 40, []
    assert download.run(work)["revision"] == "b" * 40
    assert [request.range for request in hub.requests if request.path.endswith("model.safetensors")] == ["bytes=0-"]


def test_a_pinned_model_is_never_replaced_by_another_version(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, "c" * 40)
    with pytest.raises(MissingPart, match="different version"):
        download.run(work)
    assert hub.requests[0].path.split("?")[0].endswith(f"/revision/{'c' * 40}")
    assert hub.file_names() == []


def test_damaged_weights_are_deleted(hub: Hub, work: FakeWork) -> None:
    hub.sha256 = "0" * 64
    with pytest.raises(MissingPart, match="damaged"):
        download.run(work)
    assert not local.is_ready(work.workspace, MODEL)


@pytest.mark.parametrize(
    ("status", "token", "why"),
    [
        (401, None, "there is no access token"),
        (401, "hf_secret", "does not accept"),
        (403, "hf_secret", "not been given access"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_gated_model_explains_how_to_get_access(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch, status: int, token: str | None, why: str, listed: bool
) -> None:
    """listed: the hub lists the files publicly, but denies access to them."""
    hub.status, hub.listed = status, listed
    pin(monkeypatch, "", gated=True)
    monkeypatch.setattr(hub_token, "find", lambda: token)
    with pytest.raises(MissingPart, match="don't have access") as denied:
        download.run(work)
    assert why in denied.value.why
    assert "huggingface.co/settings/tokens" in denied.value.next
    assert not download.has_partial(work.workspace, MODEL)


def test_the_token_is_sent_to_the_hub_and_written_to_no_file(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, "", gated=True)
    monkeypatch.setattr(hub_token, "find", lambda: "hf_secret")
    download.run(work)
    assert {request.authorization for request in hub.requests} == {"Bearer hf_secret"}
    assert not any(b"hf_secret" in path.read_bytes() for path in work.workspace.root.rglob("*") if path.is_file())


def test_the_token_is_not_sent_to_the_host_of_a_redirect(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, "", gated=True)
    monkeypatch.setattr(hub_token, "find", lambda: "hf_secret")
    hub.signed = 200
    download.run(work)
    redirected = [request for request in hub.requests if request.host.startswith("localhost")]
    assert [SIGNATURE in request.path for request in redirected] == [True]
    assert redirected[0].authorization is None
    assert {one.authorization for one in hub.requests if one not in redirected} == {"Bearer hf_secret"}


def test_a_public_model_is_downloaded_without_a_token(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_token, "find", lambda: pytest.fail("the keyring is opened"))
    download.run(work)
    assert {request.authorization for request in hub.requests} == {None}


@pytest.mark.parametrize("answer", [200, 500])
def test_signed_addresses_are_not_logged(
    hub: Hub, work: FakeWork, caplog: pytest.LogCaptureFixture, answer: int
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.NOTSET, "httpx")
    worker.set_up_logging()
    hub.signed = answer
    try:
        download.run(work)
    except MissingPart:
        logging.exception("as the worker logs it, with its causes")
    assert any(SIGNATURE in request.path for request in hub.requests)
    assert local.is_ready(work.workspace, MODEL) == (answer == 200)
    assert SIGNATURE not in caplog.text


def test_custom_code_is_dropped_if_transformers_has_a_class_for_the_model(hub: Hub, work: FakeWork) -> None:
    own = {"auto_map": {"AutoConfig": "configuration_own.Own"}}
    hub.files["config.json"] = json.dumps({"model_type": "phi3", **own}).encode()
    download.run(work)
    place = local.folder(work.workspace, MODEL)
    assert "auto_map" not in (place / "config.json").read_text()
    assert list(place.glob(".*.tmp")) == []


def test_a_model_that_needs_its_own_code_is_rejected_before_its_weights(hub: Hub, work: FakeWork) -> None:
    hub.files["config.json"] = json.dumps({"model_type": "own", "auto_map": {}}).encode()
    with pytest.raises(WorkspaceProblem, match="not downloaded"):
        download.run(work)
    assert "model.safetensors" not in hub.file_names()


@pytest.mark.parametrize(("missing", "word"), [("model.safetensors", "safetensors"), ("tokenizer.json", "tokenizer")])
def test_a_model_that_could_not_be_loaded_is_rejected_before_the_download(
    hub: Hub, work: FakeWork, missing: str, word: str
) -> None:
    """Such as one with pickled weights only."""
    del hub.files[missing]
    with pytest.raises(MissingPart) as rejected:
        download.run(work)
    assert word in rejected.value.why
    assert hub.file_names() == []


def test_a_full_disk_is_reported_before_the_download(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_DISK_RESERVE_MIB", 1 << 40)
    with pytest.raises(NotEnough, match="disk space"):
        download.run(work)
    assert hub.file_names() == []


def test_a_missing_network_is_reported(work: FakeWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingPart, match="no network"):
        download.run(work)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingPart, match="no network"):
        download.run(work)
    assert not download.has_partial(work.workspace, MODEL)


def test_only_workers_that_use_the_hub_get_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.process import environment
    from jobs.registry import JOB_TYPES

    def tokens() -> dict[str, str]:
        """The token that each kind of worker gets."""
        found = {
            kind: environment(Workspace(tmp_path), one.secrets).get("HF_TOKEN") for kind, one in JOB_TYPES.items()
        }
        return {kind: token for kind, token in found.items() if token is not None}

    keyring_in_file.install(monkeypatch, tmp_path, NONE)
    assert tokens() == {}
    hub_token.save("hf_typed")
    assert tokens() == {"download": "hf_typed", "push": "hf_typed"}
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert tokens() == {"download": "hf_secret", "push": "hf_secret"}
    assert os.environ["HF_TOKEN"] == "hf_secret"


@pytest.mark.parametrize(("backend", "place"), [(f"{keyring_in_file.__name__}.Keyring", "keyring"), (NONE, "memory")])
def test_a_typed_token_reaches_the_hub_through_a_real_worker_and_no_file(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, place: str
) -> None:
    gated = "meta-llama/Llama-3.2-1B-Instruct"
    hub.commit = next(entry.revision for entry in catalogue.entries() if entry.id == gated) or COMMIT
    keyring_in_file.install(monkeypatch, tmp_path, backend)
    assert hub_token.save("hf_typed_by_a_person") == place
    runner = Runner(Workspace.open(tmp_path / "home"))
    job = runner.wait(runner.submit("download", {"model": gated}, "Download"))
    if worker_left := process._children.pop((job.id, 1), None):  # else it has already been reaped
        worker_left.wait()
    assert job.state is State.COMPLETED, job.failure
    assert {request.authorization for request in hub.requests} == {"Bearer hf_typed_by_a_person"}
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert {"job.json", "spec.json", "events.jsonl", "log.txt"} <= {path.name for path in files}
    assert [path for path in files if b"hf_typed_by_a_person" in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("model.safetensors", True),
        ("model-00001-of-00004.safetensors", True),
        ("model.safetensors-00001-of-00002.safetensors", True),  # as Qwen3.5 is published
        ("model.safetensors.index.json", True),
        ("adapter_model.safetensors", False),
        ("onnx/model.safetensors", False),
        ("pytorch_model.bin", False),
        ("modeling_own.py", False),
    ],
)
def test_files_are_selected_by_their_published_names(name: str, wanted: bool) -> None:
    assert bool(hub_client._WANTED.fullmatch(name)) == wanted
