"""Whether a shared demo stays quick with sixty visitors: 58 that speak gradio's
protocol, and two real browsers.

The demo, with its chats and the processes that check examples, shares this computer's
cores with the visitors and browsers: run it on two cores, as many as a free Space has.
Every visitor has a model that was trained for two steps. A visitor's page ticks as an
open page does. Now and then the visitor clicks: opens a tab, uploads a file, looks at
another example, or asks the model a question, for which the chats wait for seats. A
click is timed until its answer is here; a question only counts as answered or as
refused. The two browsers go through the tabs. It is measured with sixty, which is the
peer, and with sixty while ten more clients try to stop the demo with nested JSON, tabs,
new cookies, uploads and long texts. What these compute themselves has the lowest
priority: on a Space they have computers of their own, and it would delay the visitors,
not the demo. The last line is JSON: ours is the 95th percentile of a click in
milliseconds with all (goal: under 1,000), ratio is peer by ours; below_1_s and
calm_below_1_s are shares of clicks with and without the ten (goal: 0.95); errors must
be 0, and memory_growth is the demo's memory, without its chats, in the last fifth of
the time by that in the second (goal: 1.0).

    python -m tests.benchmarks.many_visitors [--smoke] [--minutes N] [--visitors N]
    [--seed N]
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import psutil

from backend.hosting.policy import DEMO
from backend.hosting.visitors import Visitors
from backend.records.units import MIB
from backend.settings import SAMPLES, Workspace
from tests.benchmarks.measuring import print_result
from tests.linked_model import bundled_in
from tests.measured_speed import store_speed
from tests.ui.page_client import PageClient
from ui.services.app import App
from ui.services.selection import Choice
from ui.web import pulse
from ui.web.page import DEMO_TICK, SHOWN

VISITORS, BROWSERS, MINUTES = 58, 2, 30.0
HOSTILE = 10
PORT = 7963
TABS = ("start", "data", "train", "try", "share", "runs")
JOIN = "/gradio_api/queue/join"
PAUSE = 6.0  # seconds between two clicks, on average, or a tenth of a short time
COMING = 60.0  # seconds within which the visitors come, or a tenth of a short time
ROWS = "\n".join(
    json.dumps({"question": f"What is {n}?", "answer": f"Number {n}."})
    for n in range(60)
)


@dataclass(frozen=True)
class Demo:
    """seed: the run that every visitor has, if there is one."""

    address: str
    page: psutil.Process
    visitors: Visitors
    seed: Path | None


@dataclass
class Seen:
    """seconds: of each click. memory: (time, MiB) of the demo. questions, attacks: how
    they ended.
    """

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    questions: Counter[str] = field(default_factory=Counter)
    attacks: Counter[str] = field(default_factory=Counter)
    ticks: int = 0

    def note(self, error: object) -> None:
        self.errors.append(repr(error)[:300])
        print(self.errors[-1], flush=True)


def main(
    minutes: float,
    first: int,
    visitors: int = VISITORS,
    browsers: int = BROWSERS,
    smoke: bool = False,
) -> None:
    """first: the first visitor's seed; the others count up from it."""
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace.open(Path(temporary) / "workspace")
        seed = prepare(workspace, train=not smoke)
        with served(workspace, seed) as demo:
            calm, many = (
                asyncio.run(
                    load(
                        demo, range(first, first + visitors), browsers, minutes, hostile
                    )
                )
                for hostile in (0, 1 if smoke else HOSTILE)
            )
    ours, peer = (1000 * percentile(seen.seconds) for seen in (many, calm))
    print(
        f"{len(many.seconds)} clicks and {many.ticks} ticks; questions: {dict(many.questions)}",
        flush=True,
    )
    below, calm_below = (
        round(sum(one < 1 for one in seen.seconds) / len(seen.seconds), 3)
        for seen in (many, calm)
    )
    print_result(
        "many_visitors", "ms, 95th percentile", round(ours, 1), round(peer, 1), round(peer / ours, 2),
        below_1_s=below, calm_below_1_s=calm_below, visitors=visitors + browsers, minutes=minutes,
        errors=len(calm.errors) + len(many.errors), cores=os.cpu_count(), attacks=dict(many.attacks),
        memory_growth=growth(many.memory), memory_mib=round(max(mib for _, mib in many.memory)),
        **({"smoke": True} if smoke else {}),
    )  # fmt: skip


