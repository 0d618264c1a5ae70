"""The words about trainings in the page's signature, from which the browser makes the title of its tab."""

from __future__ import annotations

import pytest

from jobs.records import Progress, State
from tests.ui.conftest import page_of
from tests.ui.fake_records import job
from tests.ui.fake_services import FakeApp
from ui.services.selection import Choice
from ui.web.page import news


def app_with(*states: State, **changes: object) -> FakeApp:
    app = FakeApp()
    app.runs.known = {f"run-{n}": job(f"run-{n}", state, **changes) for n, state in enumerate(states)}
    return app


def test_a_training_has_its_percentage() -> None:
    assert news(app_with(State.RUNNING), "run-0") == "run-0:91"


@pytest.mark.parametrize("progress", [None, Progress(phase="Loading the model", done=1, total=2)])
def test_before_its_first_step_it_has_only_a_state(progress: Progress | None) -> None:
    assert news(app_with(State.RUNNING, progress=progress), "run-0") == "run-0:running"


@pytest.mark.parametrize("state", [one for one in State if not one.is_active])
def test_other_states_are_named(state: State) -> None:
    assert news(app_with(state), "run-0") == f"run-0:{state.value}"


@pytest.mark.parametrize(("opened", "first"), [("", ""), ("gone", ""), ("run-0", "run-0:completed "), ("run-2", "")])
def test_the_run_that_trains_is_named_too_and_only_once(opened: str, first: str) -> None:
    app = app_with(State.COMPLETED, State.QUEUED, State.RUNNING)
    assert news(app, opened) == f"{first}run-2:91"


@pytest.mark.parametrize("opened", ["", "gone"])
def test_without_any_training_there_is_no_word(opened: str) -> None:
    assert news(app_with(State.COMPLETED, State.QUEUED), opened) == ""


def test_the_signature_ends_with_them_unless_the_tab_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_with(State.RUNNING)
    page = page_of(app)
    choice = Choice(data_id="data-1", run_id="run-0")
    assert page.signature_of("data", choice).split(" ")[2] == "run-0:91"
    monkeypatch.setattr(app.runs, "curve_position", None)
    assert len(page.signature_of("train", choice).split(" ")) == 2
