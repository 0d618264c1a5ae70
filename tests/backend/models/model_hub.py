"""A stand-in for the hub with the files of one model, and for the worker that downloads
them.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

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
    """What the stand-in has, and the requests it got. status: its answer; if `listed`,
    for files only. broken: it hangs up once after so many bytes. signed: weights are
    redirected to a signed address on another host, which answers with this status; 0
    for no redirect. sizes: whether it tells them. facts: what else it says.
    """

    files: dict[str, bytes]
    status: int = 200
    listed: bool = False
    commit: str = COMMIT
    broken: int | None = None
    signed: int = 0
    sha256: str = ""
    sizes: bool = True
    facts: dict[str, Any] = field(default_factory=dict)
    address: str = ""
    requests: list[Request] = field(default_factory=list)

    def file_names(self) -> list[str]:
        return [
            request.path.rpartition("/")[2]
            for request in self.requests
            if "/resolve/" in request.path
        ]

    def listing(self) -> dict[str, Any]:
        def one(name: str, content: bytes) -> dict[str, Any]:
            large = name.endswith(".safetensors")
            sha = self.sha256 or hashlib.sha256(content).hexdigest()
            size = {"size": len(content)} if self.sizes else {}
            return {
                "rfilename": name,
                **size,
                **({"lfs": {"sha256": sha}} if large else {}),
            }

        return {
            "sha": self.commit,
            "siblings": [one(*file) for file in self.files.items()],
            **self.facts,
        }


def small_model() -> Hub:
    """A hub with a model of 4 MB, and with files of it that nobody wants."""
    return Hub(
        {
            "config.json": json.dumps({"model_type": "llama"}).encode(),
            "tokenizer.json": Tokenizer(WordLevel({"?": 0}, unk_token="?")).to_str().encode(),
            "tokenizer_config.json": json.dumps({"eos_token": "?", "chat_template": "{{ messages }}"}).encode(),
            "README.md": b"not wanted", "pytorch_model.bin": b"never", "modeling_own.py": b"never",
            "onnx/model.safetensors": b"never", "model.safetensors": WEIGHTS,
        }
    )  # fmt: skip


@contextmanager
def running(served: Hub) -> Iterator[str]:
    """Its address, while it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = self.headers
            request = Request(
                self.path, headers["Host"], headers["Range"], headers["Authorization"]
            )
            served.requests.append(request)
            name = re.sub(r".*/resolve/\w+/", "", self.path)
            if served.signed and name == "model.safetensors":
                self.send_response(302)
                port = server.server_port
                self.send_header(
                    "Location",
                    f"http://localhost:{port}/resolve/cdn/model.safetensors?Signature={SIGNATURE}",
                )
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if SIGNATURE in name and served.signed != 200:
                self.send_error(served.signed)
                return
            name = name.removesuffix(f"?Signature={SIGNATURE}")
            content = served.files.get(name, json.dumps(served.listing()).encode())
            start = int(re.sub(r"\D", "", self.headers["Range"] or "0"))
            denied = served.status != 200 and not (
                served.listed and "/api/" in self.path
            )
            self.send_response(
                served.status if denied else 206 if self.headers["Range"] else 200
            )
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if name.endswith(".safetensors") and served.broken is not None:
                content, served.broken = content[: start + served.broken], None
            self.wfile.write(content[start:])

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pin(monkeypatch: pytest.MonkeyPatch, commit: str, gated: bool = False) -> None:
    """Has the catalogue pin MODEL to `commit` ("": to none), and list it as `gated`."""
    entry = catalogue.find(MODEL).model_copy(
        update={"revision": commit, "gated": gated}
    )
    monkeypatch.setattr(catalogue, "find", lambda model_id: entry)


@dataclass
class FakeWork:
    """A worker's context in which the person stops the download at `stop_at` MiB."""

    workspace: Workspace
    spec: dict[str, Any] = field(default_factory=lambda: {"model": MODEL})
    stop_at: int | None = None
    reached: list[tuple[int, int]] = field(default_factory=list)

    def progress(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
    ) -> None:
        self.reached.append((done, total))

    def emit(self, event: Event) -> None: ...

    def should_stop(self) -> bool:
        return self.stop_at is not None and self.reached[-1][0] >= self.stop_at
