"""What a person sees of an error, what only the log does, and no error from any value
that a browser sends.
"""

import ast
import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.errors import BadInput
from backend.models import bundled
from backend.records.events import EvalEvent, NoteEvent, SampleEvent, StepEvent
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings
from backend.settings import PROJECT_ROOT, Workspace
from jobs.events import EventLog
from jobs.folder import JobFolder
from jobs.records import State
from tests.ui.conftest import in_loop
from tests.ui.page_client import PageClient, page_in_process
from ui.services.app import App
from ui.services.data import samples
from ui.services.results.chat import ChatSession
from ui.services.selection import Choice
from ui.web import errors as web_errors
from ui.web.components import sent_file
from ui.web.page import TABS


@web_errors.handler
def rejects() -> None:
    raise BadInput(
        "Row 3 has no answer.", "It ends with a question.", "Add <b>one</b>."
    )


@web_errors.handler
def breaks() -> None:
    raise ValueError("/home/someone/secret.txt")


@web_errors.handler
def breaks_midway() -> Iterator[int]:
    yield 1
    raise KeyError("secret")


def test_errors_are_shown_as_text_and_waiting_is_no_fault() -> None:
    with pytest.raises(gr.Error) as caught:
        rejects()
    message = "<strong>Row 3 has no answer.</strong><p>It ends with a question.</p><p>Add &lt;b&gt;one&lt;/b&gt;.</p>"
    assert caught.value.message == message
    assert caught.value.duration is None, "it stays until it is closed"
    assert not caught.value.print_exception
    busy = BadInput("A file is being read.", "", "Wait until it is done.")
    with pytest.raises(gr.Error, match='class="calm"'):
        web_errors.handler(lambda: raise_(busy))()
    assert 'class="alert calm"' in web_errors.error_alert(busy)


