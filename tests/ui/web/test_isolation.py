"""A shared demo over gradio's own protocol: a second visitor tries every id, URL and
event of the first.
"""

import asyncio
import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

from backend.hosting.policy import DEMO
from backend.settings import Workspace
from jobs.folder import JobFolder
from jobs.records import State
from tests.linked_model import link_model
from tests.ui.conftest import in_loop
from tests.ui.page_client import PageClient, client, served
from ui.services.app import App
from ui.services.demo.visitor_apps import VisitorApps
from ui.services.selection import Choice
from ui.web import session_memory
from ui.web.demo import demo_page
from ui.web.serve import receive_uploads_in
from ui.web.session_memory import QueuedEvents

SECRET = "zebra"  # in everything that the first visitor makes
ROWS = "\n".join(
    json.dumps(
        {"question": f"What is {SECRET} {n}?", "answer": f"The {SECRET} number {n}."}
    )
    for n in range(30)
)
ACTIONS = (
    *(
        "open",
        "delete",
        "resume",
        "compare",
        "name",
        "train-again",
        "again",
        "edit",
        "retry",
        "retry-evaluated",
    ),
    *(
        "shorter",
        "start-blind",
        "vote",
        "undo-vote",
        "end-blind",
        "try",
        "answer",
        "restore",
    ),
    *(
        "look",
        "how",
        "as-found",
        "confirm",
        "accept",
        "keep",
        "refuse",
        "undo",
        "delete-row",
        "save-row",
    ),
    *(
        "add-row",
        "new-row",
        "edit-row",
        "undo-edit",
        "remove-instruction",
        "clear-test",
        "cancel",
    ),
    *(
        "dismiss",
        "files",
        "drop-cells",
        "keep-cells",
        "download",
        "discard",
        "token",
        "forget-token",
    ),
    *("probe", "look-up", "resume-evaluated"),
)


@dataclass
class Demo:
    apps: VisitorApps
    blocks: gr.Blocks
    first: httpx.AsyncClient
    second: httpx.AsyncClient

    def app(self, browser: httpx.AsyncClient) -> App:
        return self.apps.app(self.visitor(browser))

    def visitor(self, browser: httpx.AsyncClient) -> str:
        visitor = self.apps.visitors.of_key(browser.cookies["apprentice-visitor"])
        assert visitor
        return visitor


TwoVisitors = Callable[[Callable[[Demo], Awaitable[None]]], None]


@pytest.fixture(scope="module")
def two_visitors(
    bundled_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoVisitors]:
    """Does something with the demo of all these tests, and two new visitors."""
    workspace = Workspace.open(tmp_path_factory.mktemp("demo") / "workspace")
    link_model(bundled_model, workspace)
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as loop:
        patch.setenv(
            "GRADIO_TEMP_DIR", "unset"
        )  # the page sets it and the umask for the whole process
        patch.setattr("ui.web.demo.os.umask", lambda _: 0)
        patch.setattr("ui.web.gate._PAUSE", 0.0)
        patch.setattr("ui.services.data.imports.PAGE_WAIT", 60.0)
        receive_uploads_in(workspace)
        apps, blocks, arguments = in_loop(lambda: demo_page(workspace, DEMO))
        page = served(blocks, arguments)
        transport = loop.run(page.__aenter__())

        async def visit(work: Callable[[Demo], Awaitable[None]]) -> None:
            async with client(transport) as first, client(transport) as second:
                for browser in (first, second):
                    (await browser.get("/")).raise_for_status()
                await work(Demo(apps, blocks, first, second))

        yield lambda work: loop.run(visit(work))
        loop.run(page.__aexit__(None, None, None))
        apps.close()


async def upload(
    browser: httpx.AsyncClient, name: str = f"{SECRET}.jsonl", content: str = ROWS
) -> str:
    answer = await browser.post("/gradio_api/upload", files={"files": (name, content)})
    return str(answer.raise_for_status().json()[0])


async def import_file(page: PageClient, path: str) -> str:
    file = {
        "path": path,
        "meta": {"_type": "gradio.FileData"},
        "orig_name": Path(path).name,
    }
    return json.dumps(
        await page.ask(page.listener("upload", elem_id="upload"), upload=[file])
    )


@dataclass
class Work:
    """What the first visitor made. ids: of datasets and jobs. files: to download."""

    choice: Choice
    ids: list[str]
    files: list[Path]


