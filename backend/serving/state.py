"""State that both sides of an endpoint share: its address, its counts, and the hash of its key. No heavy imports."""

import hashlib
import secrets
from pathlib import Path
from typing import Any

from backend.files.json_file import read_if_json, write_json

LOOPBACK = "127.0.0.1"
_STATE = "endpoint.json"  # in the job's folder: {url, requests, tokens, tokens_per_second, open}


def new_key() -> str:
    """A random key; shown once and never stored."""
    return f"sk-{secrets.token_urlsafe(32)}"


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Raises OSError."""
    write_json(folder / _STATE, state)


def read_state(folder: Path) -> dict[str, Any]:
    """The state that the endpoint in the job's `folder` last wrote; {} before it is ready."""
    return read_if_json(folder / _STATE)
