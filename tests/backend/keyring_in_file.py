"""A system's keyring, as its library would find one: it keeps what it is given in a file that a test can read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keyring.core
import pytest
from keyring.backend import KeyringBackend

from backend import settings
from backend.models import hub_token

FILE = "TEST_KEYRING_FILE"
NONE = "keyring.backends.fail.Keyring"  # what the library takes where a system has none


class Keyring(KeyringBackend):
    priority = 5

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._all(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._all()
        del kept[f"{service} {username}"]
        self._write(kept)

    def _all(self) -> dict[str, str]:
        path = Path(os.environ[FILE])
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def _write(self, kept: dict[str, str]) -> None:
        Path(os.environ[FILE]).write_text(json.dumps(kept), "utf-8")


KeyringBackend._classes.discard(Keyring)  # type: ignore[attr-defined]  # other tests do not find it


def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str = f"{__name__}.Keyring") -> Path:
    """Makes a keyring that of this system, here and in workers, while there is no token anywhere; gives its file."""
    file = tmp_path / "keyring.json"
    monkeypatch.setenv(FILE, str(file))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv(hub_token.VARIABLE, raising=False)
    monkeypatch.setitem(settings.secrets_in_memory, hub_token.VARIABLE, "")
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    monkeypatch.setattr(hub_token, "_shut", False)
    monkeypatch.setattr(hub_token, "_holds", None)
    return file