async def make_work(demo: Demo) -> Work:
    """A dataset, two runs with a model, a queued run, and an export of the first
    visitor.
    """
    page = await PageClient.open(demo.first, Choice(), "data")
    await import_file(page, await upload(demo.first))
    app = demo.app(demo.first)
    (dataset,) = app.datasets.all()
    choice = Choice(data_id=dataset.id)
    settings = app.datasets.settings(choice)
    runs = []
    for name in ("done", "other", "waiting"):
        runs.append(
            app.planning.start(dataset.id, "", settings, f"The {SECRET} {name}")
        )
        if name != "waiting":
            run = JobFolder(app.runner.folder(runs[-1]))
            result = run.path / "result" / "adapter"
            result.mkdir(parents=True)
            (result / "adapter_model.safetensors").write_text(SECRET)
            run.write_status(run.status().ended_as(State.COMPLETED))
    export = app.runner.submit(
        "export",
        {"run": runs[0], "to": "adapter", "name": SECRET},
        "adapter",
        parent=runs[0],
    )
    exported = app.workspace.exports / export / f"{SECRET}.zip"
    exported.parent.mkdir()
    exported.write_text(SECRET)
    job = JobFolder(app.runner.folder(export))
    files = [{"name": exported.name, "bytes": 5}]
    job.write_status(
        job.status().ended_as(State.COMPLETED, result={"files": files, "checks": []})
    )
    written = app.datasets.write_files(choice)
    selected = Choice(data_id=dataset.id, run_id=runs[0], compared_run=runs[2], row=1)
    assert app.validated(selected) == selected
    return Work(
        selected,
        [dataset.id, *runs, export],
        [
            exported,
            next(path for path in vars(written).values() if isinstance(path, Path)),
        ],
    )


