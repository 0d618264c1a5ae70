"""Serving the page: host, port and password, and a second start."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from filelock import FileLock

from backend.errors import BadSetting
from backend.hosting.policy import DEMO
from backend.settings import PROJECT_ROOT, Workspace
from ui.web import key, serve
from ui.web.serve import receive_uploads_in


def test_a_port_in_use_is_replaced_and_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = serve.free_port("127.0.0.1", port)
    assert port < found <= port + serve.PORTS
    reported = capsys.readouterr().err
    assert str(port) in reported
    assert str(found) in reported


@pytest.mark.parametrize("port", [0, -1, 70_000])
def test_an_impossible_port_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(BadSetting, match=f"Port {port}"):
        serve.serve(Workspace.open(tmp_path), port=port)


def test_another_computers_address_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"203\.0\.113\.7"):
        serve.free_port("203.0.113.7", None)


@pytest.mark.parametrize("password", ["", "short"])
def test_the_network_needs_a_password(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv(serve.PASSWORD, password)
    with pytest.raises(BadSetting, match=r"192\.0\.2\.1"):
        serve.password_for("192.0.2.1")


def test_loopback_needs_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serve.PASSWORD, raising=False)
    assert [serve.password_for(host) for host in ("127.0.0.1", "localhost", "::1")] == [
        None,
        None,
        None,
    ]


def test_a_second_start_opens_the_page_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(serve.webbrowser, "open", lambda url: not opened.append(url))  # type: ignore[func-returns-value]
    workspace = Workspace.open(tmp_path)
    (workspace.root / "app.json").write_text(
        json.dumps({"url": "http://127.0.0.1:7999"}), "utf-8"
    )
    with FileLock(workspace.root / "app.lock"):
        serve.serve(workspace)
        with pytest.raises(BadSetting, match="99999999"):
            serve.serve(workspace, port=99999999)
    (address,) = opened
    assert address.startswith("http://127.0.0.1:7999/?key=")
    told = capsys.readouterr().err
    assert "already open" in told
    assert "key" not in told
    assert key.of(workspace) not in address, (
        "other accounts can read the command that opens a browser"
    )


def test_without_a_browser_the_address_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve.webbrowser, "open", lambda url: False)
    serve.show("Open.", "http://127.0.0.1:7999/?key=ticket", browser=True)
    assert (
        "within two minutes: http://127.0.0.1:7999/?key=ticket"
        in capsys.readouterr().err
    )


class Reserved(socket.socket):
    """Refuses ports below 50010, as Windows does for a reserved range."""

    def bind(self, address: tuple[str, int]) -> None:  # type: ignore[override]
        if address[1] < 50_010:
            raise PermissionError(13, "forbidden by its access permissions")


def test_a_reserved_port_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.socket, "socket", Reserved)
    assert serve.free_port("127.0.0.1", 50_000) == 50_010


def test_a_privileged_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.socket, "socket", Reserved)
    with pytest.raises(BadSetting, match="Port 80 "):
        serve.free_port("127.0.0.1", 80)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_with_all_addresses_a_reachable_one_is_shown(host: str) -> None:
    shown = serve.reachable_at(host)
    assert shown not in ("0.0.0.0", "::")
    assert serve.free_port(shown, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.5", "fd00::5", "mybox.lan"])
def test_a_single_address_is_shown_as_it_is(host: str) -> None:
    assert serve.reachable_at(host) == host


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM to catch")
def test_the_app_listens_on_loopback_starts_once_and_stops_on_sigterm(
    tmp_path: Path,
) -> None:
    (tmp_path / "gradio").write_bytes(
        b"in the way, as the folder of another user of this computer is"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [
        sys.executable,
        str(PROJECT_ROOT / "app.py"),
        "serve",
        "--no-browser",
        "--workspace",
        str(tmp_path),
    ]
    with (
        (tmp_path / "printed.txt").open("wb") as printed,
        subprocess.Popen(command, cwd=tmp_path, stderr=printed, env=environment) as app,
    ):
        try:
            until = time.monotonic() + 90
            while not (tmp_path / "app.json").exists():
                assert app.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            url = json.loads((tmp_path / "app.json").read_text("utf-8"))["url"]
            connections = psutil.Process(app.pid).net_connections("inet")
            listening = {
                f"http://{at.laddr.ip}:{at.laddr.port}"
                for at in connections
                if at.status == "LISTEN"
            }
            assert listening == {url}
            assert url.startswith("http://127.0.0.1:")
            second = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert (url in second.stderr, second.returncode) == (True, 0)
            secret = key.of(Workspace(tmp_path))
            assert secret not in second.stderr + (tmp_path / "app.json").read_text(
                "utf-8"
            )
            with httpx.Client(base_url=url, headers={"origin": url}) as browser:
                assert {
                    browser.get(path).status_code
                    for path in ("/", "/config", "/theme.css")
                } == {401}
                event = {"data": [], "fn_index": 0, "session_hash": "x"}
                assert (
                    browser.post("/gradio_api/queue/join", json=event).status_code
                    == 401
                )
                opened = browser.get("/", params={"key": secret})
                (word,) = re.findall(r'page: "(\w+)"', opened.text)
                assert browser.get("/config").status_code == 401
                browser.headers["x-apprentice-key"] = word
                assert {
                    browser.get(path).status_code
                    for path in ("/", "/config", "/theme.css")
                } == {200}
            foreign = http.client.HTTPConnection(url.removeprefix("http://"))
            foreign.request(
                "POST", "/", bytes(6 << 20), {"Origin": "http://example.com"}
            )
            assert foreign.getresponse().status == 403, "the answer comes, and no reset"
            foreign.close()
            assert f"{url}/?key={secret}" in (tmp_path / "printed.txt").read_text(
                "utf-8"
            )
            app.send_signal(signal.SIGTERM)
            assert app.wait(timeout=30) == 0
        finally:
            app.kill()


def test_a_demo_needs_no_password_but_keeps_one_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(serve.PASSWORD, raising=False)
    assert serve.password_for("0.0.0.0", DEMO) is None
    monkeypatch.setenv(serve.PASSWORD, "a long secret")
    assert serve.password_for("0.0.0.0", DEMO) == ("apprentice", "a long secret")


@pytest.mark.parametrize(
    ("demo", "bound"), [("1", ("0.0.0.0", 50_123)), ("", ("127.0.0.1", None))]
)
def test_host_and_port_of_the_environment_hold_in_a_demo_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    demo: str,
    bound: tuple[str, int | None],
) -> None:
    asked: list[tuple[str, int | None]] = []
    for name, value in (
        ("APPRENTICE_DEMO", demo),
        ("GRADIO_SERVER_NAME", "0.0.0.0"),
        ("GRADIO_SERVER_PORT", "50123"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        serve, "free_port", lambda host, port: asked.append((host, port)) or 1
    )
    monkeypatch.setattr(serve, "run", lambda *_: None)
    monkeypatch.setattr(serve, "logs_to", lambda _: None)
    serve.serve(Workspace.open(tmp_path), browser=False)
    assert asked == [bound]


def test_in_a_colab_notebook_the_commands_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "run", lambda *_: None)
    monkeypatch.setattr(serve, "logs_to", lambda _: None)
    serve.serve(Workspace.open(tmp_path), browser=False)
    assert "Colab" not in capsys.readouterr().err
    monkeypatch.setenv("COLAB_RELEASE_TAG", "x")
    serve.serve(Workspace.open(tmp_path), browser=False)
    assert "--help" in capsys.readouterr().err


def test_old_uploads_are_deleted_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "unset")
    workspace = Workspace.open(tmp_path)
    old, own = workspace.uploads / "abc" / "old.csv", tmp_path / "uploads" / "mine.csv"
    for file in (old, own):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"a,b")
    receive_uploads_in(workspace)
    assert (old.exists(), own.exists()) == (False, True)
    assert Path(os.environ["GRADIO_TEMP_DIR"]).is_relative_to(workspace.cache)


@pytest.mark.skipif(sys.platform != "linux", reason="ZeroGPU is Linux")
@pytest.mark.parametrize("on_it", [True, False])
def test_zero_gpu_gets_the_function_that_it_asks_for(on_it: bool) -> None:
    """With its real package, which decides at its import where it is; without torch, it
    asks no driver for a GPU.
    """
    code = (
        "import sys; sys.modules['torch'] = None; from ui.web import serve; serve.register_on_zero_gpu();"
        "module = sys.modules.get('spaces.zero.decorator'); print(bool(module and module.decorated_cache))"
    )
    zero = {
        "SPACES_ZERO_GPU": str(on_it).lower(),
        "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9",
    }
    command, environment = [sys.executable, "-c", code], {**os.environ, **zero}
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(on_it)], done.stderr[-3000:]
