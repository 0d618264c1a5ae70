"""Signing in to a Space with a Hugging Face account: gradio's own flow, with a stand-in
for the hub on loopback.
"""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from backend.hosting.policy import DEMO
from backend.settings import Workspace
from tests.ui.page_client import PageClient, served
from ui.services.selection import Choice
from ui.web.demo import demo_page

SPACE = "owner-demo.hf.space"
CLIENT, SECRET = "demo", "of-a-test"
KEY = RSAKey.generate_key(2048, {"kid": "one"}, private=True)


class Hub(BaseHTTPRequestHandler):
    """Hugging Face's sign-in: whoever asks is `account`, and agrees."""

    account: ClassVar[str] = "anna"
    nonces: ClassVar[dict[str, str]] = {}  # by code

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/oauth/authorize":
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            code = f"code-{len(self.nonces)}"
            self.nonces[code] = query["nonce"]
            self.send_response(302)
            sent = urlencode({"code": code, "state": query["state"]})
            self.send_header("Location", f"{query['redirect_uri']}&{sent}")
            self.end_headers()
            return
        here = f"http://{self.headers['host']}"
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": here, "authorization_endpoint": f"{here}/oauth/authorize",
                "token_endpoint": f"{here}/oauth/token", "jwks_uri": f"{here}/oauth/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/oauth/jwks": {"keys": [KEY.as_dict(private=False)]},
        }  # fmt: skip
        self._answer(documents[asked.path])

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        login = base64.b64decode(
            self.headers["authorization"].partition(" ")[2]
        ).decode()
        assert login == f"{CLIENT}:{SECRET}"
        now = int(time.time())
        claims = {
            "iss": f"http://{self.headers['host']}",
            "aud": CLIENT,
            "sub": self.account,
            "iat": now,
        }
        claims |= {
            "exp": now + 600,
            "nonce": self.nonces.pop(body["code"][0]),
            "preferred_username": self.account,
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY)
        self._answer(
            {
                "access_token": "hf_oauth_x",
                "token_type": "bearer",
                "expires_in": 600,
                "id_token": token,
            }
        )

    def _answer(self, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stand-in's address; this process is a Space that uses it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    variables = {
        "OAUTH_CLIENT_ID": CLIENT, "OAUTH_CLIENT_SECRET": SECRET, "OAUTH_SCOPES": "openid profile",
        "OPENID_PROVIDER_URL": address,
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setattr(f"gradio.oauth.{name}", value)
    for name, value in {
        "SYSTEM": "spaces",
        "SPACE_ID": "owner/demo",
        "SPACE_HOST": SPACE,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ui.web.demo.os.umask", lambda _: 0)
    yield address
    server.shutdown()
    server.server_close()


async def sign_in(browser: httpx.AsyncClient) -> str:
    """Goes through the flow as a browser does; returns where it ends."""
    sent = await browser.get("/login/huggingface")
    async with httpx.AsyncClient() as outside:
        agreed = await outside.get(sent.headers["location"])
    back = await browser.get(agreed.headers["location"])
    assert back.status_code in (302, 307), back.text
    return str(back.headers["location"])


async def visit(browser: httpx.AsyncClient) -> None:
    """Makes the visitor's folder, as any event of the page does."""
    page = await PageClient.open(browser, Choice(), "start")
    await page.ask(page.listener("change", label="Signature of start"))


def test_an_account_has_one_folder_everywhere_until_it_signs_out(
    workspace_with_model: Workspace, hub: str
) -> None:
    async def work() -> None:
        apps, blocks, arguments = demo_page(workspace_with_model, DEMO)
        try:
            async with served(blocks, arguments) as transport:
                options: dict[str, Any] = {
                    "base_url": f"https://{SPACE}",
                    "headers": {"origin": f"https://{SPACE}"},
                }
                async with (
                    httpx.AsyncClient(transport=transport, **options) as first,
                    httpx.AsyncClient(transport=transport, **options) as second,
                ):
                    for browser in (first, second):
                        (await browser.get("/")).raise_for_status()
                        assert await sign_in(browser) == "/"
                        await visit(browser)
                    assert apps.visitors.all() == [apps.visitors.of_account("anna")]
                    await first.get("/logout")
                    await visit(first)
                    assert len(apps.visitors.all()) == 2, "the browser's own again"
                    forged = await second.get(
                        "/login/callback?code=code-0&state=made-up"
                    )
                    assert forged.headers["location"].startswith(
                        "/login/huggingface"
                    ), "asked to sign in again"
        finally:
            apps.close()

    asyncio.run(work())
