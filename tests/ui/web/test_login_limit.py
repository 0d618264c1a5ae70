"""A password can't be guessed by trying many."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ui.web import guard
from ui.web.guard import FROM_ALL, FROM_ONE, LoginLimit


async def login(request: Request) -> PlainTextResponse:
    status = {b"right": 200, b"": 422}.get(await request.body(), 400)
    return PlainTextResponse("", status)


def browsers(*addresses: str) -> list[TestClient]:
    app = Starlette(
        routes=[Route("/login", login, methods=["POST"]), Route("/", login, methods=["GET"])],
        middleware=[Middleware(LoginLimit)],
    )
    return [TestClient(app, client=(address, 1)) for address in addresses]


def attempt(browser: TestClient, password: str = "wrong") -> int:
    return browser.post("/login", content=password).status_code


def test_after_some_wrong_passwords_even_the_right_one_waits() -> None:
    guessing, other = browsers("192.0.2.7", "192.0.2.8")
    assert [attempt(guessing) for _ in range(FROM_ONE)] == [400] * FROM_ONE
    assert attempt(guessing, "right") == 429
    assert attempt(other, "right") == 200
    assert guessing.get("/").status_code != 429, "only passwords are counted"


def test_a_right_password_forgets_the_wrong_ones() -> None:
    (person,) = browsers("192.0.2.7")
    for _ in range(3):
        assert [attempt(person) for _ in range(FROM_ONE - 1)] == [400] * (FROM_ONE - 1)
        assert attempt(person, "right") == 200


def test_a_request_without_a_password_forgets_nothing() -> None:
    (guessing,) = browsers("192.0.2.7")
    assert [attempt(guessing) for _ in range(FROM_ONE - 1)] == [400] * (FROM_ONE - 1)
    assert attempt(guessing, "") == 422
    assert attempt(guessing) == 429


def test_many_addresses_together_are_limited_too() -> None:
    everybody = browsers(*(f"192.0.2.{number}" for number in range(FROM_ALL // 5 + 1)))
    answers = [attempt(browser) for browser in everybody for _ in range(5)]
    assert answers == [400] * FROM_ALL + [429] * 5


def test_it_can_be_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    (person,) = browsers("192.0.2.7")
    for _ in range(FROM_ONE):
        attempt(person)
    monkeypatch.setattr(guard, "WINDOW", 0.0)
    assert attempt(person, "right") == 200
