"""Real downloads by start.py's pip, from a server on loopback that cuts every
connection.
"""

import hashlib
import io
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread

import pytest
from packaging.version import Version

import start

PIECE = 40_000  # bytes that one connection transfers


def wheel(name: str = "big_wheel", size: int = 200_000) -> bytes:
    """A wheel with random data."""
    texts = {
        f"{name}.py": "",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{name}.bin", os.urandom(size))
        for path, text in texts.items():
            archive.writestr(path, text)
        files = [f"{name}.bin", *texts, f"{name}-1.0.dist-info/RECORD"]
        archive.writestr(files[-1], "".join(f"{file},,\n" for file in files))
    return buffer.getvalue()


@contextmanager
def index(data: bytes, most: int) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """A package index with one wheel, which is also a proxy for any server. It sends at
    most so many bytes of the wheel per connection. Yields its address, and the path and
    first byte of every request.
    """
    requests: list[tuple[str, int]] = []
    page = f'<a href="/big_wheel-1.0-py3-none-any.whl#sha256={hashlib.sha256(data).hexdigest()}">big_wheel-1.0</a>'

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            part = re.match(r"bytes=(\d+)-$", self.headers.get("Range") or "")
            first = int(part.group(1)) if part else 0
            requests.append((self.path, first))
            is_wheel = self.path.endswith(".whl")
            body = data[first:] if is_wheel else page.encode()
            self.send_response(206 if part else 200)
            if part:
                self.send_header(
                    "Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}"
                )
            self.send_header(
                "Content-Type", "application/zip" if is_wheel else "text/html"
            )
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"same"')
            self.end_headers()
            self.wfile.write(
                body[:most] if is_wheel else body
            )  # then the connection ends

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for packages; pip knows only what the test tells it."""
    if Version(metadata.version("pip")) < Version("25.2"):
        pytest.skip("start.py updates pip at the next installation")
    for name in [
        name
        for name in os.environ
        if name.upper().startswith("PIP_") or name.lower().endswith("_proxy")
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setattr(start, "PYTHON", Path(sys.executable))
    return tmp_path / "packages"


def test_a_download_continues_where_the_connection_was_cut(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = wheel()
    with index(data, PIECE) as (url, requests):
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        assert start.pip("--target", str(target), "big_wheel", check=False)
    firsts = [first for path, first in requests if path.endswith(".whl")]
    assert firsts == list(range(0, len(data), PIECE)), "each byte was sent once"
    assert len((target / "big_wheel.bin").read_bytes()) == 200_000
    assert not [*target.rglob("*.pyc")], "Python compiles what is used"


def test_a_proxy_and_a_mirror_are_those_of_pips_variables(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with index(wheel(), PIECE) as (url, requests):
        monkeypatch.setenv("PIP_PROXY", url)
        monkeypatch.setenv("PIP_INDEX_URL", "http://mirror.example/simple")
        monkeypatch.setenv("PIP_TRUSTED_HOST", "mirror.example")
        assert start.pip("--target", str(target), "big_wheel", check=False)
    assert {
        path.partition("/simple")[0].partition("/big")[0] for path, _ in requests
    } == {"http://mirror.example"}


def test_a_server_that_never_sends_ends_the_installation(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "RESUMPTIONS", "2")
    with index(wheel(), 0) as (url, requests):
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        assert not start.pip("--target", str(target), "big_wheel", check=False)
    assert len(requests) < 10
