"""Who a visitor is by cookie and by account, and what the gate refuses."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from time import thread_time, time
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.hosting.policy import Limits
from backend.hosting.visitors import Visitors
from ui.web import gate, pulse
from ui.web.front_page import FrontPage
from ui.web.gate import VISITOR, Door, Gate
from ui.web.visitor import COOKIE

JOIN, UPLOAD, ANY = "/gradio_api/queue/join", "/gradio_api/upload", "/theme.css"


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long the gate would have waited."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(gate, "sleep", sleep)
    return found


class Session:
    """Stands for starlette's middleware, which reads the session from a signed cookie."""

    def __init__(self, app: ASGIApp, session: dict[str, Any]) -> None:
        self.app, self.session = app, session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "session": self.session}, receive, send)


class Queue(list[str]):
    """The sessions of the events in gradio's queue."""

    def has(self, session: str, event: str) -> bool:
        return False

    def knows(self, session: str) -> bool:
        return session.startswith("abc")

    def takes(self, listener: int, inputs: int) -> bool:
        return True

    def needs_password(self) -> bool:
        return self.count("password") > 0

    def sessions(self) -> list[str]:
        return self

    def begun(self) -> list[tuple[str, float]]:
        return []

    def forget_unread(self, visitor: str) -> None:
        self[:] = [session for session in self if session != f"unread-{visitor}"]


async def echo(request: Request) -> JSONResponse:
    body = await request.json() if request.method == "POST" else None
    return JSONResponse(
        {
            "visitor": request.scope[VISITOR],
            "body": body,
            "query": str(request.query_params),
        }
    )


def opened(
    tmp_path: Path, session: dict[str, Any] | None = None, **more: Any
) -> TestClient:
    events = more.pop("events", Queue())
    visitors = Visitors(tmp_path / "visitors", Limits())
    door = Door(
        visitors, Limits(upload=10.0, uploads=1.0), tmp_path / "uploads", events, **more
    )
    routes = [
        Route(path, echo, methods=["GET", "POST"])
        for path in ("/", ANY, JOIN, UPLOAD, "/gradio_api/queue/data")
    ]
    stack = [Middleware(Session, session=session or {}), Middleware(Gate, door=door)]
    return TestClient(Starlette(routes=routes, middleware=stack))


def visitor_of(page: TestClient) -> str | None:
    page.get("/")
    found: str | None = page.get(ANY).json()["visitor"]
    return found


def signed_in(account: str, seconds: float = 100) -> dict[str, Any]:
    return {
        "oauth_info": {"userinfo": {"sub": account}, "expires_at": time() + seconds}
    }


@pytest.mark.parametrize(
    ("session", "accounts"),
    [(signed_in("anna"), False), (signed_in("anna", -1), True), (signed_in(""), True)],
)
def test_no_account_unsigned_or_after_its_time(
    tmp_path: Path, session: dict[str, Any], accounts: bool
) -> None:
    page = opened(tmp_path, session, accounts=accounts)
    anna = Visitors(tmp_path / "visitors", Limits()).of_account("anna")
    assert visitor_of(page) not in (None, anna)


@pytest.mark.parametrize(
    ("https", "across"),
    [(True, ["SameSite=None", "Secure", "Partitioned"]), (False, ["SameSite=Lax"])],
)
def test_the_cookie_is_hidden_from_scripts_but_in_frames(
    tmp_path: Path, https: bool, across: list[str]
) -> None:
    cookie = opened(tmp_path, https=https).get("/").headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", *across} <= set(cookie.split("; "))


def test_the_page_is_made_once_and_everybody_gets_an_own_cookie(tmp_path: Path) -> None:
    def asked(client: TestClient, **headers: str) -> tuple[bool, str, str]:
        """Whether it was made anew, its text, and the cookie."""
        client.cookies.clear()
        answer = client.get("/?a=b", headers=headers)
        new = len(made)
        made.update([answer.text])
        return len(made) > new, answer.text, answer.headers["set-cookie"]

    made: set[str] = set()
    client = opened(tmp_path)
    assert asked(client)[0]
    new, text, cookie = asked(client, junk="1", cookie="access-token=1")
    assert (new, json.loads(text)["query"]) == (False, "")
    assert asked(client)[2] != cookie
    assert "a=b" in opened(tmp_path, events=Queue(["password"])).get("/?a=b").text, (
        "gradio shows the login"
    )


