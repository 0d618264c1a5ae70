"""Who may talk to the page, by every kind of request; a password can't be guessed by
trying many.
"""

import math

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ui.web import guard
from ui.web.guard import FROM_ONE, LoginLimit, body_length

OURS = "http://127.0.0.1:7860"
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "ANYTHING",
)
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("in")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("in")
    await socket.close()


def client(base: str = OURS, space: str = "") -> TestClient:
    routes = [
        Route("/", answer, methods=METHODS), Route("/deep", answer, methods=METHODS),
        Route("/login/callback", answer, methods=METHODS), WebSocketRoute("/ws", talk),
    ]  # fmt: skip
    return TestClient(
        Starlette(routes=routes, middleware=[Middleware(guard.Guard, space=space)]),
        base_url=base,
    )


@pytest.mark.parametrize("method", METHODS)
def test_our_own_page_may_do_everything(method: str) -> None:
    assert (
        client().request(method, "/deep", headers={"origin": OURS}).status_code == 200
    )
    assert (
        client()
        .request(method, "/deep", headers={"sec-fetch-site": "same-origin"})
        .status_code
        == 200
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "null", "", "https://127.0.0.1:7860", "http://127.0.0.1:9999", "http://127.0.0.1",
        "file://",
    ],
)  # fmt: skip
def test_another_origin_may_do_nothing(method: str, origin: str) -> None:
    headers = {"origin": origin, "sec-fetch-site": "same-origin", **NAVIGATION}
    assert client().request(method, "/", headers=headers).status_code == 403


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "made-up"])
def test_a_cross_site_request_is_refused(method: str, site: str) -> None:
    assert (
        client().request(method, "/deep", headers={"sec-fetch-site": site}).status_code
        == 403
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1",
        "127.0.0.1:9999",
        "127.0.0.1.evil.example:7860",
        "",
    ],
)
def test_another_host_name_is_refused(method: str, host: str) -> None:
    assert client().request(method, "/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("base", [OURS, "http://localhost:7860", "http://[::1]:7860"])
def test_each_name_of_this_computer_works_but_not_two_and_no_other(base: str) -> None:
    assert client(base).get("/").status_code == 200
    assert (
        client()
        .get("/", headers=[("host", "127.0.0.1:7860"), ("host", "evil.example")])
        .status_code
        == 400
    )
    assert client("http://192.168.1.5:7860").get("/").status_code == 400


def test_a_link_from_elsewhere_opens_the_front_page_only_and_a_program_may_only_read() -> (
    None
):
    headers = {"sec-fetch-site": "cross-site", **NAVIGATION}
    assert client().get("/?__theme=dark", headers=headers).status_code == 200
    assert client().get("/deep", headers=headers).status_code == 403
    assert client().post("/", headers=headers).status_code == 403
    assert (
        client().get("/", headers={**headers, "sec-fetch-dest": "iframe"}).status_code
        == 403
    )
    assert client().get("/deep").status_code == 200, "a program"
    assert client().post("/deep").status_code == 403


@pytest.mark.parametrize(
    ("headers", "opens"),
    [({"origin": OURS}, True), ({"origin": "http://evil.example"}, False), ({}, False)],
)
def test_websockets_need_our_origin(headers: dict[str, str], opens: bool) -> None:
    if opens:
        with client().websocket_connect(
            "ws://127.0.0.1:7860/ws", headers=headers
        ) as socket:
            assert socket.receive_text() == "in"
        return
    with (
        pytest.raises(WebSocketDisconnect),
        client().websocket_connect("ws://127.0.0.1:7860/ws", headers=headers),
    ):
        pass


def test_the_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody() -> None:
    policy = client().get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy


def test_a_space_is_reached_by_its_own_name_and_framed_by_hugging_face() -> None:
    page = client("https://me-apprentice.hf.space", "me-apprentice.hf.space")
    assert (
        "frame-ancestors https://huggingface.co"
        in page.get("/").headers["content-security-policy"]
    )
    assert (
        page.post(
            "/deep", headers={"origin": "https://me-apprentice.hf.space"}
        ).status_code
        == 200
    )
    assert (
        page.post("/deep", headers={"origin": "https://other.hf.space"}).status_code
        == 403
    )
    framed = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "iframe",
    }
    assert page.get("/", headers=framed).status_code == 200


@pytest.mark.parametrize(
    ("space", "status"), [("me-apprentice.hf.space", 200), ("", 403)]
)
def test_signing_in_leads_back_to_a_space(space: str, status: int) -> None:
    page = client(f"https://{space}" if space else OURS, space)
    headers = {"sec-fetch-site": "cross-site", **NAVIGATION}
    assert (
        page.get("/login/callback?code=1&state=2", headers=headers).status_code
        == status
    )
    assert page.post("/login/callback", headers=headers).status_code == 403


