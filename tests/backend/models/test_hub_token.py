"""The access token for the hub: where it is saved and found, and what is rejected."""

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keyring.core
import pytest
from keyring.errors import KeyringLocked

from backend.errors import BadInput, MissingPart
from backend.models import catalogue, download, hub_token, local
from backend.settings import Workspace
from jobs import process, worker
from jobs.records import State
from jobs.runner import Runner
from tests.backend import keyring_in_file
from tests.backend.keyring_in_file import NONE, Keyring
from tests.backend.models.model_hub import COMMIT, MODEL, SIGNATURE, FakeWork, Hub, pin

SECRET = "hf_" + "s3cr3t" * 6


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return keyring_in_file.install(monkeypatch, tmp_path)


def locked(*_: Any) -> Any:
    raise KeyringLocked("the window was dismissed")


def test_a_token_stays_in_the_keyring_until_it_is_deleted(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert (hub_token.source(), hub_token.storage()) == ("", "keyring")
    assert hub_token.save(f"  {SECRET}\n") == "keyring"
    assert (hub_token.find(), hub_token.source()) == (SECRET, "keyring")
    assert SECRET in file.read_text("utf-8")
    hub_token.delete()
    assert (hub_token.find(), hub_token.source()) == (None, "")
    assert SECRET not in file.read_text("utf-8")
    assert SECRET not in caplog.text
    assert hub_token.save(f"hf_{'a' * 197}") == "keyring", "the longest possible"


@pytest.mark.parametrize(
    "typed",
    [
        "", "hf_", "sk-abcdef", "my password", "hf_two words", "hf_two\nlines", "hf_nul\0", "hf_ключ",
        f"hf_{'a' * 198}",
    ],
)  # fmt: skip
def test_other_text_is_rejected_and_not_repeated(file: Path, typed: str) -> None:
    with pytest.raises(BadInput, match="not a Hugging Face access token") as rejected:
        hub_token.save(typed)
    assert typed in ("", "hf_") or typed not in str(rejected.value)
    assert hub_token.source() == ""


@pytest.mark.parametrize(
    "backend", [NONE, "keyring.backends.null.Keyring", "no.such.Keyring"]
)
def test_without_keyring_a_token_is_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str
) -> None:
    keyring_in_file.install(monkeypatch, tmp_path, backend)
    assert ((hub_token.source(), hub_token.storage()), hub_token.save(SECRET)) == (
        ("", "memory"),
        "memory",
    )
    assert (hub_token.find(), hub_token.source()) == (SECRET, "memory")
    hub_token.delete()
    assert hub_token.find() is None


def test_a_plain_text_keyring_or_one_that_rejects_is_not_used(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Keyring, "priority", 0.5)  # the library's priority for those
        assert hub_token.storage() == hub_token.save(SECRET) == "memory"
        assert not file.exists()
    monkeypatch.setattr(Keyring, "set_password", locked)
    assert hub_token.save(SECRET) == hub_token.source() == "memory"