def test_sessions_are_joined_to_the_visitor_and_only_known_fields_pass(
    tmp_path: Path,
) -> None:
    page = opened(tmp_path)
    visitor = visitor_of(page)
    sent = {
        "data": [1],
        "fn_index": 2,
        "session_hash": "abc",
        "event_id": "of-another",
        "oauth_token": "x",
    }
    assert page.post(JOIN, json=sent).json()["body"] == {
        "data": [1],
        "fn_index": 2,
        "session_hash": f"abc-{visitor}",
    }
    asked = page.get("/gradio_api/queue/data?session_hash=abc").json()["query"]
    assert asked == f"session_hash=abc-{visitor}"


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]},
        {"data": [[{"deep": {"path": "https://example.com/x"}}]]}, {"data": [{"path": {"no": "text"}}]},
        {"data": [], "trigger_id": {}}, {"data": {}}, {"data": [], "fn_index": "0"},
        {"data": [], "session_hash": 5}, {"data": [[[] for _ in range(300_000)]]},
        {"data": [[[] for _ in range(25_000)]]}, {"data": ["x" * 300_000, *([0] * 2000)]},
        {"data": [{str(number): 0 for number in range(100_000)}]}, {"data": json.loads("[" * 150 + "]" * 150)},
    ],
)  # fmt: skip
def test_a_foreign_file_or_a_strange_body_is_refused(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    page = opened(tmp_path)
    visitor_of(page)
    assert (
        page.post(JOIN, json={"session_hash": "abc", "fn_index": 0, **body}).status_code
        == 404
    )


def test_one_visitor_can_not_fill_the_queue(tmp_path: Path) -> None:
    events = Queue()
    page, other = opened(tmp_path, events=events), opened(tmp_path, events=events)
    visitor_of(other)
    events += [f"{tab}-{visitor_of(page)}" for tab in range(60)]
    event = {"data": [], "fn_index": 0, "session_hash": "abc"}
    assert [one.post(JOIN, json=event).status_code for one in (page, page, other)] == [
        429,
        429,
        200,
    ]
    events[:] = [f"unread-{visitor_of(page)}"] * 60
    assert [page.post(JOIN, json=event).status_code for _ in range(2)] == [429, 200], (
        "nobody is locked out for good"
    )


def test_events_on_their_way_to_the_queue_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    """Sixty that arrive at once are all counted before the first is in gradio's queue."""
    monkeypatch.setattr(gate, "monotonic", lambda: 100.0)
    monkeypatch.setattr(gate, "_AT_WORK", 100)
    monkeypatch.setattr(gate, "_OF_ONE", 100)

    async def work() -> list[int]:
        arrived = asyncio.Event()

        async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
            await arrived.wait()
            await PlainTextResponse()(scope, receive, send)

        guarded = Gate(
            gradio,
            Door(
                Visitors(tmp_path / "visitors", Limits()), Limits(), tmp_path, Queue()
            ),
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(guarded), base_url="http://testserver"
        ) as browser:
            event = {"data": [], "fn_index": 0, "session_hash": "abc"}
            asked = [
                asyncio.create_task(browser.post(JOIN, json=event)) for _ in range(70)
            ]
            while len(waits) < 70:
                await asyncio.sleep(0)
            arrived.set()
            return [
                (await answer).status_code
                for answer in (*asked, browser.post(JOIN, json=event))
            ]

    assert sorted(asyncio.run(work())) == [200] * 61 + [429] * 10, (
        "once they are answered there is room again"
    )
    turns = [max(0, number - 15) / 2 for number in range(1, 62)]
    assert sorted(waits) == pytest.approx(sorted([*turns, *[1.0] * 10]), abs=0.1), (
        "the sixteenth waits for its turn"
    )


def test_a_visitor_whose_events_wait_for_something_does_not_take_all_calls_of_a_handler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago they began: four are let in, and the next one's turn comes when
    one is answered.
    """
    monkeypatch.setattr(gate, "sleep", lambda _: asyncio.sleep(0))
    visitors, queue, slow = (
        Visitors(tmp_path / "visitors", Limits()),
        Queue(),
        list[str](),
    )
    (greedy, other), unanswered = (
        [visitors.new_key() for _ in range(2)],
        list[tuple[str, float]](),
    )
    queue.begun = lambda: unanswered  # type: ignore[method-assign]

    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        slow.append(scope[VISITOR])
        unanswered.append((scope[VISITOR], gate.monotonic() - 60))
        await PlainTextResponse()(scope, receive, send)

    async def work() -> None:
        guarded = Gate(gradio, Door(visitors, Limits(), tmp_path, queue))
        event = {"data": [], "fn_index": 0, "session_hash": "abc"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(guarded), base_url="http://testserver"
        ) as browser:
            keys = [{"cookie": f"{COOKIE}={key}"} for key in [greedy] * 6 + [other]]
            asked = [
                asyncio.create_task(browser.post(JOIN, json=event, headers=key))
                for key in keys
            ]
            await asyncio.gather(*asked[:4], asked[-1])
            assert sorted(Counter(slow).values()) == [1, 4]
            unanswered.clear()
            await asyncio.gather(*asked)
        assert sorted(Counter(slow).values()) == [1, 6]

    asyncio.run(work())


def test_who_asked_for_less_lately_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While gradio works at as many events as it may, one visitor's ten wait, and
    another's one is then the next. What a third one's page asked by itself comes after
    one of the ten. They go one after the other.
    """
    monkeypatch.setattr(gate, "sleep", lambda _: asyncio.sleep(0))
    at_work, order, inside, queue = (
        [("", gate.monotonic() + 60)] * 3,
        list[str](),
        list[str](),
        Queue(),
    )
    queue.begun = lambda: at_work  # type: ignore[method-assign]
    visitors = Visitors(tmp_path / "visitors", Limits())

    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        order.append(scope[VISITOR])
        assert scope[VISITOR] not in inside
        inside.append(scope[VISITOR])
        await asyncio.sleep(0.01)
        inside.remove(scope[VISITOR])
        await PlainTextResponse()(scope, receive, send)

    async def work() -> None:
        guarded = Gate(gradio, Door(visitors, Limits(), tmp_path, queue))
        event = {"data": [], "fn_index": 0, "session_hash": "abc"}
        often, once, by_itself = ({"cookie": f"{COOKIE}={key}"} for key in keys)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(guarded), base_url="http://testserver"
        ) as browser:
            asked = [
                asyncio.create_task(
                    browser.post(
                        pulse.PATH, json={"choice": {}, "tab": ""}, headers=by_itself
                    )
                )
            ]
            asked += [
                asyncio.create_task(browser.post(JOIN, json=event, headers=key))
                for key in [often] * 10 + [once]
            ]
            while len(guarded._line) < 12:
                await asyncio.sleep(0.01)
            at_work.clear()
            assert {answer.status_code for answer in await asyncio.gather(*asked)} == {
                200
            }

    keys = [visitors.new_key() for _ in range(3)]
    asyncio.run(work())
    often, once, by_itself = map(visitors.of_key, keys)
    assert order == [once, often, by_itself, *[often] * 9]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 4_000_000,
        '{"messages": [1, 2]}\n' * 20_000,
        "[" * 200_000,
        'say "\\" twice, \\\\' * 1000,
        "äö日本" * 9,
    ],
)
def test_a_long_text_passes_whatever_is_in_it_but_not_without_a_cookie(
    tmp_path: Path, text: str
) -> None:
    page, event = (
        opened(tmp_path),
        {"data": [text], "fn_index": 0, "session_hash": "abc"},
    )
    assert page.post(JOIN, json=event).status_code == (413 if len(text) > 1000 else 200)
    visitor_of(page)
    assert page.post(JOIN, json=event).json()["body"]["data"] == [text]
    assert page.post(JOIN, json={**event, "data": ["x" * (5 << 20)]}).status_code == 413


