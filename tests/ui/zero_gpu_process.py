"""The contract of tests/ui/gpu_contract.py with the package `spaces`, whose decorator works only from its import on:
`python -m tests.ui.zero_gpu_process WORKSPACE` prints the outcomes as JSON; with a JOB, that of this training.

ZeroGPU's server is a stand-in on loopback that gives out calls, counts quota, and kills a call whose time is up.
"""

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers

from backend.settings import Workspace
from jobs import store
from jobs.supervisor import Supervisor
from tests.ui.gpu_contract import QUOTA, outcomes
from ui.web import zero_gpu

TOKEN = "e30.e30.e30"


@dataclass
class Given:
    """A call that was given out."""

    visitor: str
    seconds: float
    began: float
    timer: threading.Timer | None = None


class Server(BaseHTTPRequestHandler):
    """ZeroGPU's server, as the package `spaces` 0.51 asks it."""

    left: ClassVar[dict[str, float]] = {}
    given: ClassVar[dict[str, Given]] = {}

    def do_POST(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        getattr(self, asked.path.strip("/").replace("-", "_"))(query)

    def startup_report(self, query: dict[str, str]) -> None:
        self._answer(200)

    def schedule(self, query: dict[str, str]) -> None:
        visitor, seconds = query.get("token", ""), float(query["durationSeconds"])
        left = self.left.setdefault(visitor, QUOTA)
        if seconds > left:
            headers = {"X-Approve-Result": "quota-exceeded", "X-Authenticated": "regular"}
            self._answer(429, {"left": int(left), "wait": 3600}, headers)
            return
        name = f"call-{len(self.given)}"
        self.given[name] = Given(visitor, seconds, time.monotonic())
        self._answer(200, {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": name})

    def allow(self, query: dict[str, str]) -> None:
        call, pid = self.given[query["allowToken"]], int(query["pid"])
        call.timer = threading.Timer(call.seconds, os.kill, (pid, signal.SIGKILL))
        call.timer.start()
        self._answer(200)

    def release(self, query: dict[str, str]) -> None:
        call = self.given.pop(query["allowToken"])
        self.left[call.visitor] -= time.monotonic() - call.began
        if call.timer:
            call.timer.cancel()
        self._answer(200)

    def _answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None: ...


def serve() -> str:
    """Serves on loopback; returns the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def train(requests: zero_gpu.Requests, root: Path, job_id: str) -> str:
    """Trains for real, on the processor that stands for the GPU."""
    requests.call("anna", root, job_id, 90)
    return Supervisor(Workspace(root), 10, 10).reconcile(store.find(Workspace(root), job_id)).state.value


def main(root: Path, job_id: str = "") -> None:
    sys.modules["torch"] = None  # type: ignore[assignment]  # without it, `spaces` asks no driver for a GPU
    os.environ.update(SPACES_ZERO_GPU="true", SPACES_ZERO_DEVICE_API_URL=serve())
    zero_gpu.register()
    del sys.modules["torch"]
    requests = zero_gpu.Requests()
    requests.remember("anna", SimpleNamespace(headers=Headers({zero_gpu.HEADER: TOKEN})))
    found = train(requests, root, job_id) if job_id else outcomes(requests.call, Workspace.open(root))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
