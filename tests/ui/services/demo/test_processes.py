"""Reading and checking in another process gives what it gives here, within limits, and
harms nobody.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend import child_process
from backend.advice.recommend import recommend
from backend.advice.settings import Data
from backend.datasets.background import NO_PROGRESS, BackgroundTask, ProgressListener
from backend.datasets.editing import Editor
from backend.datasets.read.as_text import read_material
from backend.datasets.store import DatasetStore
from backend.datasets.stored_files import Run, run_here, without_progress
from backend.drafts import templates
from backend.errors import ApprenticeError, BadInput, NotYet
from backend.models import bundled
from backend.records.lengths import LengthLimits
from backend.records.machine import Hardware
from backend.records.reading import Limits
from backend.records.rows import Row
from backend.records.specs import ModelRef
from backend.settings import SAMPLES
from backend.tokens.token_counts import TargetModel
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.datasets.sources import sources
from tests.ui.fake_records import SPEC
from tests.ui.services.demo import does
from ui.services.data import preview
from ui.services.demo import processes
from ui.services.demo.processes import Processes, Waiting
from ui.services.results import documents

ONE = partial(does, partial(str, 1))


@pytest.fixture(scope="module")
def apart() -> Processes:
    return Processes()


def checked(folder: Path, run: Run, file: Path) -> object:
    folder.mkdir()
    store = DatasetStore(folder, run=run)
    try:
        data_id = store.add(file, file.name, options={"drop_cells": True})
        opened = store.open(data_id, TargetModel(bundled.tokenizer(), ("en",)))
    except ApprenticeError as error:
        return type(error), vars(error)
    return {
        field.name: getattr(opened, field.name)
        for field in fields(opened)
        if field.name != "id"
    }


def test_it_gives_what_it_gives_here(apart: Processes, tmp_path: Path) -> None:
    """Some files that people have: the examples and what is wrong with them, or every
    part of the refusal.
    """
    for number, source in enumerate(
        [SAMPLES / "orders.jsonl", *(source.path for source in list(sources())[::7])]
    ):
        here = checked(tmp_path / f"{number}here", run_here, source)
        assert (
            checked(tmp_path / f"{number}apart", partial(apart.read, Waiting()), source)
            == here
        ), source


def test_long_typed_texts_are_checked_there_and_short_ones_here(
    apart: Processes, tmp_path: Path
) -> None:
    went: list[Path] = []

    def run(
        listener: ProgressListener, do: Callable[[ProgressListener], Any], path: Path
    ) -> Any:
        went.append(path)
        return apart.read(Waiting(), listener, do, path)

    store = DatasetStore(tmp_path, run=run)
    data_id = store.add('{"question": "When?", "answer": "At six."}', "x.jsonl")
    editor, talk = (
        Editor(store),
        [
            {"role": "user", "content": "Where?"},
            {"role": "assistant", "content": "Here. "},
        ],
    )
    for length, more in ((1, 0), (9_999, 1)):
        went.clear()
        editor.add(
            data_id,
            Row(
                0,
                0,
                [
                    {**message, "content": message["content"] * length}
                    for message in talk
                ],
            ),
        )
        with pytest.raises(BadInput, match="can't be learned"):
            editor.add(
                data_id,
                Row(
                    0,
                    0,
                    [
                        {**talk[0], "content": "Where?" * length},
                        {**talk[1], "content": ""},
                    ],
                ),
            )
        assert len(went) == 2 * more


def test_what_is_made_of_a_text_is_made_there_as_here(
    apart: Processes, tmp_path: Path, bundled_model: Path
) -> None:
    (file := tmp_path / "shop.md").write_text(
        "# Shop\n\nWe sell bread.\n\n|a|b|\n|-|-|\n|c|d|\n|e|f|\n", "utf-8"
    )
    make = partial(
        templates.without_model, read_material(file, file.name, Limits()), "Bread"
    )
    spec = SPEC.model_copy(
        update={"model": ModelRef(id=bundled.MODEL_ID, path=bundled_model)}
    )
    asked = [{"role": "user", "content": "What is it?"}]
    rows = Row(1, 1, asked), Row(1, 1, text="We sell bread. " * 20)
    shown = (
        partial(preview._pieces, row, bundled.tokenizer(), LengthLimits(16, "windows"))
        for row in rows
    )
    for do in (make, partial(documents._pieces, file, spec, asked, 256), *shown):
        assert (
            apart.read(Waiting(), NO_PROGRESS, partial(without_progress, do), file)
            == do()
        )


def test_models_are_compared_as_here(apart: Processes) -> None:
    about: dict[str, Any] = {
        "hardware": Hardware(),
        "data": Data(rows=60),
        "available": ("none",),
        "rates": None,
    }
    assert apart.advise(partial(recommend, **about)) == recommend(**about)


def test_few_may_wait_long_and_one_of_each_visitor() -> None:
    greedy, others = Waiting(), [Waiting() for _ in range(8)]
    with ExitStack() as waits:
        seconds = [
            waits.enter_context(who.patience()) for who in (*[greedy] * 8, *others)
        ]
    assert [at for at, most in enumerate(seconds) if most > 1] == [0, 8, 9, 10], (
        "of eight threads"
    )
    with others[-1].patience() as again:
        assert again > 1


def test_short_texts_do_not_wait_for_long_ones(
    apart: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does who cancels, while waiting or while it runs, nor for long who has
    nothing to cancel it with.
    """
    (tmp_path / "long").write_bytes(b"x" * 100_000)
    sleep, short = partial(does, partial(time.sleep, 50)), tmp_path / "short"
    short.write_bytes(b"x")
    long = [
        BackgroundTask(
            "", lambda task: apart.read(Waiting(), task, sleep, tmp_path / "long")
        )
        for _ in range(2)
    ]
    assert apart.read(Waiting(), NO_PROGRESS, ONE, short) == "1"
    assert not any(task.ended for task in long)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "PATIENCE", 1)
        with pytest.raises(NotYet):
            apart.read(Waiting(), NO_PROGRESS, ONE, tmp_path / "long")
    for task in long:
        task.cancel()
        assert task.wait(20)
        assert task.error is None
    assert apart.read(Waiting(), NO_PROGRESS, ONE, tmp_path / "long") == "1", (
        "the next one is served"
    )


