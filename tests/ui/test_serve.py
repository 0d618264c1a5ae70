"""Opening the page: which host and port, and what happens when it is open already."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from filelock import FileLock

from backend.errors import BadSetting
from backend.settings import Workspace
from ui import serve


def test_a_port_in_use_gives_the_next_free_one_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = serve.free_port("127.0.0.1", port)
    assert port < found <= port + serve.PORTS
    assert f"Port {port} is in use; taking {found}." in capsys.readouterr().err


@pytest.mark.parametrize("port", [0, -1, 70_000])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(BadSetting, match=f"no port {port}"):
        serve.free_port("127.0.0.1", port)


def test_an_address_of_another_computer_is_refused() -> None:
    with pytest.raises(BadSetting, match="not an address of this computer"):
        serve.free_port("203.0.113.7", None)


@pytest.mark.parametrize("password", ["", "short"])
def test_the_network_needs_a_password(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv(serve.PASSWORD, password)
    with pytest.raises(BadSetting, match="was not opened to the network"):
        serve.password_for("192.0.2.1")


def test_this_computer_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serve.PASSWORD, raising=False)
    assert [serve.password_for(host) for host in ("127.0.0.1", "localhost", "::1")] == [None, None, None]


def test_a_second_start_opens_the_page_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(serve.webbrowser, "open", opened.append)
    workspace = Workspace.open(tmp_path)
    (workspace.root / "app.json").write_text(json.dumps({"url": "http://127.0.0.1:7999"}), "utf-8")
    with FileLock(workspace.root / "app.lock"):
        serve.serve(workspace)
    assert opened == ["http://127.0.0.1:7999"]
    assert "already open" in capsys.readouterr().err
