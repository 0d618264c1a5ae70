"""A keyring that the keyring library finds like a real one, storing its passwords in a
file that a test can read.
"""

import json
import os
from pathlib import Path

import keyring.core
import pytest
from keyring.backend import KeyringBackend

from backend import settings
from backend.models import hub_token

FILE = "APPRENTICE_TEST_KEYRING"
NONE = "keyring.backends.fail.Keyring"  # the library's choice on a system without one


class Keyring(KeyringBackend):
    priority = 5

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._all(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        passwords = self._all()
        del passwords[f"{service} {username}"]
        self._write(passwords)

    def _all(self) -> dict[str, str]:
        path = Path(os.environ[FILE])
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def _write(self, passwords: dict[str, str]) -> None:
        Path(os.environ[FILE]).write_text(json.dumps(passwords), "utf-8")


KeyringBackend._classes.discard(Keyring)  # type: ignore[attr-defined]  # hidden from other tests


def install(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    backend: str = f"{__name__}.Keyring",
) -> Path:
    """Make `backend` the system's keyring, here and in workers, with no token anywhere.
    Returns its file.
    """
    file = tmp_path / "keyring.json"
    monkeypatch.setenv(FILE, str(file))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv(hub_token.VARIABLE, raising=False)
    monkeypatch.setitem(settings.secrets_in_memory, hub_token.VARIABLE, "")
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    monkeypatch.setattr(hub_token, "_locked", False)
    monkeypatch.setattr(hub_token, "_in_keyring", None)
    return file
