"""A person's access token for the Hugging Face hub. It is read where the person put it and never written by us."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "HF_TOKEN"
_KEYRING = ("apprentice", "hf_token")  # service and name


def find() -> str | None:
    """From $HF_TOKEN, the system's keyring, or where `hf auth login` put it; None where there is none."""
    return os.environ.get(VARIABLE) or _from_keyring() or _from_login()


def home() -> Path:
    """Where the Hugging Face libraries keep their things."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


def _from_keyring() -> str | None:
    import keyring
    from keyring.errors import KeyringError

    try:
        kept: str | None = keyring.get_password(*_KEYRING)
    except KeyringError:
        return None
    return kept


def _from_login() -> str | None:
    try:
        return (home() / "token").read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
