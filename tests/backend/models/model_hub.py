"""A stand-in for the hub with the files of one model, and for the worker that downloads them."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from backend.models import catalogue
from backend.records.events import Event
from backend.settings import Workspace

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
    """What the stand-in has, and the requests it got. status: its answer; if `listed`, for files only. broken: it
    hangs up once after so many bytes. signed: weights are redirected to a signed address on another host, which
    answers with this status; 0 for no redirect."""

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
