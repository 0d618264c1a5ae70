"""The access token for the hub: where it is kept, where it is found, and what is refused."""

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


def closed(*_: Any) -> Any:
    raise KeyringLocked("the window was closed")


def test_it_is_kept_in_the_keyring_until_it_is_forgotten(file: Path, caplog: pytest.LogCaptureFixture) -> None:
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
def test_what_is_no_token_is_refused_and_not_repeated(file: Path, typed: str) -> None:
    with pytest.raises(BadInput, match="not an access token") as refused:
        hub_token.save(typed)
    assert typed in ("", "hf_") or typed not in str(refused.value)
    assert hub_token.source() == ""


def test_the_longest_that_may_be_one_is_kept(file: Path) -> None:
    assert hub_token.save(f"hf_{'a' * 197}") == "keyring"


@pytest.mark.parametrize("backend", [NONE, "keyring.backends.null.Keyring", "no.such.Keyring"])
def test_without_a_keyring_it_is_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str
) -> None:
    keyring_in_file.install(monkeypatch, tmp_path, backend)
    assert (hub_token.source(), hub_token.storage()) == ("", "memory")
    assert hub_token.save(SECRET) == "memory"
    assert (hub_token.find(), hub_token.source()) == (SECRET, "memory")
    hub_token.delete()
    assert hub_token.find() is None


def test_a_keyring_of_plain_files_is_not_written_to(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(Keyring, "priority", 0.5)  # what the library gives those
    assert hub_token.storage() == hub_token.save(SECRET) == "memory"
    assert not file.exists()


def test_of_several_keyrings_the_best_is_written_to(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    plain = SimpleNamespace(priority=0.5, set_password=closed)
    several = SimpleNamespace(priority=10, backends=[plain, Keyring()], get_password=Keyring().get_password)
    monkeypatch.setattr(keyring.core, "_keyring_backend", several)
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"
    monkeypatch.setattr(several, "backends", [plain])
    assert hub_token.storage() == "memory"


def test_a_keyring_that_does_not_take_it_leaves_it_to_the_memory(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(Keyring, "set_password", closed)
    assert hub_token.save(SECRET) == hub_token.source() == "memory"


def test_a_keyring_that_was_not_opened_is_not_asked_again_by_the_page(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Keyring, "get_password", lambda *given: asked.append("") or closed())
    assert [hub_token.source() for _ in range(3)] == [""] * 3
    assert len(asked) == 1
    assert hub_token.storage() == "memory"
    assert hub_token.find() is None  # a download asks
    assert len(asked) == 2


def test_the_threads_of_a_page_ask_the_keyring_once(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    asked: list[str] = []

    def slow(*given: str) -> None:
        asked.append("")
        time.sleep(0.3)

    monkeypatch.setattr(Keyring, "get_password", slow)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: hub_token.source(), range(4))) == [""] * 4
    assert len(asked) == 1


def test_blanks_in_the_environment_are_no_token(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "  ")
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"
    hub_token.delete()
    assert hub_token.find() is None


def test_a_keyring_that_does_not_give_it_up_says_so(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    hub_token.save(SECRET)
    monkeypatch.setattr(Keyring, "delete_password", closed)
    with pytest.raises(MissingPart, match="can't be used now"):
        hub_token.delete()


def test_that_of_the_environment_goes_first_and_is_left_alone(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    hub_token.save(SECRET)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert (hub_token.find(), hub_token.source()) == ("hf_other", "environment")
    with pytest.raises(BadInput, match="not kept"):
        hub_token.save(SECRET)
    with pytest.raises(BadInput, match="could delete"):
        hub_token.delete()


def test_one_from_the_environment_is_used_without_what_stands_around_it(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\n")
    assert hub_token.find() == SECRET
    monkeypatch.setenv("HF_TOKEN", "hf_schlüssel")
    with pytest.raises(BadInput, match="can't be used") as refused:
        hub_token.find()
    assert "schlüssel" not in str(refused.value)


def test_one_in_a_keyring_that_is_shut_is_not_said_to_be_gone(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    hub_token.save(SECRET)
    monkeypatch.setattr(Keyring, "get_password", closed)
    with pytest.raises(MissingPart, match="can't be used now"):
        hub_token.delete()
    assert hub_token.storage() == "memory"
    monkeypatch.setattr(hub_token, "_holds", None)
    assert hub_token.save("hf_another") == "memory", "what the page promises"


def test_the_page_asks_the_keyring_once(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Keyring, "get_password", lambda *given: asked.append(""))
    assert [hub_token.source() for _ in range(3)] == [""] * 3
    assert len(asked) == 1
    assert hub_token.save(SECRET) == hub_token.source() == "keyring"


def test_that_of_a_login_is_found_and_goes_last(file: Path, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_login\n")
    assert (hub_token.find(), hub_token.source()) == ("hf_login", "login")
    with pytest.raises(BadInput, match="could delete"):
        hub_token.delete()
    hub_token.save(SECRET)
    assert hub_token.find() == SECRET
