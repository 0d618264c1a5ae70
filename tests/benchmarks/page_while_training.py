"""How quickly the page answers while a model is trained, and how much speed training keeps while a chat answers.

The page is the real one, served on this computer; each handler is asked as a browser asks it, through gradio's queue:
the tick of every second with the loss curve, opening a tab, the next example of the preview. First with nothing else
going on (the peer), then while the embedded model trains on the orders sample. Then a run that was trained before
answers questions while the training goes on; its speed in that time is compared with its speed before. The last line
is JSON: ours is the 95th percentile in milliseconds while training (goal: under 300), ratio is peer by ours, and
training_kept the share of its speed that training keeps (goal: 0.6).

    python -m tests.benchmarks.page_while_training
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from backend.records.events import StepEvent
from backend.settings import SAMPLES, Workspace
from jobs.records import State
from ui.services.app import App

ROUNDS = 20  # of every handler
STEPS = 8  # of training whose speed is taken, without and with a chat
TABS = ("start", "data", "train", "try", "share", "runs")
ASKED = "hi, two garden chairs from order 77120 came cracked, want my money back. marta"
_SETTINGS = {"num_train_epochs": 20.0, "early_stopping": False, "learning_rate": 5e-4}


class Page:
    """A browser's side of the served page: which handlers there are, and what they are given."""

    def __init__(self, address: str, kept: dict[str, Any]) -> None:
        self._client = httpx.Client(base_url=address, timeout=60, headers={"origin": address})
        config = self._client.get("/config").raise_for_status().json()
        self._listeners = config["dependencies"]
        self._parts = {part["id"]: part for part in config["components"]}
        self._kept = {name: [value] for name, value in kept.items()}  # as `ui.web.components.Kept` writes it
        self._session = uuid.uuid4().hex

    def listener(self, event: str, element: str = "", kind: str = "") -> Any:
        """The one that listens for `event` of a component with an elem_id or a type."""
        for one in self._listeners:
            for target, name in one["targets"]:
                part = self._parts.get(target, {"type": "", "props": {}})
                named = part["props"].get("elem_id") == element if element else part["type"] == kind
                if name == event and named:
                    return one
        raise LookupError((event, element, kind))

    def open(self, tab: str) -> float:
        """Opens a tab: it is noted, then shown."""
        noted = self.listener("select", f"tab-{tab}")
        shown = next(one for one in self._listeners if one.get("trigger_after") == noted["id"])
        return self.seconds(noted) + self.seconds(shown)

    def seconds(self, listener: Any, **given: Any) -> float:
        """Asks it and waits for the whole answer."""
        data = [self._value(part, given) for part in listener["inputs"]]
        asked = {"data": data, "fn_index": listener["id"], "session_hash": self._session, "trigger_id": None}
        start = time.perf_counter()
        event = self._client.post("/gradio_api/queue/join", json=asked).raise_for_status().json()["event_id"]
        with self._client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self._session}) as lines:
            for line in lines.iter_lines():
                told = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if told.get("event_id") == event and told["msg"] == "process_completed":
                    if not told["success"]:
                        raise RuntimeError(told)
                    return time.perf_counter() - start
        raise RuntimeError("no answer")

    def _value(self, number: int, given: dict[str, Any]) -> Any:
        props = self._parts[number]["props"]
        name = str(props.get("storage_key") or "").removeprefix("apprentice-")
        return given.get(props.get("elem_id") or "", self._kept.get(name, props.get("value")))


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace.open(Path(temporary))
        app = App(workspace)
        app.runner.wait(app.runner.submit("prepare", {}, "Unpack the model"))
        app.runner.wait(app.runner.submit("calibrate", {}, "Measure this computer"))
        data = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
        base = app.advice.settings("", data, "").settings
        trained = app.runs.start(data, "", base.changed(max_steps=2), "Short")
        app.runner.wait(trained)
        with served(workspace) as address:
            idle = [
                time for _ in range(ROUNDS) for time in times(Page(address, {"data_id": data, "run_id": trained}))
            ]
            run = app.runs.start(data, "", base.changed(**_SETTINGS), "Long")
            speed(app, run, STEPS)  # until it is under way
            alone = speed(app, run, STEPS)
            page = Page(address, {"data_id": data, "run_id": run})
            busy = [time for _ in range(ROUNDS) for time in times(page)]
            chatting = chat_speed(app, trained, run)
            app.runner.stop(run)
            app.runner.wait(run)
        app.close()
    print(f"training alone {alone:.0f} tokens/s, while a chat answers {chatting:.0f} tokens/s", flush=True)
    ours, peer = (1000 * statistics.quantiles(found, n=20)[-1] for found in (busy, idle))
    print(
        json.dumps(
            {
                "name": "page_while_training",
                "ours": round(ours, 1),
                "peer": round(peer, 1),
                "ratio": round(peer / ours, 2),
                "unit": "ms, 95th percentile",
                "median": round(1000 * statistics.median(busy), 1),
                "training_kept": round(chatting / alone, 2),
            }
        )
    )


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


def times(page: Page) -> Iterator[float]:
    """Seconds of each handler, once."""
    for tab in TABS:
        yield page.open(tab)
        yield page.seconds(page.listener("tick", kind="timer"))
    yield page.seconds(page.listener("click", "row-on"), **{"row-number": 7})


def speed(app: App, run: str, steps: int) -> float:
    """Tokens a second over the next `steps` steps of the run."""
    first = len(app.runs.curve(run).steps)
    while len(told := app.runs.curve(run).steps) < first + steps:
        if app.runner.job(run).state is State.FAILED:
            raise SystemExit("the training failed")
        time.sleep(0.2)
    return pace(told[first : first + steps])


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
    main()
