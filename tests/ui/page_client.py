"""Does over HTTP what a browser does with the page: knows its listeners, sends their
inputs, waits for the answer.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
from gradio.routes import App

from ui.services.selection import Choice
from ui.web import page as web_page
from ui.web.launch import launch_arguments

ADDRESS = "http://127.0.0.1:7860"


class PageClient:
    """One open page. http: a client whose base address is the page's. choice, tab,
    shown: what its browser holds, and the signature of what it shows.
    """

    def __init__(
        self, http: httpx.AsyncClient, config: dict[str, Any], choice: Choice, tab: str
    ) -> None:
        self._http = http
        self.listeners: list[dict[str, Any]] = config["dependencies"]
        self._components = {part["id"]: part for part in config["components"]}
        self.session = uuid.uuid4().hex
        self.choice = choice
        self.tab, self.shown = tab, ""
        self._messages: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, http: httpx.AsyncClient, choice: Choice, tab: str
    ) -> PageClient:
        return cls(
            http, (await http.get("/config")).raise_for_status().json(), choice, tab
        )

    def listener(self, event: str, **component: str) -> dict[str, Any]:
        """The listener of an `event` of the component with this elem_id, label or kind
        (`type`). Raises LookupError when the page has none.
        """
        for listener in self.listeners:
            for target, name in listener["targets"]:
                part = self._components.get(target, {"type": "", "props": {}})
                facts = {**part["props"], "type": part["type"]}
                if name == event and all(
                    facts.get(key) == value for key, value in component.items()
                ):
                    return listener
        raise LookupError((event, component))

    def is_clickable(self, listener: dict[str, Any]) -> bool:
        """Whether it listens to buttons drawn as HTML, which name an action and a
        value.
        """
        kinds = [
            (self._components.get(target, {"type": ""})["type"], name)
            for target, name in listener["targets"]
        ]
        return any(kind.endswith("html") and name == "click" for kind, name in kinds)

    async def ask(
        self,
        listener: dict[str, Any],
        clicked: tuple[str, str] | None = None,
        **inputs: Any,
    ) -> list[Any]:
        """The outputs of a listener, in order. inputs: values by elem_id or label, for
        what is not as it began.

        clicked: a button's action and value. Raises RuntimeError when the handler
            failed.
        """
        event = await self.join(listener, clicked, **inputs)
        return await self.answer(event)

    async def join(
        self,
        listener: dict[str, Any],
        clicked: tuple[str, str] | None = None,
        **inputs: Any,
    ) -> str:
        """Puts a listener's event into the queue and returns the event's id."""
        event_data = {"do": clicked[0], "value": clicked[1]} if clicked else None
        return await self._join(listener, self.inputs(listener, **inputs), event_data)

    def inputs(self, listener: dict[str, Any], **inputs: Any) -> list[Any]:
        """What a browser sends to a listener. inputs: as for `ask`; also `choice` and
        `tab`.
        """
        filled = {"choice": asdict(self.choice), "tab": self.tab, **inputs}
        js = str(listener["js"])
        sent = js.partition("apprentice.send(")[2].partition(", inputs")[0]
        names = json.loads(sent) if sent else []
        rest = listener["inputs"][len(names) :]
        data = [filled.get(name) for name in names]  # as static/js/store.js does
        return data + [
            self._value(self._components[number]["props"], inputs) for number in rest
        ]

    def handlers(self) -> list[dict[str, Any]]:
        """The listeners that the server answers."""
        return [listener for listener in self.listeners if listener["backend_fn"]]

    async def send(
        self, listener: dict[str, Any], data: list[Any], event_data: Any = None
    ) -> dict[str, Any]:
        """The page's last message about an event: "success", and "output". data: every
        input of the listener.
        """
        return await self._message(await self._join(listener, data, event_data))

    async def answer(self, event: str) -> list[Any]:
        """The outputs of an event that is in the queue. Raises RuntimeError when the
        handler failed.
        """
        message = await self._message(event)
        if not message["success"]:
            raise RuntimeError(message)
        return list(message["output"]["data"])

    async def _join(
        self, listener: dict[str, Any], data: list[Any], event_data: Any
    ) -> str:
        body = {
            "data": data, "event_data": event_data, "fn_index": listener["id"], "session_hash": self.session,
            "trigger_id": None,
        }  # fmt: skip
        text, kind = (
            json.dumps(body),
            {"content-type": "application/json"},
        )  # httpx sends no surrogates, no NaN
        response = await self._http.post(
            "/gradio_api/queue/join", content=text, headers=kind
        )
        return str(response.raise_for_status().json()["event_id"])

    async def _message(self, event: str) -> dict[str, Any]:
        """The last message about an event. One stream brings those of all events that
        are under way.
        """
        message = self._future(event)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            return await message
        finally:
            del self._messages[event]

    def _future(self, event: str) -> asyncio.Future[dict[str, Any]]:
        return self._messages.setdefault(
            event, asyncio.get_running_loop().create_future()
        )

    async def _read(self) -> None:
        """Reads streams until every event that is waited for has its message. A stream
        ends when none is left.
        """
        while waiting := [
            message for message in self._messages.values() if not message.done()
        ]:
            try:
                await self._read_stream()
            except Exception as error:
                _fail(self._messages.values(), error)
            _fail(waiting, RuntimeError("The page gave no answer."))

    async def _read_stream(self) -> None:
        async with self._http.stream(
            "GET", "/gradio_api/queue/data", params={"session_hash": self.session}
        ) as lines:
            async for line in lines.aiter_lines():
                message = (
                    json.loads(line.removeprefix("data:"))
                    if line.startswith("data:")
                    else {}
                )
                if (
                    message.get("msg") == "process_completed"
                    and not self._future(message["event_id"]).done()
                ):
                    self._future(message["event_id"]).set_result(message)

    def _value(self, props: dict[str, Any], inputs: dict[str, Any]) -> Any:
        return inputs.get(
            props.get("elem_id") or props.get("label") or "", props.get("value")
        )


def _fail(messages: Iterable[asyncio.Future[dict[str, Any]]], error: Exception) -> None:
    for message in messages:
        if not message.done():
            message.set_exception(error)


@asynccontextmanager
async def page_in_process(app: Any, exports: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The page over `app`, all of gradio included, served without a socket in this
    process.
    """
    page = web_page.build(app)
    blocks, arguments = page.blocks, launch_arguments(exports, page.sent_signature)
    async with served(blocks, arguments) as transport, client(transport) as http:
        yield http


def client(transport: httpx.ASGITransport) -> httpx.AsyncClient:
    """One browser, with cookies of its own."""
    return httpx.AsyncClient(
        transport=transport, base_url=ADDRESS, headers={"origin": ADDRESS}
    )


@asynccontextmanager
async def served(
    blocks: gr.Blocks, arguments: dict[str, Any]
) -> AsyncIterator[httpx.ASGITransport]:
    """A page, all of gradio included, served without a socket in this process."""
    for name in ("allowed_paths", "favicon_path", "state_session_capacity"):
        setattr(blocks, name, arguments[name])
    blocks.blocked_paths, blocks.max_file_size, blocks.enable_monitoring = (
        [],
        arguments["max_file_size"],
        False,
    )
    blocks.theme = arguments["theme"]
    blocks.config = blocks.get_config_file()
    app = App.create_app(blocks, app_kwargs=arguments["app_kwargs"])
    blocks.is_running = blocks.has_launched = (
        True  # only then does gradio ask whether a sent file was uploaded
    )
    blocks.run_startup_events()
    try:
        yield httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
    finally:
        blocks.is_running = False
        blocks._queue.close()