def opened(address: str, host: str = "0.0.0.0") -> TestClient:
    """A client of a page that is open to the network, connected to `address` of this
    computer.
    """

    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        await guarded({**scope, "server": (address, 7860)}, receive, send)

    guarded = guard.Guard(
        Starlette(routes=[Route("/", answer, methods=METHODS)]), hosts=(host,)
    )
    return TestClient(answers, base_url=OURS)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.168.1.5", "192.168.1.5:7860"), ("fd00::5", "[fd00::5]:7860"), ("fe80::5%eth0", "[fe80::5]:7860"),
        ("::ffff:192.168.1.5", "192.168.1.5:7860"), ("192.168.1.5", "127.0.0.1:7860"),
    ],
)  # fmt: skip
def test_opened_to_the_network_it_is_reached_by_the_address_of_the_connection(
    address: str, host: str
) -> None:
    page = opened(address)
    assert page.get("/", headers={"host": host}).status_code == 200
    assert (
        page.post("/", headers={"host": host, "origin": f"http://{host}"}).status_code
        == 200
    )
    assert (
        page.post(
            "/", headers={"host": host, "origin": "http://evil.example"}
        ).status_code
        == 403
    )


def test_opened_to_the_network_only_the_name_it_was_given_is_a_name() -> None:
    others = ("evil.example", "192.168.1.5.evil.example", "192.168.1.6", "fd00::5")
    for host in (*(f"{name}:7860" for name in others), "192.168.1.5:9999"):
        assert (
            opened("192.168.1.5").get("/", headers={"host": host}).status_code == 400
        ), host
    assert (
        opened("192.168.1.5", "MyBox.lan")
        .get("/", headers={"host": "mybox.lan:7860"})
        .status_code
        == 200
    )


async def login(request: Request) -> PlainTextResponse:
    status = {b"right": 200, b"": 422}.get(await request.body(), 400)
    return PlainTextResponse("", status)


def browsers(*addresses: str) -> list[TestClient]:
    app = Starlette(
        routes=[
            Route("/login", login, methods=["POST"]),
            Route("/", login, methods=["GET"]),
        ],
        middleware=[Middleware(LoginLimit)],
    )
    return [TestClient(app, client=(address, 1)) for address in addresses]


def attempt(browser: TestClient, password: str = "wrong") -> int:
    return browser.post("/login", content=password).status_code


@pytest.mark.parametrize(
    "addresses",
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"), ("192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
        ("2001:db8::7", "2001:db8::ffff:0:0:8", "2001:db8:0:1::7"),
    ],
)  # fmt: skip
def test_after_some_wrong_passwords_even_the_right_one_waits(
    addresses: tuple[str, ...],
) -> None:
    guessing, same, other = browsers(*addresses)
    assert [attempt(guessing) for _ in range(FROM_ONE)] == [400] * FROM_ONE
    assert (attempt(same, "right"), attempt(other, "right")) == (429, 200)
    assert guessing.get("/").status_code != 429, "only passwords are counted"


def test_a_right_password_forgets_the_wrong_ones() -> None:
    (person,) = browsers("192.0.2.7")
    for _ in range(3):
        assert [attempt(person) for _ in range(FROM_ONE - 1)] == [400] * (FROM_ONE - 1)
        assert attempt(person, "right") == 200


def test_a_request_without_a_password_forgets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (guessing,) = browsers("192.0.2.7")
    assert [attempt(guessing) for _ in range(FROM_ONE - 1)] == [400] * (FROM_ONE - 1)
    assert [attempt(guessing, ""), attempt(guessing)] == [422, 429]
    monkeypatch.setattr(guard, "WINDOW", 0.0)
    assert attempt(guessing, "right") == 200, "later"


def test_a_body_in_chunks_is_of_unknown_length() -> None:
    headers = [(b"content-length", b"10"), (b"transfer-encoding", b"chunked")]
    assert body_length({"type": "http", "headers": headers}) == math.inf
    assert body_length({"type": "http", "headers": headers[:1]}) == 10


def test_a_long_login_or_one_of_unknown_length_is_not_read() -> None:
    (person,) = browsers("192.0.2.7")
    assert person.post("/login", content="x" * 20_000).status_code == 413
    assert person.post("/login", content=iter([b"right"])).status_code == 413
    assert attempt(person, "right") == 200
