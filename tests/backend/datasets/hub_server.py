"""A stand-in for the datasets on the Hugging Face hub, on loopback.

It answers as https://huggingface.co/docs/hub/api describes and as the models' stand-in
does. The real hub was not asked: no test has a network.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote

import pytest

COMMIT = "ab" * 20


@dataclass
class HubServer:
    """files: content by name. card: its metadata. asked: the paths of all requests.
    gate: a download waits for it.
    """

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    gated: bool = False
    asked: list[str] = field(default_factory=list)
    gate: Event | None = None

    def listing(self) -> dict[str, Any]:
        def one(name: str, content: bytes) -> dict[str, Any]:
            sha = (
                {"lfs": {"sha256": hashlib.sha256(content).hexdigest()}}
                if name.endswith("parquet")
                else {}
            )
            return {"rfilename": name, "size": len(content), **sha}

        siblings = [one(*file) for file in self.files.items()]
        return {
            "sha": COMMIT,
            "siblings": siblings,
            "cardData": self.card,
            "gated": self.gated and "auto",
        }

    def downloads(self) -> list[str]:
        return [
            path.partition(f"/resolve/{COMMIT}/")[2]
            for path in self.asked
            if "/resolve/" in path
        ]


@contextmanager
def hub_server(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> Iterator[HubServer]:
    """Serves one dataset, "shop/orders"; every other name does not exist."""
    served = HubServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            served.asked.append(path)
            content: bytes | None = None
            if path == "/api/datasets/shop/orders/revision/main":
                content = json.dumps(served.listing()).encode()
            elif path.startswith(start := f"/datasets/shop/orders/resolve/{COMMIT}/"):
                content = served.files.get(path.removeprefix(start))
                if served.gate:
                    served.gate.wait(30)
            self.send_response(401 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    try:
        yield served
    finally:
        if served.gate:
            served.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
