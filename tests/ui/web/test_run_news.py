"""The words about trainings in the page's signature, from which the browser makes the title of its tab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.records import Progress, State
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import RUNS, add_run
from ui.services.selection import Choice
from ui.web.page import Page, news

AppWith = Callable[..., MadeUpApp]


@pytest.fixture
def app_with(app: MadeUpApp) -> AppWith:
    """The app with runs in these states, named run-0, run-1 and so on, and no others."""

    def changed(*states: State, **changes: Any) -> MadeUpApp:
        for number, state in enumerate(states):
            add_run(app.workspace, f"run-{number}", state, **changes)
        app.end("run-b", State.STOPPED)
        for run_id in RUNS:
            app.delete_run(run_id)
        return app

    return changed


def test_a_training_has_its_percentage(app_with: AppWith) -> None:
    assert news(app_with(State.RUNNING), "run-0") == "run-0:91"


@pytest.mark.parametrize("progress", [None, Progress(phase="Loading the model", done=1, total=2)])
def test_before_its_first_step_it_has_only_a_state(app_with: AppWith, progress: Progress | None) -> None:
    assert news(app_with(State.RUNNING, progress=progress), "run-0") == "run-0:running"


@pytest.mark.parametrize("state", [one for one in State if not one.is_active])
def test_other_states_are_named(app_with: AppWith, state: State) -> None:
    assert news(app_with(state), "run-0") == f"run-0:{state.value}"


@pytest.mark.parametrize(("opened", "first"), [("", ""), ("gone", ""), ("run-0", "run-0:completed "), ("run-2", "")])
def test_the_run_that_trains_is_named_too_and_only_once(app_with: AppWith, opened: str, first: str) -> None:
    app = app_with(State.COMPLETED, State.QUEUED, State.RUNNING)
    assert news(app, opened) == f"{first}run-2:91"


@pytest.mark.parametrize("opened", ["", "gone"])
def test_without_any_training_there_is_no_word(app_with: AppWith, opened: str) -> None:
    assert news(app_with(State.COMPLETED, State.QUEUED), opened) == ""


def test_the_signature_ends_with_them_unless_the_tab_fails(
    app: MadeUpApp, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = Choice(data_id=DATA, run_id="run-b")
    assert page.signature_of("data", choice).split(" ")[2] == "run-b:91"
    monkeypatch.setattr(app.runs, "curve_position", None)
    assert len(page.signature_of("train", choice).split(" ")) == 2