def test_a_visitor_can_not_send_too_much_in_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, other = opened(tmp_path), opened(tmp_path)
    for one in (page, other):
        visitor_of(one)
    now = 100.0
    monkeypatch.setattr(gate, "monotonic", lambda: now)
    text = {"data": ["x" * 1_000_000], "fn_index": 0, "session_hash": "abc"}
    assert [page.post(JOIN, json=text).status_code for _ in range(12)] == [200] * 11 + [
        429
    ]
    assert other.post(JOIN, json=text).status_code == 200
    now += 6.0
    assert page.post(JOIN, json=text).status_code == 200


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("1.1.1.1", {"3"}), ("127.0.0.1", set()), ("172.18.0.2", set()),
        ("2606:4700::{:x}", {"3"}), ("::ffff:1.1.1.1", {"3"}), ("fd00::{:x}", set()),
    ],
)  # fmt: skip
def test_newcomers_wait_or_are_refused(
    address: str, refused: set[str], tmp_path: Path, waits: list[float]
) -> None:
    page, answers = opened(tmp_path), []
    for number in range(60):
        page._transport.client = (address.format(number), 1)  # type: ignore[attr-defined]
        page.cookies.clear()
        answers.append(page.get("/"))
    assert {
        answer.headers["refresh"] for answer in answers if answer.status_code == 429
    } == refused
    assert (waits[:20], len(waits)) == ([0.0] * 20, 60)
    assert 1.0 < max(waits) <= 2.0, (
        "2.0 less the time that the requests themselves take"
    )
    page.cookies = answers[0].cookies
    assert page.get("/").status_code == 200, "who has a cookie passes"
    assert page.get("/gradio_api/nothing").headers["connection"] == "close", (
        "the rest of a long body is not read"
    )
    assert waits[60:] == [1.0]


