"""How quickly the page answers while a model is trained, and how much speed training keeps while a chat answers.

The page is the real one, served on this computer; each handler is asked as a browser asks it, through gradio's queue:
opening a tab, the tick of every second, fetching a tab that changed (on Train with the loss curve), the next example
of the preview. First with nothing else going on (the peer), then while the bundled model trains on the orders sample.
Then a run that was trained before answers questions while the training goes on; the speed of the training in that
time is compared with its speed before. The last line is JSON: ours is the 95th percentile in milliseconds while
training (goal: under 300), ratio is peer by ours, and training_kept the share of its speed that training keeps (goal:
0.6).

    python -m tests.benchmarks.page_while_training [--smoke]
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from backend.records.events import StepEvent
from backend.settings import SAMPLES, Workspace
from jobs.records import State
from tests.benchmarks.measuring import print_result
from tests.linked_model import bundled_in
from tests.measured_speed import store_speed
from tests.ui.page_client import PageClient
from ui.services.app import App
from ui.services.selection import Choice

ROUNDS = 20  # of every handler
STEPS = 8  # of training whose speed is taken, without and with a chat
TABS = ("start", "data", "train", "try", "share", "runs")
ASKED = "hi, two garden chairs from order 77120 came cracked, want my money back. marta"
_SETTINGS = {"num_train_epochs": 20.0, "early_stopping": False, "learning_rate": 5e-4}


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace.open(Path(temporary))
        app = App(workspace)
        app.runner.wait(app.runner.submit("prepare", {}, "Unpack the model"))
        app.runner.wait(app.runner.submit("calibrate", {}, "Measure this computer"))
        data = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
        base = app.advice.settings("", data, "").settings
        trained = app.planning.start(data, "", base.changed(max_steps=2), "Short", evaluate=False)
        app.runner.wait(trained)
        with served(workspace) as address:
            idle = asyncio.run(times(address, Choice(data_id=data, run_id=trained), ROUNDS))
            run = app.planning.start(data, "", base.changed(**_SETTINGS), "Long", evaluate=False)
            speed(app, run, STEPS)  # until it is under way
            alone = speed(app, run, STEPS)
            busy = asyncio.run(times(address, Choice(data_id=data, run_id=run), ROUNDS))
            chatting = chat_speed(app, trained, run)
            app.runner.stop(run)
            app.runner.wait(run)
        app.close()
    print(f"training alone {alone:.0f} tokens/s, while a chat answers {chatting:.0f} tokens/s", flush=True)
    ours, peer = (1000 * statistics.quantiles(found, n=20)[-1] for found in (busy, idle))
    figures = round(ours, 1), round(peer, 1), round(peer / ours, 2)
    more = {"median": round(1000 * statistics.median(busy), 1), "training_kept": round(chatting / alone, 2)}
    print_result("page_while_training", "ms, 95th percentile", *figures, **more)


def smoke() -> None:
    """Asks every handler once, with nothing else going on and no training."""
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace.open(Path(temporary))
        bundled_in(workspace)
        store_speed(workspace)
        app = App(workspace)
        data = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
        app.close()
        with served(workspace) as address:
            found = asyncio.run(times(address, Choice(data_id=data), 1))
    ours = 1000 * statistics.median(found)
    no_peer = "a smoke run does not train"
    print_result("page_while_training", "ms, median", round(ours, 1), None, None, no_peer=no_peer, smoke=True)


@contextmanager
def served(workspace: Workspace) -> Iterator[str]:
    """The page in a process of its own, as a person starts it."""
    command = [sys.executable, "app.py", "serve", "--no-browser", "--port", "7961"]
    page = subprocess.Popen(
        [*command, "--workspace", str(workspace.root)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert page.stdout is not None
    address = next(word for line in page.stdout for word in line.split() if word.startswith("http://127.0.0.1"))
    try:
        yield address.rstrip(".")
    finally:
        page.terminate()
        page.wait()


async def times(address: str, choice: Choice, rounds: int) -> list[float]:
    """Seconds of each handler, in each round."""
    found = []
    base = address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=base, timeout=60, headers={"origin": base}) as http:
        await http.get(address)  # for the cookie
        page = await PageClient.open(http, choice, "start")
        for _ in range(rounds):
            for page.tab in TABS:
                found.append(await seconds(page, page.listener("select", elem_id=f"tab-{page.tab}")))
                found.append(await seconds(page, page.listener("click", elem_id="pulse")))
                found.append(await seconds(page, page.listener("change", label=f"Signature of {page.tab}")))
            found.append(await seconds(page, page.listener("click", elem_id="row-on"), **{"row-number": 7}))
    return found


async def seconds(page: PageClient, listener: dict[str, Any], **inputs: Any) -> float:
    start = time.perf_counter()
    await page.ask(listener, **inputs)
    return time.perf_counter() - start


def speed(app: App, run: str, steps: int) -> float:
    """Tokens a second over the next `steps` steps of the run."""
    first = len(app.runs.curve(run).steps)
    while len(done := app.runs.curve(run).steps) < first + steps:
        if app.runner.job(run).state is State.FAILED:
            raise SystemExit("the training failed")
        time.sleep(0.2)
    return pace(done[first : first + steps])


def pace(steps: list[StepEvent]) -> float:
    """Tokens a second over these steps."""
    return sum((step.tokens_per_second or 0) * step.seconds for step in steps) / sum(step.seconds for step in steps)


def chat_speed(app: App, trained: str, run: str) -> float:
    """Tokens a second of the run while the trained model answers one question after the other."""
    app.results.answer_once(trained, ASKED)  # loads it
    first = len(app.runs.curve(run).steps) + 1
    while len(app.runs.curve(run).steps) < first + STEPS:
        app.results.answer_once(trained, ASKED)
    return pace(app.runs.curve(run).steps[first : first + STEPS])


if __name__ == "__main__":
    smoke() if "--smoke" in sys.argv else main()
