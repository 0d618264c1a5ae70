"""A stand-in for the hub on this computer, for uploads through git LFS, as its client
speaks to it.

Not covered: Xet, the service through which the client uploads large files where its
    native part is installed.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = 1000  # bytes from which a file goes through LFS


class Hub(ThreadingHTTPServer):
    """repos: by "models/OWNER/NAME", whether each is private; files: their content, by
    repository and name. stored: by SHA-256, what was uploaded. status: of what changes
    something, 200 for success. stored_before_it_breaks: how many large files arrive
    before the connection fails.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.repos: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.stored: dict[str, bytes] = {}
        self.received: list[str] = []
        self.tokens: set[str] = set()
        self.status = 200
        self.stored_before_it_breaks = 1000

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        hub, body = self.server, self._body()
        if len(hub.received) >= hub.stored_before_it_breaks:
            self._send(403, {"error": "broken"})
            return
        hub.received.append(hashlib.sha256(body).hexdigest())
        hub.stored[hub.received[-1]] = body
        self._send(200, {})

    def _answer(self) -> None:
        hub, body = self.server, self._body()
        hub.tokens.add(self.headers.get("authorization") or "")
        if self.command == "POST" and hub.status != 200:
            self._send(hub.status, {"error": "no"})
        elif self.path == "/api/whoami-v2":
            self._send(200, {"name": "ana", "type": "user"})
        elif self.path == "/api/validate-yaml":  # of a card
            self._send(200, {"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            kind = f"{asked.get('type') or 'model'}s"
            repo = (
                f"{kind}/{asked['organization']}/{asked['name']}"
                if asked.get("organization")
                else asked["name"]
            )
            status = 409 if repo in hub.repos else 200
            hub.repos.setdefault(repo, asked["visibility"] == "private")
            where = repo.removeprefix("models/")
            self._send(
                status, {"url": f"https://huggingface.co/{where}", "name": where}
            )
        elif found := re.fullmatch(
            r"/api/(models|spaces)/([\w.-]+/[\w.-]+)(/preupload/main|/commit/main)?",
            self.path,
        ):
            self._repository(f"{found[1]}/{found[2]}", found[3] or "", body)
        elif self.path.endswith(".git/info/lfs/objects/batch"):
            wanted = [self._wanted(stored) for stored in json.loads(body)["objects"]]
            self._send(200, {"transfer": "basic", "objects": wanted})
        else:
            self._send(404, {"error": f"{self.command} {self.path}"})

    def _repository(self, repo: str, what: str, body: bytes) -> None:
        hub = self.server
        if what.startswith("/preupload"):
            listed = json.loads(body)["files"]
            modes = ["lfs" if one["size"] >= LARGE else "regular" for one in listed]
            self._send(200, {"files": [
                {"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}
                for one, mode in zip(listed, modes, strict=True)
            ]})  # fmt: skip
        elif what.startswith("/commit"):
            for line in map(json.loads, body.decode().splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    hub.files.setdefault(repo, {})[value["path"]] = base64.b64decode(
                        value["content"]
                    )
                elif line["key"] == "lfsFile":
                    hub.files.setdefault(repo, {})[value["path"]] = hub.stored[
                        value["oid"]
                    ]
            url = f"https://huggingface.co/{repo}/commit/1"
            self._send(200, {"success": True, "commitOid": "1" * 40, "commitUrl": url})
        elif repo not in hub.repos:
            self._send(404, {"error": "Repository not found"})
        else:
            name = repo.partition("/")[2]
            self._send(
                200,
                {
                    "id": name,
                    "private": hub.repos[repo],
                    "sha": "1" * 40,
                    "siblings": [],
                },
            )

    def _wanted(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["oid"] in self.server.stored:
            return one
        return {
            **one,
            "actions": {
                "upload": {"href": f"{self.server.address}/store/{one['oid']}"}
            },
        }

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def running() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
