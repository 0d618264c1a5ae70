"""The access token for the hub: where it is saved and found, and what is rejected."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keyring.core
import pytest
from keyring.errors import KeyringLocked

from backend.errors import BadInput, MissingPart
from backend.models import hub_token
from tests.backend import keyring_in_file
from tests.backend.keyring_in_file import NONE, Keyring

SECRET = "hf_" + "s3cr3t" * 6


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return keyring_in_file.install(monkeypatch, tmp_path)


def locked(*_: Any) -> Any:
    raise KeyringLocked("the window was dismissed")


def test_a_token_stays_in_the_keyring_until_it_is_deleted(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert (hub_token.source(), hub_token.storage()) == ("", "keyring")
    assert hub_token.save(f"  {SECRET}\n") == "keyring"
    assert (hub_token.find(), hub_token.source()) == (SECRET, "keyring")
    assert SECRET in file.read_text("utf-8")
    hub_token.delete()
    assert (hub_token.find(), hub_token.source()) == (None, "")
    assert SECRET not in file.read_text("utf-8")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "hf_",
        "sk-abcdef",
        "my password",
        "hf_two words",
        "hf_two\nlines",
        "hf_nul\0",
        "hf_ключ",
        f"hf_{'a' * 198}",
    ],
)
def test_other_text_is_rejected_and_not_repeated(file: Path, typed: str) -> None:
    with pytest.raises(BadInput, match="not a Hugging Face access token") as rejected:
        hub_token.save(typed)
    assert typed in ("", "hf_") or typed not in str(rejected.value)
    assert hub_token.source() == ""


def test_the_longest_possible_token_is_saved(file: Path) -> None:
    assert hub_token.save(f"hf_{'a' * 197}") == "keyring"


@pytest.mark.parametrize("backend", [NONE, "keyring.backends.null.Keyring", "no.such.Keyring"])
def test_without_a_keyring_a_token_stays_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str
) -> None:
    keyring_in_file.install(monkeypatch, tmp_path, backend)
    assert (hub_token.source(), hub_token.storage()) == ("", "memory")
    assert hub_token.save(SECRET) == "memory"
    assert (hub_token.find(), hub_token.source()) == (SECRET, "memory")
    hub_token.delete()
    assert hub_token.find() is None


def test_a_plain_text_keyring_is_not_used(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(Keyring, "priority", 0.5)  # the library's priority for those
    assert hub_token.storage() == hub_token.save(SECRET) == "memory"
    assert not file.exists()


def test_the_best_of_several_keyrings_is_used(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    plain = SimpleNamespace(priority=0.5, set_password=locked)
    several = SimpleNamespace(priority=10, backends=[plain, Keyring()], get_password=Keyring().get_password)
    monkeypatch.setattr(keyring.core, "_keyring_backend", several)
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"
    monkeypatch.setattr(several, "backends", [plain])
    assert hub_token.storage() == "memory"


def test_a_token_that_the_keyring_rejects_stays_in_memory(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(Keyring, "set_password", locked)
    assert hub_token.save(SECRET) == hub_token.source() == "memory"


def test_the_page_does_not_open_a_locked_keyring_again(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    reads: list[str] = []
    monkeypatch.setattr(Keyring, "get_password", lambda *_: reads.append("") or locked())
    assert [hub_token.source() for _ in range(3)] == [""] * 3
    assert len(reads) == 1
    assert hub_token.storage() == "memory"
    assert hub_token.find() is None  # a download does
    assert len(reads) == 2


def test_the_threads_of_the_page_read_the_keyring_once(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    reads: list[str] = []

    def slow(*_: str) -> None:
        reads.append("")
        time.sleep(0.3)

    monkeypatch.setattr(Keyring, "get_password", slow)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: hub_token.source(), range(4))) == [""] * 4
    assert len(reads) == 1


def test_blanks_in_the_environment_are_not_a_token(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "  ")
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"
    hub_token.delete()
    assert hub_token.find() is None


def test_a_keyring_that_does_not_delete_the_token_is_reported(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    hub_token.save(SECRET)
    monkeypatch.setattr(Keyring, "delete_password", locked)
    with pytest.raises(MissingPart, match="can't be used now"):
        hub_token.delete()


def test_the_environment_takes_precedence_and_is_never_changed(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    hub_token.save(SECRET)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert (hub_token.find(), hub_token.source()) == ("hf_other", "environment")
    with pytest.raises(BadInput, match="not saved"):
        hub_token.save(SECRET)
    with pytest.raises(BadInput, match="could delete"):
        hub_token.delete()


def test_whitespace_around_a_token_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\n")
    assert hub_token.find() == SECRET
    monkeypatch.setenv("HF_TOKEN", "hf_schlüssel")
    with pytest.raises(BadInput, match="can't be used") as rejected:
        hub_token.find()
    assert "schlüssel" not in str(rejected.value)


def test_a_token_in_a_locked_keyring_is_not_reported_as_deleted(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    hub_token.save(SECRET)
    monkeypatch.setattr(Keyring, "get_password", locked)
    with pytest.raises(MissingPart, match="can't be used now"):
        hub_token.delete()
    assert hub_token.storage() == "memory"
    monkeypatch.setattr(hub_token, "_in_keyring", None)
    assert hub_token.save("hf_another") == "memory", "what the page promises"


def test_the_page_reads_the_keyring_once(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    reads: list[str] = []
    monkeypatch.setattr(Keyring, "get_password", lambda *_: reads.append(""))
    assert [hub_token.source() for _ in range(3)] == [""] * 3
    assert len(reads) == 1
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"


def test_the_token_of_a_login_is_found_last(file: Path, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_login\n")
    assert (hub_token.find(), hub_token.source()) == ("hf_login", "login")
    with pytest.raises(BadInput, match="could delete"):
        hub_token.delete()
    hub_token.save(SECRET)
    assert hub_token.find() == SECRET
