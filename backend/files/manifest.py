"""MANIFEST.json lists the files of a finished folder. It is written last, so that
incomplete folders are noticed.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.files.json_file import loads
from backend.files.listing import files_in

NAME = "MANIFEST.json"


def digest(path: Path, each: Callable[[], None] = lambda: None) -> str:
    """The SHA-256 of a file in hexadecimal. each: called after every MiB; it may raise
    to stop.
    """
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
            each()
    return sha.hexdigest()


def write(
    folder: Path, about: dict[str, Any], each: Callable[[], None] = lambda: None
) -> None:
    """Write the manifest: `about`, and size (bytes) and SHA-256 of every file in
    `folder`. each: see `digest`.
    """
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": digest(path, each),
        }
        for path in files_in(folder)
        if path != folder / NAME  # of an attempt that was killed
    }
    (folder / NAME).write_text(
        json.dumps({**about, "files": files}, indent=2) + "\n", "utf-8"
    )


def read(folder: Path) -> Mapping[str, Any] | None:
    """The manifest; None if there is no readable one."""
    path = folder / NAME
    try:
        facts = path.stat()
        return _parsed(path, facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=512)
def _parsed(path: Path, _modified: int, _size: int) -> Mapping[str, Any] | None:
    """Pages ask for the same manifest many times a second."""
    manifest = loads(path.read_text("utf-8"))
    return (
        manifest
        if isinstance(manifest, dict) and isinstance(manifest.get("files"), dict)
        else None
    )


def holds(folder: Path, *, content: bool = False, **about: object) -> bool:
    """Whether every listed file exists in its full size; with `content`, also with the
    same SHA-256. about: what the manifest has to say besides.
    """
    manifest = read(folder)
    if manifest is None or any(
        manifest.get(name) != value for name, value in about.items()
    ):
        return False
    for name, listed in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != listed["bytes"]:
            return False
        if content and digest(path) != listed["sha256"]:
            return False
    return True
