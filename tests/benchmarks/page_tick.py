"""What an open page costs the server each second while nothing changes.

Ours: the tick as it is, which answers with the signature of the open tab. Peer: the
tick as it was, which answers with everything that the open tab shows (Train, with a run
that is watched), through gradio's queue. Both go through the whole page, in one
process. What counts is the median of the processor time, which other
work on the computer leaves alone; it includes the side that asks. They take turns.
Goal: 5 ms.

In the browser: the processor time of all of Chromium's processes while the plan is open
and nothing runs, in percent of a core; goal: below 1. The last lines are JSON.

    python -m tests.benchmarks.page_tick [--smoke]
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.measuring import print_result
from tests.browser.conftest import FLAGS, chromium_path, free_port, served
from tests.ui import made_up_workspace
from tests.ui.made_up_app import MadeUpApp
from tests.ui.page_client import PageClient, page_in_process
from ui.services.selection import Choice
from ui.web import pulse

SIGNATURE = "Signature of train"
TICKS = 200
SETTLING = 15_000  # milliseconds until an untouched page asks rarely
WATCHED = 60.0  # seconds


def main(ticks: int) -> None:
    percent, requests = (
        browser_share(WATCHED, SETTLING) if ticks == TICKS else browser_share(1, 1_000)
    )
    found = {"percent of a core": round(percent, 2), "requests": requests}
    print(json.dumps({"benchmark": "page_tick_browser", **found}))
    ours, peer = asyncio.run(measured(ticks))
    figures = round(ours, 2), round(peer, 2), round(peer / ours, 1)
    print_result("page_tick", "ms of processor time, median", *figures)


def browser_share(seconds: float, settling: int) -> tuple[float, float]:
    """Percent of a core that an idle plan takes in the browser, and its requests in
    five seconds. settling: milliseconds before.
    """
    from playwright.sync_api import sync_playwright

    port, requests = free_port(), []
    command = [sys.executable, "-m", "tests.ui.fake_page", str(port), "--new"]
    with (
        tempfile.TemporaryDirectory() as folder,
        served(command, port, Path(folder, "log")) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=list(FLAGS)
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{url}/#train")
        page.locator("#start-training").wait_for()
        page.wait_for_timeout(settling)
        system = browser.new_browser_cdp_session()

        def taken() -> float:
            return float(
                sum(
                    one["cpuTime"]
                    for one in system.send("SystemInfo.getProcessInfo")["processInfo"]
                )
            )

        page.on("request", lambda request: requests.append(request.url))
        before = taken()
        page.wait_for_timeout(1000 * seconds)
        used = taken() - before
        browser.close()
    return 100 * used / seconds, 5 * len(requests) / seconds


async def measured(ticks: int) -> tuple[float, float]:
    """Median milliseconds of an unchanged tick, and of an answer with the whole tab."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        made_up_workspace.write(template)
        app = MadeUpApp(template, Path(folder, "workspace"))
        async with page_in_process(app, app.workspace.exports) as http:
            page = await PageClient.open(
                http, Choice(data_id="data-1", run_id="run-b"), "train"
            )
            question, shown = (
                {"choice": asdict(page.choice), "tab": "train"},
                page.listener("change", label=SIGNATURE),
            )
            asks = (
                (lambda: http.post(pulse.PATH, json=question)),
                (lambda: page.ask(shown)),
            )
            times = [[await seconds(ask()) for ask in asks] for _ in range(ticks)]
    return tuple(1000 * statistics.median(found) for found in zip(*times, strict=True))  # type: ignore[return-value]


async def seconds(asking: Awaitable[object]) -> float:
    start = time.process_time()
    await asking
    return time.process_time() - start


if __name__ == "__main__":
    main(3 if "--smoke" in sys.argv else TICKS)