def prepare(workspace: Workspace, train: bool) -> Path | None:
    """Puts the model into the workspace, and trains it for two steps; returns that
    run's folder.
    """
    bundled_in(workspace)
    if not train:
        store_speed(workspace)
        return None
    app = App(workspace)
    data = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    settings = app.advice.settings(Choice(data_id=data)).settings.changed(max_steps=2)
    run = app.planning.start(data, "", settings, "Short", evaluate=False)
    app.runner.wait(run)
    for _ in app.results.answers(
        run, {"tuned": [{"role": "user", "content": "Hi"}]}, max_new_tokens=1
    ):
        pass  # converts the model for llama.cpp, once for all
    app.close()
    return workspace.run_folder(run)


@contextmanager
def served(workspace: Workspace, seed: Path | None = None) -> Iterator[Demo]:
    """The demo in a process of its own."""
    command = [sys.executable, "app.py", "--workspace", str(workspace.root)]
    variables = {"APPRENTICE_DEMO": "1", "GRADIO_SERVER_PORT": str(PORT)}
    page = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    assert page.stderr is not None
    words = (word for line in page.stderr for word in line.split())
    address = next((word for word in words if word.startswith("http://127.0.0.1")), "")
    assert address, "the demo did not start"
    drain = subprocess.Popen(["cat"], stdin=page.stderr, stdout=subprocess.DEVNULL)
    try:
        yield Demo(
            address,
            psutil.Process(page.pid),
            Visitors(workspace.root / "visitors", DEMO.limits),
            seed,
        )
    finally:
        page.terminate()
        page.wait()
        drain.wait()


async def load(
    demo: Demo, seeds: Sequence[int], browsers: int, minutes: float, hostile: int = 0
) -> Seen:
    """What visitors with these seeds see in this time, while so many hostile clients
    try to stop the demo.
    """
    seen, until = Seen(), time.monotonic() + 60 * minutes
    work = [watch(demo.page, seen, until)]
    work += [visit(demo, seen, until, random.Random(n)) for n in seeds]
    work += [browse(demo.address, seen, until) for _ in range(browsers)]
    with ProcessPoolExecutor(
        1, get_context("spawn")
    ) as other:  # else the visitors would wait for the hostile clients
        attacks = asyncio.get_running_loop().run_in_executor(
            other, attack_all, demo.address, minutes, hostile
        )
        await asyncio.gather(*work)
        seen.attacks += await attacks
    return seen


def attack_all(address: str, minutes: float, hostile: int) -> Counter[str]:
    """How the requests of so many hostile clients ended. This process works only while
    the visitors' wait.
    """

    async def work() -> None:
        await asyncio.gather(
            *(attack(address, found, until, number) for number in range(hostile))
        )

    found, until = Counter[str](), time.monotonic() + 60 * minutes
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(work())
    return found


async def watch(page: psutil.Process, seen: Seen, until: float) -> None:
    while (now := time.monotonic()) < until:
        seen.memory.append((now, page.memory_info().rss / MIB))
        await asyncio.sleep(2)


async def visit(demo: Demo, seen: Seen, until: float, chance: random.Random) -> None:
    """One visitor: comes, uploads a file, and clicks until the time is up, while the
    page ticks.
    """
    headers = {"origin": demo.address}
    async with httpx.AsyncClient(
        base_url=demo.address, timeout=120, headers=headers
    ) as http:
        try:
            await asyncio.sleep(
                chance.random() * min(COMING, (until - time.monotonic()) / 10)
            )  # not all at once
            (await http.get("/")).raise_for_status()
            page = await PageClient.open(http, Choice(), "start")
            take(
                page,
                await timed(
                    seen, page.ask(page.listener("select", elem_id="tab-start"))
                ),
            )
            if demo.seed:
                page.choice = replace(
                    page.choice,
                    run_id=give_run(
                        demo, demo.seed, http.cookies["apprentice-visitor"]
                    ),
                )
            await asyncio.gather(
                tick(http, page, seen, until), clicks(http, page, seen, until, chance)
            )
        except Exception as error:
            seen.note(error)