@pytest.mark.parametrize(
    ("do", "error", "why"),
    [
        (partial(bytearray, 8 << 30), BadInput, "much memory"), (partial(bytes, 2 << 20), BadInput, "much memory"),
        (partial(time.sleep, 50), BadInput, "6 seconds"), (partial(os._exit, 1), BadInput, "ended unexpectedly"),
        (partial(type, 1), BadInput, "ended unexpectedly"), (partial(int, "x"), RuntimeError, "int"),
    ],
)  # fmt: skip
def test_too_much_and_anything_but_records_is_refused(
    do: Callable[[], object],
    error: type[Exception],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "SECONDS", 2)
    monkeypatch.setattr(processes, "ANSWER", 1 << 20)
    (tmp_path / "short").write_bytes(b"x")
    own = Processes()
    with pytest.raises(error, match=why):
        own.read(Waiting(), ProgressListener(), partial(does, do), tmp_path / "short")
    monkeypatch.undo()
    assert own.read(Waiting(), NO_PROGRESS, ONE, tmp_path / "short") == "1", (
        "the next one is served"
    )


def test_a_tokenizer_is_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, sent, write = Processes(), list[int](), processes.frames.write
    monkeypatch.setattr(
        processes.frames,
        "write",
        lambda out, *parts: [write(out, *parts), sent.append(len(parts[1]))],
    )
    (tmp_path / "short").write_bytes(b"x")
    count = partial(does, partial(ChatTokenizer.count, bundled.tokenizer(), ["Hello"]))
    for is_new in (True, False, True):
        assert own.read(Waiting(), NO_PROGRESS, count, tmp_path / "short") == [1]
        assert (sent[-1] > 1_000_000) is is_new
        if not is_new:
            child_process.kill(own._short._child)  # type: ignore[arg-type]
