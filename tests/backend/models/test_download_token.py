"""Downloads of models that need an access token: it reaches the hub, and nobody and nothing else."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from backend.errors import MissingPart
from backend.models import catalogue, download, hub_token, local
from backend.settings import Workspace
from jobs import process, worker
from jobs.records import State
from jobs.runner import Runner
from tests.backend import keyring_in_file
from tests.backend.keyring_in_file import NONE
from tests.backend.models.model_hub import COMMIT, MODEL, SIGNATURE, FakeWork, Hub, pin


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