def test_hostile_json_costs_little_time(tmp_path: Path) -> None:
    """What is refused was counted in one pass, however its quotes and backslashes
    stand.
    """
    for piece in (b'"', b'\\"', b'"\\', b"[[", b"\\\\", b'"",'):
        began = thread_time()
        assert gate._parsed(b'{"data": "' + piece * ((4 << 20) // len(piece))) is None
        assert thread_time() - began < 3


def test_json_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """The letter's bytes in UTF-16 look like two quotes, or one."""
    text = '{"data": ["Ģ", ' + "[], " * 30_000 + '0], "session_hash": "abc"}'
    assert gate._parsed(text.encode("utf-16-le")) is None
    assert gate._parsed(text.encode("utf-16")) is None
    assert gate._parsed('{"data": ["Ģ"]}'.encode()) == {"data": ["Ģ"]}


def test_on_a_space_the_address_is_the_last_that_the_proxy_names(
    tmp_path: Path,
) -> None:
    door = Door(
        Visitors(tmp_path / "visitors", Limits()),
        Limits(),
        tmp_path,
        Queue(),
        https=True,
    )
    for forged in ([b"192.0.2.9, 192.0.2.1"], [b"192.0.2.9", b"192.0.2.1"]):
        headers = [(b"x-forwarded-for", line) for line in forged]
        assert (
            Gate(Starlette(), door)._address({"type": "http", "headers": headers})
            == "192.0.2.1"
        )


def test_uploads_that_begin_at_once_count_together(tmp_path: Path) -> None:
    page = opened(tmp_path)
    visitor_of(page)

    async def work() -> list[httpx.Response]:
        transport, address = httpx.ASGITransport(page.app), "http://testserver"
        async with httpx.AsyncClient(
            transport=transport, base_url=address, cookies={**page.cookies}
        ) as browser:
            return await asyncio.gather(
                *(browser.post(UPLOAD, json="x" * (5 << 20)) for _ in range(5))
            )

    assert sorted(answer.status_code for answer in asyncio.run(work())) == [
        200,
        200,
        429,
        429,
        429,
    ]
    assert page.post(UPLOAD, json="x" * (11 << 20)).status_code == 413


def test_the_oldest_uploads_make_room(tmp_path: Path) -> None:
    door = Door(
        Visitors(tmp_path / "visitors", Limits()),
        Limits(uploads=3.0, visitor_uploads=2.0),
        tmp_path,
        Queue(),
    )
    guarded = Gate(Starlette(), door)
    files = [tmp_path / f"{number}.bin" for number in range(3)]
    for file in files:
        guarded._make_room("anna", 1.0)
        file.write_bytes(bytes(1 << 20))
        guarded._files.note_uploads("anna", [str(file)])
    assert [file.exists() for file in files] == [False, True, True], (
        "her own oldest one"
    )
    guarded._make_room("bert", 2.0)
    assert sum(file.exists() for file in files) < 2, "the oldest ones of all"
    files[0].touch()
    guarded._files.note_uploads("carl", [str(files[0]), *map(str, range(50))])
    assert not files[0].exists(), "of a visitor with very many"


def test_a_page_that_is_known_waits_for_no_other_and_an_error_is_forgotten() -> None:
    going, failed = asyncio.Event(), list[bytes]()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        host = scope["headers"][0][1]
        if host.startswith(b"made up"):
            await going.wait()
        failed.extend([host] * (host == b"broken"))
        await send(
            {"type": "http.response.start", "status": 500 if host == b"broken" else 200}
        )
        await send({"type": "http.response.body", "body": host})

    async def asked(front: FrontPage, host: bytes) -> bytes:
        got: list[Message] = []

        async def send(message: Message) -> None:
            got.append(message)

        scope = {
            "type": "http",
            "path": "/",
            "scheme": "http",
            "headers": [(b"host", host)],
        }
        await front.answer(scope, lambda: asyncio.Future(), send)
        return bytes(got[1]["body"])

    async def all_of_them() -> list[bytes]:
        front = FrontPage(slow)
        first = await asked(front, b"known")
        assert (
            await asked(front, b"broken") == await asked(front, b"broken") == b"broken"
        )
        others = [
            asyncio.create_task(asked(front, b"made up %d" % n)) for n in range(30)
        ]
        await asyncio.sleep(0)
        second = await asyncio.wait_for(asked(front, b"known"), 10)
        going.set()
        return [first, second, *await asyncio.gather(*others)]

    assert asyncio.run(all_of_them()) == [b"known"] * 2 + [
        b"made up %d" % n for n in range(30)
    ]
    assert failed == [b"broken"] * 2