def everything_in(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def answer(
    page: PageClient, listener: dict[str, Any], clicked: tuple[str, str] | None = None
) -> str:
    try:
        return json.dumps(await page.ask(listener, clicked))
    except RuntimeError as error:
        return str(error)


def package_of(demo: Demo, listener: dict[str, Any]) -> Path:
    """The folder of the tab that handles a listener."""
    return Path(
        inspect.getfile(inspect.unwrap(demo.blocks.fns[listener["id"]].fn))
    ).parent


def test_no_event_shows_or_changes_anything_of_another_visitor(
    two_visitors: TwoVisitors,
) -> None:
    async def work(demo: Demo) -> None:
        made = await make_work(demo)
        folder = demo.app(demo.first).workspace.root
        for tab in ("data", "train", "try", "share", "runs"):
            own = await PageClient.open(demo.first, made.choice, tab)
            shown = await answer(
                own, own.listener("change", label=f"Signature of {tab}")
            )
            assert SECRET in shown, f"the first visitor sees it on {tab}"
        before = everything_in(folder)
        page = await PageClient.open(demo.second, made.choice, "data")
        for one in page.handlers():
            assert SECRET not in await answer(page, one), one["targets"]
        assert everything_in(folder) == before
        assert everything_in(demo.apps.base.workspace.datasets) == {}, (
            "nobody works on what all share"
        )
        assert everything_in(demo.apps.base.workspace.runs) == {}

    two_visitors(work)


@pytest.mark.slow
def test_no_button_shows_or_changes_anything_of_another_visitor(
    two_visitors: TwoVisitors,
) -> None:
    async def work(demo: Demo) -> None:
        made = await make_work(demo)
        folder = demo.app(demo.first).workspace.root
        before = everything_in(folder)
        page = await PageClient.open(demo.second, made.choice, "data")
        clickable = [one for one in page.handlers() if page.is_clickable(one)]
        assert len(clickable) > 10
        for one in clickable:
            package = package_of(demo, one)
            known = made.ids[0] if package.name == "data" else made.ids[1]
            source = "".join(file.read_text("utf-8") for file in package.glob("*.py"))
            for action in (action for action in ACTIONS if f'"{action}"' in source):
                assert SECRET not in await answer(page, one, (action, known)), (
                    action,
                    one["targets"],
                )
        assert everything_in(folder) == before

    two_visitors(work)


def test_no_url_and_no_id_of_the_protocol_reaches_what_is_another_visitors(
    two_visitors: TwoVisitors,
) -> None:
    async def work(demo: Demo) -> None:
        made = await make_work(demo)
        uploaded = await upload(demo.first)
        inside = demo.app(demo.first).workspace.root
        secrets = [
            inside / "runs" / made.ids[1] / "spec.json",
            demo.apps.visitors.root.parent / "visitors.secret",
        ]
        mine = demo.app(demo.second).workspace.exports
        for file in (*made.files, Path(uploaded)):
            url = f"/gradio_api/file={file}"
            assert (await demo.first.get(url)).status_code == 200, (
                "the first visitor's own"
            )
            spellings = (
                url, f"/gradio_api/file={mine}/../../{inside.name}/exports/{file.name}", f"/gradio_api/file/{file}",
            )  # fmt: skip
            for spelling in spellings:
                assert (await demo.second.get(spelling)).status_code == 404, spelling
                assert (await demo.second.head(spelling)).status_code == 404, spelling
        for file in secrets:
            for browser in (demo.first, demo.second):
                assert (
                    await browser.get(f"/gradio_api/file={file}")
                ).status_code == 404, file
        await demo.second.aclose()

    two_visitors(work)


def test_another_visitors_upload_and_session_can_not_be_used(
    two_visitors: TwoVisitors,
) -> None:
    async def work(demo: Demo) -> None:
        path = await upload(demo.first)
        other = await PageClient.open(demo.second, Choice(), "data")
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            await import_file(other, path)
        assert demo.app(demo.second).datasets.all() == []
        own = await PageClient.open(demo.first, Choice(), "data")
        event = await own.join(own.listener("click", elem_id="pulse"))
        other.session = own.session  # as if it had been seen
        cancel = {"session_hash": own.session, "fn_index": 0, "event_id": event}
        assert (
            await demo.second.post("/gradio_api/cancel", json=cancel)
        ).status_code == 404
        answers = await demo.second.get(
            "/gradio_api/queue/data", params={"session_hash": own.session}
        )
        assert answers.status_code == 404, "this visitor has no such session"
        assert QueuedEvents(demo.blocks).has(
            f"{own.session}-{demo.visitor(demo.first)}", event
        )
        assert await own.answer(event), "the first visitor still gets the answer"

    two_visitors(work)


NOT_NEEDED = (
    *(
        "/gradio_api/call/tick",
        "/gradio_api/run/tick",
        "/gradio_api/component_server",
        "/gradio_api/reset",
    ),
    *(
        "/gradio_api/deep_link",
        "/?deep_link=x",
        "/gradio_api/runs",
        "/monitoring",
        "/gradio_api/proxy=https://a.b/",
    ),
    *(
        "/?deep%5Flink=x",
        "/?%64eep_link=x",
        "/gradio_api/queue/data?session_hash=unknown",
    ),
)


def test_what_the_page_does_not_need_does_not_exist(two_visitors: TwoVisitors) -> None:
    async def work(demo: Demo) -> None:
        for path in NOT_NEEDED:
            assert (await demo.first.get(path)).status_code == 404, path
            assert (
                await demo.first.post(path, json={"data": []})
            ).status_code == 404, path
        page = await PageClient.open(demo.first, Choice(), "data")
        one = page.listener("click", elem_id="pulse")
        event = {
            "fn_index": one["id"],
            "session_hash": page.session,
            "data": page.inputs(one),
        }
        for status, change in (
            (200, {}),
            (404, {"data": [*event["data"], 0]}),
            (404, {"fn_index": 9999}),
        ):
            assert (
                await demo.first.post(
                    "/gradio_api/queue/join", json={**event, **change}
                )
            ).status_code == status

    two_visitors(work)


def test_a_visitor_is_known_only_by_a_key_that_this_server_made(
    two_visitors: TwoVisitors,
) -> None:
    async def work(demo: Demo) -> None:
        page = await PageClient.open(demo.second, Choice(), "start")
        show = page.listener("change", label="Signature of start")
        assert "alert" not in await answer(page, show)
        folders = len(demo.apps.visitors.all())
        for forged in (
            "",
            "1",
            demo.visitor(demo.first),
            "0" * 64 + "." + "0" * 64,
            "../base",
        ):
            demo.second.cookies.clear()
            demo.second.cookies.set("apprentice-visitor", forged, domain="127.0.0.1")
            assert "alert" in await answer(page, show), forged
            assert (
                await demo.second.post(
                    "/gradio_api/upload", files={"files": ("a", "b")}
                )
            ).status_code == 404
        assert len(demo.apps.visitors.all()) == folders

    two_visitors(work)


def test_a_visitor_who_opens_many_sessions_loses_only_their_own(
    two_visitors: TwoVisitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(demo: Demo) -> None:
        own, other = [
            await PageClient.open(http, Choice(), "start")
            for http in (demo.first, demo.second)
        ]
        show = own.listener("change", label="Signature of start")
        waiting = await own.join(show)
        for number in range(10):
            other.session = f"page {number}"
            await other.join(show)
        known = demo.blocks._queue.pending_messages_per_session
        assert sum(name.startswith("page ") for name in known) == 5
        assert await own.answer(waiting)

    monkeypatch.setattr(session_memory, "_OF_ONE", 5)
    two_visitors(work)


def test_unread_answers_count_and_a_session_that_was_forgotten_does_not_end_the_queue() -> (
    None
):
    noted: dict[str, set[str]] = {}
    unread = session_memory.Unread(noted)
    for session in (
        "tab-anna",
        *(f"{number}-bert" for number in range(90)),
        *map(str, range(1980)),
    ):
        unread[session], noted[session] = asyncio.Queue(), set()
    assert (
        len(unread),
        "tab-anna" in unread,
        "89-bert" in unread,
        "0-bert" in unread,
    ) == (2000, True, True, False)
    assert unread.keys() == noted.keys()
    for session in ["0-bert", "tab-anna"] * 12:
        unread[session].put_nowait("an answer")
    queue = SimpleNamespace(
        event_ids_to_events={"e": SimpleNamespace(session_hash="tab-anna")}
    )
    queue.pending_messages_per_session = unread
    events = QueuedEvents(SimpleNamespace(_queue=queue))  # type: ignore[arg-type]
    assert events.sessions() == ["tab-anna"] * 4
    events.forget_unread("anna")
    assert "tab-anna" in unread, "an event of it is under way"
    queue.event_ids_to_events.clear()
    events.forget_unread("bert")
    assert events.sessions() == ["tab-anna"] * 3
    events.forget_unread("anna")
    assert (events.sessions(), "tab-anna" in noted, "89-bert" in unread) == (
        [],
        False,
        True,
    )
    for _ in range(2):
        del unread["89-bert"]