def raise_(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("work", [breaks, lambda: list(breaks_midway())])
def test_other_errors_go_only_to_the_log(
    work: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as caught:
        work()  # type: ignore[operator]
    assert "secret" not in caught.value.message + caught.value.title
    assert caught.value.__cause__ is None
    assert "secret" in caplog.text
    assert next(breaks_midway()) == 1, "a generator stays one"


def test_an_upload_without_a_file_is_said_to_have_none() -> None:
    for nothing in (None, "", [], {"path": "/etc/passwd"}):
        with pytest.raises(BadInput):
            sent_file(nothing)
    assert sent_file("/tmp/x.txt").name == "x.txt"


def loads(*handlers: tuple[Callable[..., Any], slice]) -> web_errors.Blocks:
    """A page that calls these when it loads; each answers for a part of its two
    components.
    """

    def draw() -> web_errors.Blocks:
        with web_errors.Blocks() as blocks:
            parts = [gr.Textbox(), gr.JSON()]
            for handler, of in handlers:
                blocks.load(handler, None, parts[of])
        return blocks

    return in_loop(draw)


def test_half_a_character_does_not_break_the_stream_of_answers() -> None:
    rejects = web_errors.handler(lambda: raise_(BadInput("There is no \ud800.")))
    blocks = loads((lambda: "a\ud800é", slice(1)), (rejects, slice(2)))
    assert asyncio.run(blocks.process_api(0, []))["data"] == ["a?é"]
    with pytest.raises(gr.Error) as caught:
        asyncio.run(blocks.process_api(1, []))
    assert "There is no ?" in caught.value.message


def test_a_handler_may_answer_with_no_updates() -> None:
    blocks = loads((dict, slice(2)), (dict, slice(1, 2)))
    for number, listener in blocks.fns.items():
        answer = asyncio.run(blocks.process_api(number, []))
        assert answer["data"] == [gr.skip()] * len(listener.outputs)


def test_updates_are_those_that_gradio_sends() -> None:
    updates: list[dict[int, Any]] = [
        {0: "é", 1: "b"}, {1: 7}, {0: gr.skip(), 2: "b"}, {2: gr.update(choices=["c"], value="c"), 1: gr.skip()},
        {1: gr.update(visible=False), 3: gr.update(open=True)}, {4: {"a": 1}, 0: gr.update(value="c", visible=True)},
        {1: gr.update(label="é", interactive=True), 2: gr.update(interactive=False)}, {1: gr.update(lines=3), 0: None},
    ]  # fmt: skip

    def draw(kind: type[gr.Blocks]) -> gr.Blocks:
        with kind() as blocks:
            parts = [
                gr.HTML(),
                gr.Textbox(),
                gr.Dropdown(["a", "b"]),
                gr.Accordion(open=False),
                gr.JSON(),
            ]
            for news in updates:
                blocks.load(
                    lambda news=news: {
                        parts[at]: new for at, new in deepcopy(news).items()
                    },
                    None,
                    parts,
                )
        return blocks

    pages = [in_loop(partial(draw, kind)) for kind in (web_errors.Blocks, gr.Blocks)]
    for number in range(len(updates)):
        ours, gradios = (
            asyncio.run(page.process_api(number, []))["data"] for page in pages
        )
        for sent in filter(lambda sent: isinstance(sent, dict), [*ours, *gradios]):
            sent.pop("props", None)  # in which gradio repeats the update of HTML
        assert ours == gradios, updates[number]


MODELS = [bundled.MODEL_ID, "meta-llama/Llama-3.2-1B-Instruct"]
CANARY = "canary-in-a-foreign-file"
ANYTHING: list[Any] = [
    None, True, False, 0, 1, -1, 3, 10**6, 10**30, 0.5, -1e308, float("nan"), float("inf"), "", " ", "x" * 3000, "\0",
    "\ud800", "\u202e", "..", "../..", "../../../etc/passwd", "C:\\Windows", "; touch x", "$(touch x)", "--flag",
    "<img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "all", "1", "-1", "1e9", "0x10", [], [None], ["a"], [[1, 2], [3]],
    {}, {"a": 1}, {"rows": [1]}, [[[[[[[[]]]]]]]], {"fields": {"run_id": ".."}},
]  # fmt: skip


def words() -> list[str]:
    """The short words in the page's code: among them every action of a button, field of
    a form and setting.
    """
    found = set()
    for path in (PROJECT_ROOT / "ui" / "web").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and 1 < len(node.value) < 25
            ):
                found.add(node.value)
    return sorted(found)


class Fuzz:
    """Draws what to send. known: existing ids."""

    def __init__(self, seed: int, known: list[str], foreign: Path) -> None:
        self._draw = random.Random(seed)
        file = {
            "path": str(foreign),
            "orig_name": "x.jsonl",
            "meta": {"_type": "gradio.FileData"},
        }
        self._values = [*ANYTHING, str(foreign), file, [file], {"path": str(foreign)}]
        self._known, self._words = known, words()

    def one(self, values: list[Any]) -> Any:
        return self._draw.choice(values)

    def value(self, depth: int = 2) -> Any:
        kind = self._draw.random()
        for most, values in (
            (0.5 if depth else 1.0, self._values),
            (0.7, self._known),
            (0.85, self._words),
        ):
            if kind < most:
                return self.one(values)
        if kind < 0.93:
            return {
                self.one(self._words): self.value(depth - 1)
                for _ in range(self._draw.randint(0, 4))
            }
        return [self.value(depth - 1) for _ in range(self._draw.randint(0, 4))]

    def choice(self) -> Any:
        if self._draw.random() < 0.1:
            return self.value()
        plausible = asdict(Choice())
        for name in plausible:
            if self._draw.random() < 0.5:
                plausible[name] = (
                    self.one(self._known) if self._draw.random() < 0.7 else self.value()
                )
        return plausible

    def click(self) -> Any:
        if self._draw.random() < 0.1:
            return self.value()
        value = self.value()
        form = json.dumps(value) if self._draw.random() < 0.5 else value
        return {"do": self.one(self._words), "value": form}

    def data(self, page: PageClient, listener: dict[str, Any]) -> list[Any]:
        """Mostly what the page would send, with some values replaced; at times too few
        or too many.
        """
        data = page.inputs(
            listener, choice=self.choice(), tab=self.one([*TABS, "x", None])
        )
        data = [self.value() if self._draw.random() < 0.3 else value for value in data]
        return data[:-1] if self._draw.random() < 0.02 else data


@pytest.fixture
def app(
    tmp_path: Path, workspace_with_layers: Workspace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[App]:
    for name in ("home", "tmp", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "tmp"))
    answers = ChatSession.answers

    def short(*given: Any, **sampling: Any) -> Any:
        return answers(
            *given, **{**sampling, "max_new_tokens": min(sampling["max_new_tokens"], 8)}
        )

    monkeypatch.setattr(ChatSession, "answers", short)
    made = App(workspace_with_layers)
    yield made
    made.close()


def fill(app: App) -> list[str]:
    """Examples and runs in several states; returns ids of them, and of models."""
    sample = samples.SAMPLES[0]
    data_id = app.datasets.add(sample.path, sample.path.name)
    ids = [data_id, *MODELS]
    spec = RunSpec(
        name="A run",
        model=ModelRef(id=bundled.MODEL_ID, path=app.workspace.models / "none"),
        data=DataRef(
            name=sample.path.name, sha256="", train_rows=8, validation_rows=2, train_tokens=99, learned_tokens=50,
            longest=20, data_id=data_id,
        ),
        settings=TrainSettings(),
    ).model_dump(mode="json")  # fmt: skip
    for state in (State.QUEUED, State.COMPLETED, State.FAILED):
        run_id = app.runner.submit("train", spec, f"A run that {state}")
        folder = JobFolder(app.runner.folder(run_id))
        log = EventLog(folder.events, 1)
        for event in (
            StepEvent(1, 2.0),
            EvalEvent(1, 1.5),
            NoteEvent("Note"),
            SampleEvent(1, [], "answer"),
        ):
            log.append(event)
        log.close()
        if state.is_terminal:
            folder.write_status(folder.status().ended_as(state))
        ids.append(run_id)
    return ids


class Bugs(logging.Handler):
    """What a page handler logs as a bug of ours."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: dict[str, str] = {}
        self.call: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        text = logging.Formatter().format(record)
        self.found.setdefault(text[-300:], f"after call {self.call}: {text[-1500:]}")


def outside(tmp_path: Path) -> set[Path]:
    """The files in the home, in the current folder and next to the workspace."""
    ours = [tmp_path / name for name in ("workspace", "tmp")]
    return {
        path
        for path in tmp_path.rglob("*")
        if not any(path.is_relative_to(folder) for folder in ours)
    }


def fuzz(app: App, tmp_path: Path, calls: int, seed: int) -> dict[str, int]:
    """Sends `calls` events; returns how many succeeded and how many were refused."""
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text(CANARY)
    bugs, counts = Bugs(), {"answered": 0, "refused": 0}
    logging.getLogger().addHandler(bugs)
    before = outside(tmp_path)

    async def send() -> None:
        async with page_in_process(app, app.workspace.exports) as http:
            page = await PageClient.open(http, Choice(), "start")
            handlers = page.handlers()
            made = Fuzz(seed, fill(app), foreign)
            for number in range(calls):
                if number % 200 == 199:
                    made = Fuzz(seed + number, fill(app), foreign)
                listener = handlers[number % len(handlers)]
                message = await page.send(
                    listener, made.data(page, listener), made.click()
                )
                counts["answered" if message["success"] else "refused"] += 1
                assert CANARY not in json.dumps(message), listener
                bugs.call = number, listener["targets"]

    try:
        asyncio.run(send())
    finally:
        logging.getLogger().removeHandler(bugs)
    assert not bugs.found, f"{len(bugs.found)} bugs: " + "\n".join(
        list(bugs.found.values())[:8]
    )
    assert outside(tmp_path) == before, "a file outside"
    return counts


def test_a_few_hostile_calls_of_every_event(
    app: App, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    counts = fuzz(app, tmp_path, 80, seed=1)
    assert min(counts.values()) > 5, counts
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100_000, 200_000])
def test_five_thousand_hostile_calls(
    app: App, tmp_path: Path, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    counts = fuzz(app, tmp_path, 5_000, seed)
    assert "Traceback" not in capfd.readouterr().err
    with capfd.disabled():
        print(f"\n5,000 hostile calls of the page, seed {seed}: {counts}")
