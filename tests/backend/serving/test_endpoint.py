"""The endpoint: the key, the form of requests and answers, its limits, and that
failures become sentences.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from backend.chat.engine import Sampling
from backend.errors import BadInput, ChatFailed
from backend.records.chat import Chunk
from backend.serving import endpoint as serving
from backend.serving.answers import ChatAnswers
from backend.serving.endpoint import Endpoint
from backend.serving.requests import Abilities
from backend.serving.state import key_hash, new_key
from tests.cases import cases

KEY = new_key()
HEADERS = {"Authorization": f"Bearer {KEY}"}
ASK = {"model": "orders", "messages": [{"role": "user", "content": "Where is 4711?"}]}


class FakeChat:
    """Answers with its words. error: raised instead. gate: answers wait for it."""

    def __init__(self) -> None:
        self.words = ["On ", "its ", "way."]
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[Any] = []
        self.closed = 0

    def prompt_ids(self, messages: Any) -> list[int]:
        return list(range(7))

    def ask(self, messages: Any, panes: Any, **sampling: Any) -> Iterator[Chunk]:
        self.asked.append((messages, panes, sampling))
        return self._answer()

    def _answer(self) -> Iterator[Chunk]:
        assert self.gate.wait(20)
        if self.error:
            raise self.error
        try:
            for count, word in enumerate(self.words, 1):
                yield Chunk("tuned", word, count, 50.0)
            yield Chunk("tuned", "", len(self.words), 50.0, "end")
        finally:
            self.closed += 1


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat()


@pytest.fixture
def endpoint(chat: FakeChat) -> Endpoint:
    answers = ChatAnswers(chat, "tuned")  # type: ignore[arg-type]
    return Endpoint(
        answers, 1, Abilities("orders", "Be warm.", whole=False), key_hash(KEY)
    )


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[TestClient]:
    with TestClient(endpoint.app) as client:
        yield client


def post(client: TestClient, **changes: Any) -> Any:
    return client.post("/v1/chat/completions", json={**ASK, **changes}, headers=HEADERS)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {key_hash(KEY)}",
    ],
    ids=[
        "nothing",
        "no key",
        "wrong",
        "another scheme",
        "longer",
        "hash",
    ],  # the key differs in each test process
)
def test_nothing_without_the_key(
    client: TestClient, chat: FakeChat, given: str
) -> None:
    headers = {"Authorization": given} if given else {}
    asking = client.post("/v1/chat/completions", json=ASK, headers=headers)
    for answer in (client.get("/v1/models", headers=headers), asking):
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            401,
            "invalid_api_key",
        )
    assert not chat.asked


def test_the_model_is_listed_and_answers(
    client: TestClient, chat: FakeChat, endpoint: Endpoint
) -> None:
    assert [
        model["id"]
        for model in client.get("/v1/models", headers=HEADERS).json()["data"]
    ] == ["orders"]
    answer = post(client).json()
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": "On its way.",
    }
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
    }
    messages, panes, sampling = chat.asked[0]
    assert ([message["content"] for message in messages], panes) == (
        ["Be warm.", "Where is 4711?"],
        ["tuned"],
    )
    assert Sampling(**sampling).temperature == 0.0, "as Try asks"
    counts = endpoint.counts
    assert (counts.requests, counts.tokens, counts.tokens_per_second, counts.open) == (
        1,
        3,
        50.0,
        0,
    )


def test_a_streamed_answer(client: TestClient, endpoint: Endpoint) -> None:
    lines = post(
        client, stream=True, stream_options={"include_usage": True}
    ).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert (
        "".join(
            choice["delta"].get("content", "")
            for one in chunks
            for choice in one["choices"]
        )
        == "On its way."
    )
    assert (
        chunks[-1]["usage"]["completion_tokens"],
        chunks[-2]["choices"][0]["finish_reason"],
    ) == (3, "stop")
    assert endpoint.counts.open == 0


@pytest.mark.parametrize("changes", cases("requests", "bad"))
def test_a_bad_request_is_explained(
    client: TestClient, chat: FakeChat, changes: dict[str, Any]
) -> None:
    body = json.dumps({**ASK, **changes}).encode()
    answer = client.post("/v1/chat/completions", content=body, headers=HEADERS)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith(".")
    assert not chat.asked


def test_what_is_no_json_object_or_too_large_is_declined(
    client: TestClient, chat: FakeChat
) -> None:
    bodies = dict.fromkeys((b"", b"{", b"[]", b"\xff", b"[" * 100_000), 400) | {
        b"x" * (serving.MAX_BODY + 1): 413
    }
    for body, status in bodies.items():
        assert (
            client.post(
                "/v1/chat/completions", content=body, headers=HEADERS
            ).status_code
            == status
        ), body[:9]
    assert not chat.asked


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("The conversation has become too long."), 400),
        (ChatFailed("It stopped."), 503),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_is_a_sentence_and_frees_its_place(
    client: TestClient,
    chat: FakeChat,
    endpoint: Endpoint,
    error: Exception,
    status: int,
    stream: bool,
) -> None:
    chat.error = error
    answer = post(client, stream=stream)
    assert (answer.status_code, "Traceback" in answer.text, endpoint.counts.open) == (
        status,
        False,
        0,
    )


def test_too_many_at_a_time_are_declined(
    client: TestClient,
    chat: FakeChat,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "MAX_WAITING", 3)
    chat.gate.clear()
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(post, client) for _ in range(4)]
        while endpoint.counts.open < 4:
            pass
        declined = post(client)
        assert (
            declined.status_code,
            1 <= int(declined.headers["retry-after"]) <= 60,
        ) == (429, True)
        chat.gate.set()
    assert [one.result().status_code for one in waiting] == [200] * 4
    assert (endpoint.counts.open, post(client).status_code) == (0, 200)


def scope() -> dict[str, Any]:
    """Of a question."""
    headers = [
        (name.lower().encode(), value.encode()) for name, value in HEADERS.items()
    ]
    path = {"path": "/v1/chat/completions", "query_string": b"", "headers": headers}
    return {"type": "http", "method": "POST", "asgi": {"spec_version": "2.3"}, **path}


def test_a_stream_that_never_begins_frees_its_place(endpoint: Endpoint) -> None:
    messages = iter(
        [{"type": "http.request", "body": json.dumps({**ASK, "stream": True}).encode()}]
    )

    async def receive() -> Any:
        return next(messages, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        raise OSError("the client is gone")

    with contextlib.suppress(OSError, ExceptionGroup):
        asyncio.run(endpoint.app(scope(), receive, send))
    assert (endpoint.counts.requests, endpoint.counts.open) == (1, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_an_answer_ends_when_its_client_goes(
    chat: FakeChat, endpoint: Endpoint, stream: bool, started: bool
) -> None:
    """Whether it still waits for its turn or has begun."""
    chat.words = ["word "] * 1000
    gone = asyncio.Event()
    body = json.dumps({**ASK, "stream": stream}).encode()
    messages = iter([{"type": "http.request", "body": body}])

    async def receive() -> Any:
        if (message := next(messages, None)) is None:
            await gone.wait()
        return message or {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    async def leave() -> None:
        while not chat.asked:
            await asyncio.sleep(0)
        gone.set()
        await asyncio.sleep(0.01)
        chat.gate.set()

    async def ask() -> None:
        await asyncio.gather(endpoint.app(scope(), receive, send), leave())

    if not started:
        chat.gate.clear()
    asyncio.run(ask())
    assert (endpoint.counts.open, endpoint.counts.tokens < 1000) == (0, True)


def test_only_files_and_named_pages_may_ask(chat: FakeChat) -> None:
    answers = ChatAnswers(chat, "tuned")  # type: ignore[arg-type]
    client = TestClient(
        Endpoint(
            answers, 1, Abilities("orders"), key_hash(KEY), ["https://shop.example"]
        ).app
    )
    asking = {"Access-Control-Request-Method": "POST"}
    asking["Access-Control-Request-Headers"] = (
        "authorization,content-type,x-stainless-lang,openai-organization"
    )
    for origin, allowed in (
        ("null", True),
        ("https://shop.example", True),
        ("https://other.example", False),
    ):
        answer = client.options(
            "/v1/chat/completions", headers={**asking, "Origin": origin}
        )
        assert answer.headers.get("access-control-allow-origin") == (
            origin if allowed else None
        )
        assert "access-control-allow-credentials" not in answer.headers


def test_seeds(client: TestClient, chat: FakeChat) -> None:
    for seed in (7, -1, None, None):
        post(client, seed=seed, temperature=1)
    seeds = [sampling["seed"] for _, _, sampling in chat.asked]
    assert (seeds[0], len(set(seeds))) == (7, 4), "random without one"