def test_the_best_of_several_keyrings_is_used(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    plain = SimpleNamespace(priority=0.5, set_password=locked)
    several = SimpleNamespace(
        priority=10, backends=[plain, Keyring()], get_password=Keyring().get_password
    )
    monkeypatch.setattr(keyring.core, "_keyring_backend", several)
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"
    monkeypatch.setattr(several, "backends", [plain])
    assert hub_token.storage() == "memory"


def test_the_page_does_not_open_a_locked_keyring_again(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    reads: list[str] = []
    monkeypatch.setattr(
        Keyring, "get_password", lambda *_: reads.append("") or locked()
    )
    assert [hub_token.source() for _ in range(3)] == [""] * 3
    assert (len(reads), hub_token.storage()) == (1, "memory")
    assert hub_token.find() is None  # a download does
    assert len(reads) == 2


def test_the_page_reads_the_keyring_once_also_in_threads(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    reads: list[str] = []

    def slow(*_: str) -> None:
        reads.append("")
        time.sleep(0.3)

    monkeypatch.setattr(Keyring, "get_password", slow)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: hub_token.source(), range(4))) == [""] * 4
    assert [hub_token.source(), len(reads)] == ["", 1]
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"


def test_the_environment_takes_precedence_and_is_never_changed(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    hub_token.save(SECRET)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert (hub_token.find(), hub_token.source()) == ("hf_other", "environment")
    with pytest.raises(BadInput, match="not saved"):
        hub_token.save(SECRET)
    with pytest.raises(BadInput, match="could delete"):
        hub_token.delete()


def test_whitespace_around_a_token_in_the_environment_is_ignored(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "  ")
    assert hub_token.save("hf_own") == hub_token.source() == "keyring", (
        "blanks are no token"
    )
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\n")
    assert hub_token.find() == SECRET
    monkeypatch.setenv("HF_TOKEN", "hf_schlüssel")
    with pytest.raises(BadInput, match="can't be used") as rejected:
        hub_token.find()
    assert "schlüssel" not in str(rejected.value)


def test_a_token_in_a_locked_keyring_is_not_reported_as_deleted(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    hub_token.save(SECRET)
    with monkeypatch.context() as patch:
        patch.setattr(Keyring, "delete_password", locked)
        with pytest.raises(MissingPart, match="can't be used now"):
            hub_token.delete()
    monkeypatch.setattr(Keyring, "get_password", locked)
    with pytest.raises(MissingPart, match="can't be used now"):
        hub_token.delete()
    assert hub_token.storage() == "memory"
    monkeypatch.setattr(hub_token, "_in_keyring", None)
    assert hub_token.save("hf_another") == "memory", "what the page promises"


def test_the_token_of_a_login_is_found_last(file: Path, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_login\n")
    assert (hub_token.find(), hub_token.source()) == ("hf_login", "login")
    with pytest.raises(BadInput, match="could delete"):
        hub_token.delete()
    hub_token.save(SECRET)
    assert hub_token.find() == SECRET


@pytest.mark.parametrize(
    ("status", "token", "why"),
    [
        (401, None, "there is no access token"), (401, "hf_secret", "does not accept"),
        (403, "hf_secret", "not been given access"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("listed", [True, False])
def test_a_gated_model_explains_how_to_get_access(
    hub: Hub,
    work: FakeWork,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    token: str | None,
    why: str,
    listed: bool,
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


def test_the_token_goes_to_the_hub_and_in_no_file(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, "", gated=True)
    monkeypatch.setattr(hub_token, "find", lambda: "hf_secret")
    hub.signed = 200
    download.run(work)
    assert not any(
        b"hf_secret" in path.read_bytes()
        for path in work.workspace.root.rglob("*")
        if path.is_file()
    )
    redirected = [
        request for request in hub.requests if request.host.startswith("localhost")
    ]
    assert [SIGNATURE in request.path for request in redirected] == [True]
    assert redirected[0].authorization is None
    assert {one.authorization for one in hub.requests if one not in redirected} == {
        "Bearer hf_secret"
    }


def test_a_public_model_needs_no_token(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_token, "find", lambda: pytest.fail("the keyring is opened"))
    download.run(work)
    assert {request.authorization for request in hub.requests} == {None}


@pytest.mark.parametrize("answer", [200, 500])
def test_no_signed_address_is_logged(
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


def test_only_workers_that_use_the_hub_get_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.process import environment
    from jobs.registry import JOB_TYPES

    def tokens() -> dict[str, str]:
        """The token that each kind of worker gets."""
        found = (
            (kind, environment(Workspace(tmp_path), one.secrets))
            for kind, one in JOB_TYPES.items()
        )
        return {
            kind: variables["HF_TOKEN"]
            for kind, variables in found
            if "HF_TOKEN" in variables
        }

    keyring_in_file.install(monkeypatch, tmp_path, NONE)
    assert tokens() == {}
    hub_token.save("hf_typed")
    assert tokens() == {"download": "hf_typed", "push": "hf_typed"}
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert (tokens(), os.environ["HF_TOKEN"]) == (
        {"download": "hf_secret", "push": "hf_secret"},
        "hf_secret",
    )


@pytest.mark.parametrize(
    ("backend", "place"),
    [(f"{keyring_in_file.__name__}.Keyring", "keyring"), (NONE, "memory")],
)
def test_a_typed_token_reaches_the_hub_through_a_real_worker_and_no_file(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, place: str
) -> None:
    gated = "meta-llama/Llama-3.2-1B-Instruct"
    hub.commit = (
        next(entry.revision for entry in catalogue.entries() if entry.id == gated)
        or COMMIT
    )
    keyring_in_file.install(monkeypatch, tmp_path, backend)
    assert hub_token.save("hf_typed_by_a_person") == place
    runner = Runner(Workspace.open(tmp_path / "home"))
    job = runner.wait(runner.submit("download", {"model": gated}, "Download"))
    if worker_left := process._children.pop(
        (job.id, 1), None
    ):  # else it has already been reaped
        worker_left.wait()
    assert job.state is State.COMPLETED, job.failure
    assert {request.authorization for request in hub.requests} == {
        "Bearer hf_typed_by_a_person"
    }
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert {"job.json", "spec.json", "events.jsonl", "log.txt"} <= {
        path.name for path in files
    }
    assert [
        path for path in files if b"hf_typed_by_a_person" in path.read_bytes()
    ] == []
