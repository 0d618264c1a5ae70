"""A dataset of the hub becomes examples, on the page and on the command line; a demo
does without.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from threading import Event

import gradio as gr
import pytest

from backend.datasets import hub
from backend.errors import NotInDemo
from backend.hosting.policy import DEMO
from backend.settings import Workspace
from tests.backend.datasets.hub_server import COMMIT, HubServer, hub_server
from tests.ui.conftest import answer
from tests.ui.services.data.test_imports import imported
from ui.cli.main import make_parser
from ui.cli.options import imported as imported_by_command
from ui.services.app import App
from ui.services.data import imports as dataset_imports
from ui.services.selection import Choice
from ui.web.page import Page

LINES = "".join(
    f'{{"question": "What is {n}?", "answer": "Number {n}."}}\n' for n in range(40)
).encode()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(monkeypatch, {"train.jsonl": LINES, "test.jsonl": LINES}) as server:
        yield server


def test_its_first_rows_come_and_stay_chosen(
    page: Page, served: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page.app
    monkeypatch.setattr(hub, "ROWS", 25)
    panel = page.tabs["data"].importing
    pasted = {panel.pasted: "https://huggingface.co/datasets/shop/orders/\n"}
    shown = answer(page, panel.use_text, "click", Choice(), pasted)
    choice = imported(app, Choice(**page.state.changed(shown)))
    state = app.datasets.selected(choice)
    assert (len(state.rows), state.name) == (
        25,
        f"shop/orders@{COMMIT[:8]}/train.jsonl",
    )
    app.datasets.read_again(choice.data_id, {"shape": "question_answer"})
    choice = imported(app, choice.replace(import_id=choice.data_id))
    assert len(app.datasets.selected(choice).rows) == 25
    with pytest.raises(gr.Error, match="not the name"):
        answer(page, panel.use_text, "click", Choice(), {panel.pasted: "hf:../etc"})
    with pytest.raises(gr.Error, match="be added to others"):
        answer(page, panel.use_text, "click", choice, {**pasted, panel.join_text: True})
    monkeypatch.setattr(dataset_imports, "PAGE_WAIT", 90.0)
    for open_now, join, words in (
        (Choice(), False, ""),
        (choice, False, "stay under"),
        (choice, True, "40 examples"),
    ):
        typed = {panel.pasted: LINES.decode(), panel.join_text: join}
        shown = answer(page, panel.use_text, "click", open_now, typed)
        said = str(shown[page.tabs["data"].notice])
        assert words in said
        assert bool(words) == bool(said)
        assert shown[panel.pasted] == "", "it is taken"
    shown = answer(
        page,
        panel.use_text,
        "click",
        choice,
        {panel.pasted: "Too short", panel.join_text: False},
    )
    assert not shown[page.tabs["data"].notice], "the examples from before stay open"
    assert panel.pasted not in shown, "what can't be read stays in its field"
    assert (
        str(panel.show(False, choice.data_id)[panel.earlier]).count(
            "Open Pasted text of "
        )
        == 2
    )


def test_a_cancelled_download_stores_nothing(
    app: App, served: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_imports, "PAGE_WAIT", 0.0)
    served.gate = Event()
    choice = Choice(import_id=app.datasets.import_from_hub("hf:shop/orders"))
    now = app.datasets.progress(choice)
    app.datasets.cancel_import(choice.import_id)
    served.gate.set()
    assert now is not None
    assert (imported(app, choice).data_id, app.datasets.all()) == ("", [])


@pytest.mark.parametrize("path_of", [PurePosixPath, PureWindowsPath])
def test_it_is_named(
    app: App,
    served: HubServer,
    capsys: pytest.CaptureFixture[str],
    path_of: type[PurePath],
) -> None:
    served.card = {"license": "mit"}
    typed: argparse.Namespace = make_parser().parse_args(
        ["train", "--data", "hf:shop/orders", "--rows", "30"]
    )
    typed.data = [path_of(one) for one in typed.data]
    data_id = imported_by_command(app, typed)
    assert len(app.dataset_store.original(data_id).rows) == 30
    told = capsys.readouterr().err
    assert all(fact in told for fact in ("mit", COMMIT[:8], "train"))


def test_a_demo_asks_the_hub_nothing(tmp_path: Path, served: HubServer) -> None:
    app = App(Workspace.open(tmp_path / "workspace"), policy=DEMO)
    with pytest.raises(NotInDemo):
        app.datasets.import_from_hub("shop/orders")
    assert served.asked == []
    app.close()
