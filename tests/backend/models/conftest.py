"""Fixtures for the tests of backend.models."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from backend.models import hub as hub_client
from backend.models import hub_token
from backend.settings import Workspace
from tests.backend.models.model_hub import SIGNATURE, WEIGHTS, FakeWork, Hub, Request, pin


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    served = Hub(
        {
            "config.json": json.dumps({"model_type": "llama"}).encode(),
            "tokenizer.json": Tokenizer(WordLevel({"?": 0}, unk_token="?")).to_str().encode(),
            "tokenizer_config.json": json.dumps({"eos_token": "?", "chat_template": "{{ messages }}"}).encode(),
            "README.md": b"not wanted", "pytorch_model.bin": b"never", "modeling_own.py": b"never",
            "onnx/model.safetensors": b"never", "model.safetensors": WEIGHTS,
        }
    )  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = self.headers
            request = Request(self.path, headers["Host"], headers["Range"], headers["Authorization"])
            served.requests.append(request)
            name = re.sub(r".*/resolve/\w+/", "", self.path)
            if served.signed and name == "model.safetensors":
                self.send_response(302)
                port = server.server_port
                self.send_header(
                    "Location", f"http://localhost:{port}/resolve/cdn/model.safetensors?Signature={SIGNATURE}"
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
            denied = served.status != 200 and not (served.listed and "/api/" in self.path)
            self.send_response(served.status if denied else 206 if self.headers["Range"] else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if name.endswith(".safetensors") and served.broken is not None:
                content, served.broken = content[: start + served.broken], None
            self.wfile.write(content[start:])

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(hub_token, "find", lambda: None)
    monkeypatch.setattr(hub_client, "_PAUSE", 0.0)
    pin(monkeypatch, "")
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def work(hub: Hub, tmp_path: Path) -> FakeWork:
    return FakeWork(Workspace.open(tmp_path / "home"))