async def clicks(
    http: httpx.AsyncClient,
    page: PageClient,
    seen: Seen,
    until: float,
    chance: random.Random,
) -> None:
    pause = min(PAUSE, max(0.1, (until - time.monotonic()) / 10))
    await upload(http, page, seen)
    while time.monotonic() < until:
        await asyncio.sleep(chance.expovariate(1 / pause))
        await click(http, page, seen, chance)


def give_run(demo: Demo, seed: Path, key: str) -> str:
    """Puts a copy of the run into a visitor's folder, as if it had been trained there;
    returns its id.
    """
    runs = demo.visitors.folder(demo.visitors.of_key(key) or "") / "runs"
    staged = shutil.copytree(
        seed,
        runs / f".copy-{seed.name}",
        ignore=shutil.ignore_patterns("checkpoints", "dry_run"),
    )
    return staged.rename(runs / seed.name).name


async def attack(address: str, found: Counter[str], until: float, number: int) -> None:
    """One client that does harm in one of five ways: eight deep events at once without
    a cookie, eight tabs at once, a tab with each of many cookies, 200 uploads, or long
    texts. Whatever it is answered is fine.
    """
    kind = ("nested", "tabs", "cookies", "uploads", "texts")[number % 5]
    async with httpx.AsyncClient(base_url=address, timeout=120) as http:
        page = await PageClient.open(http, Choice(), "data")
    one = (
        page.listener("click", value="Read this")
        if kind == "texts"
        else page.listener("select", elem_id="tab-data")
    )
    data = (
        [[[] for _ in range(900_000)]]
        if kind == "nested"
        else page.inputs(one, pasted="x" * 1_000_000)
    )
    event = json.dumps(
        {"data": data, "fn_index": one["id"], "session_hash": page.session}
    ).encode()
    while time.monotonic() < until:
        async with httpx.AsyncClient(
            base_url=address, timeout=120, headers={"origin": address}
        ) as http:
            if kind != "nested":
                with suppress(httpx.HTTPError):  # of a busy demo
                    await http.get("/")
            for _ in range({"cookies": 1, "uploads": 200}.get(kind, 20)):
                if kind == "uploads":
                    sent = [
                        http.post(
                            "/gradio_api/upload",
                            files={"files": ("a.txt", bytes(5 << 20))},
                        )
                    ]
                else:
                    once = range(8 if kind in ("nested", "tabs") else 1)
                    sent = [
                        http.post(
                            JOIN,
                            content=event,
                            headers={"content-type": "application/json"},
                        )
                        for _ in once
                    ]
                for answer in await asyncio.gather(*sent, return_exceptions=True):
                    found[
                        f"{kind} {getattr(answer, 'status_code', type(answer).__name__)}"
                    ] += 1
                if time.monotonic() > until:
                    return
        await asyncio.sleep(0.1)


async def tick(
    http: httpx.AsyncClient, page: PageClient, seen: Seen, until: float
) -> None:
    """Asks again and again whether the open tab has changed, and fetches it if so, as
    static/js/pulse.js and address.js do while something runs.
    """
    while time.monotonic() < until:
        started = time.monotonic()
        answer = await http.post(
            pulse.PATH, json={"choice": asdict(page.choice), "tab": page.tab}
        )
        signature = answer.raise_for_status().json()
        seen.ticks += 1
        if signature != page.shown and signature.startswith(f"{page.tab} "):
            page.shown = signature
            take(
                page,
                await page.ask(
                    page.listener("change", label=f"Signature of {page.tab}")
                ),
            )
        await asyncio.sleep(max(0.0, DEMO_TICK - (time.monotonic() - started)))


