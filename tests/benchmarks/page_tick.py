"""What an open page costs the server each second while nothing changes.

Ours: the tick as it is, which answers with the signature of the open tab. Peer: the tick as it was, which answers
with everything that the open tab shows (Train, with a run that is watched). Both go through the whole page, gradio's
queue included, in one process. What counts is the median of the processor time, which other
work on the computer leaves alone; it includes the side that asks. They take turns. Goal: 5 ms. The last line is JSON.

    python -m tests.benchmarks.page_tick [--smoke]
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import print_result
from tests.ui import made_up_workspace
from tests.ui.made_up_app import MadeUpApp
from tests.ui.page_client import PageClient, page_in_process
from ui.services.selection import Choice

TICKS = 200


def main(ticks: int) -> None:
    ours, peer = asyncio.run(measured(ticks))
    figures = round(ours, 2), round(peer, 2), round(peer / ours, 1)
    print_result("page_tick", "ms of processor time, median", *figures)


async def measured(ticks: int) -> tuple[float, float]:
    """Median milliseconds of an unchanged tick, and of an answer with the whole tab."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        made_up_workspace.write(template)
        app = MadeUpApp(template, Path(folder, "workspace"))
        async with page_in_process(app, app.workspace.exports) as http:
            page = await PageClient.open(http, Choice(data_id="data-1", run_id="run-b"), "train")
            listeners = [page.listener("tick", type="timer"), page.listener("change", label="Signature of train")]
            times = [[await seconds(page, listener) for listener in listeners] for _ in range(ticks)]
    return tuple(1000 * statistics.median(found) for found in zip(*times, strict=True))  # type: ignore[return-value]


async def seconds(page: PageClient, listener: dict[str, Any]) -> float:
    start = time.process_time()
    await page.ask(listener)
    return time.process_time() - start


if __name__ == "__main__":
    main(3 if "--smoke" in sys.argv else TICKS)