async def click(
    http: httpx.AsyncClient, page: PageClient, seen: Seen, chance: random.Random
) -> None:
    """One click: on a tab, on the next example, on another upload, or a question."""
    kind = chance.choices(("tab", "row", "upload", "ask"), (6, 3, 1, 1))[0]
    if kind == "tab":
        page.tab = chance.choice(TABS)
        take(
            page,
            await timed(
                seen, page.ask(page.listener("select", elem_id=f"tab-{page.tab}"))
            ),
        )
    elif kind == "row" and page.choice.data_id:
        page.tab = "data"
        number: dict[str, Any] = {"row-number": chance.randint(1, 60)}
        await timed(seen, page.ask(page.listener("click", elem_id="row-on"), **number))
    elif kind == "upload":
        await upload(http, page, seen)
    elif page.choice.run_id:
        page.tab = "try"
        try:
            await page.ask(
                page.listener("click", elem_id="ask"),
                question=f"Where is order {chance.randint(1, 99)}?",
            )
            seen.questions["answered"] += 1
        except RuntimeError:  # all seats are taken
            seen.questions["refused"] += 1


async def timed(seen: Seen, answer: Any) -> Any:
    start = time.perf_counter()
    found = await answer
    seen.seconds.append(time.perf_counter() - start)
    return found


async def upload(http: httpx.AsyncClient, page: PageClient, seen: Seen) -> None:
    """Uploads a file and sends it; a tick takes the examples when they have been read."""

    async def importing() -> list[Any]:
        sent = await http.post(
            "/gradio_api/upload", files={"files": ("mine.jsonl", ROWS)}
        )
        path = sent.raise_for_status().json()[0]
        file = {
            "path": path,
            "meta": {"_type": "gradio.FileData"},
            "orig_name": "mine.jsonl",
        }
        return await page.ask(page.listener("upload", elem_id="upload"), upload=[file])

    take(page, await timed(seen, importing()))


def take(page: PageClient, answer: list[Any]) -> None:
    """Changes what the page's browser holds as an answer says."""
    for part in answer:
        if isinstance(part, str) and part.startswith(SHOWN):
            page.shown = part.removeprefix(SHOWN)
        changed = part.get("fields", {}) if isinstance(part, dict) else {}
        page.choice = replace(
            page.choice,
            **{name: changed[name] for name in changed.keys() & asdict(page.choice)},
        )


async def browse(address: str, seen: Seen, until: float) -> None:
    """A real browser that goes from tab to tab."""
    from playwright.async_api import async_playwright

    from tests.browser.conftest import FLAGS, chromium_path

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=list(FLAGS)
        )
        try:
            page = await browser.new_page()
            page.on("pageerror", seen.note)
            page.set_default_timeout(120_000)
            await page.goto(address)
            await page.wait_for_selector("#rail [role=tab]")
            while time.monotonic() < until:
                for name in TABS:
                    start = time.perf_counter()
                    await page.click(f"#tab-{name}-button")
                    await page.wait_for_selector(f"#tab-{name} .guide-line")
                    seen.seconds.append(time.perf_counter() - start)
                    await asyncio.sleep(PAUSE)
        except Exception as error:
            seen.note(error)
        finally:
            await browser.close()


def percentile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]


def growth(memory: list[tuple[float, float]]) -> float:
    """The median of the last fifth by that of the second: in the first, the visitors
    come.
    """
    fifth = max(1, len(memory) // 5)
    mib = [value for _, value in memory]
    return round(
        statistics.median(mib[-fifth:])
        / statistics.median(mib[fifth : 2 * fifth] or mib),
        3,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--visitors", type=int, default=VISITORS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        main(0.03, 0, visitors=2, browsers=0, smoke=True)
    else:
        main(options.minutes, 1000 * options.seed, options.visitors)
