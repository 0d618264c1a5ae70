"""Train plans the next version of a model, and starts it where the person chose."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from backend.records.specs import TrainSettings
from backend.runs.division import Changes
from jobs.records import State
from tests.ui.conftest import answer
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.train import version_cards

EVIL = "<img src=x onerror=alert(1)>"


def click(page: Page, part: Any, event: str, choice: Choice, do: str = "", value: str = "") -> tuple[Any, Choice]:
    """The answer to a click, and the choice after it."""
    found = answer(page, part, event, choice, clicked=(do, value) if do else None)
    return found, choice.replace(**page.state.changed(found))


def test_a_trained_model_offers_its_next_version(page: Page) -> None:
    tab = page.tabs["train"]
    shown = tab.show(Choice(run_id="run-a"))[tab.running.onward]
    assert "version 2" in shown
    assert 'data-do="train-again"' in shown
    assert 'data-send="train-on"' in shown
    assert not tab.show(Choice(run_id="run-b"))[tab.running.onward], "it is still training"


def test_a_run_without_a_division_offers_none(page: Page, app: MadeUpApp) -> None:
    tabs, choice = page.tabs, Choice(run_id="run-a")
    assert "train-again" in tabs["runs"].show(choice)[tabs["runs"].listing]
    for run in app.runs.all():
        (app.runs.folder(run.info.id) / "data" / "division.jsonl").unlink()
    assert "train-again" not in tabs["runs"].show(choice)[tabs["runs"].listing]
    assert not tabs["train"].show(choice)[tabs["train"].running.onward]


def test_it_continues_unless_the_person_chooses_the_base(page: Page, app: MadeUpApp) -> None:
    app.fix()
    tab = page.tabs["train"]
    _, choice = click(page, tab.running.onward, "click", Choice(run_id="run-a"), "train-again")
    assert (choice.run_id, choice.parent, choice.from_base) == ("", "run-a", False)
    _, based = click(page, tab.planning.version, "click", choice, "from-base")
    _, again = click(page, tab.planning.version, "click", based, "continue")
    _, fresh = click(page, tab.planning.version, "click", again, "no-version")
    assert (based.from_base, again.from_base, fresh.parent) == (True, False, "")
    continues: list[bool | None] = []
    for chosen in (based, again, fresh):
        _, after = click(page, tab.planning.start, "click", chosen)
        assert (after.parent, after.from_base) == ("", False)
        descent = app.runs.spec(after.run_id).descent
        continues.append(descent and bool(descent.weights))
    assert continues == [False, True, None]


def test_the_plan_says_where_it_starts_and_why_it_can_not(page: Page, app: MadeUpApp) -> None:
    app.fix()
    tab, choice = page.tabs["train"], Choice(parent="run-a", data_id=DATA)
    shown = tab.show(choice)
    assert "Version 2" in shown[tab.planning.version]
    assert shown[tab.planning.start]["interactive"]
    choice = choice.replace(settings={"lora_rank": 9})
    shown = tab.show(choice)
    why_not = f"keep these settings unchanged: {TrainSettings.facts()['lora_rank'].label}."
    assert why_not in shown[tab.planning.version]
    assert why_not in shown[tab.planning.why_not]
    assert not shown[tab.planning.start]["interactive"]
    assert tab.show(choice.replace(from_base=True))[tab.planning.start]["interactive"]
    assert not tab.show(Choice(data_id=DATA))[tab.planning.version]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (Changes(0, 0, 12, 0), ["same examples", "12 examples that judged"]),
        (Changes(3, 1, 12, 0), ["3 of your examples are new", "1 of its examples is gone", "12"]),
        (Changes(0, 0, 11, 1), ["Since version 1, 1 example that was set aside is now learned.", "11"]),
        (
            Changes(2, 0, 9, 3),
            ["2 of your examples are new or changed and 3 examples that were set aside are now learned."],
        ),
        (Changes(57, 240, 0, 0), ["57 of your examples", "240 of its examples", "None of your examples judged"]),
    ],
)
def test_the_plan_says_which_examples_the_version_before_knows(changes: Changes, named: list[str]) -> None:
    words = version_cards.compared(changes, 1)
    assert [part for part in named if part not in words] == []


def test_training_on_opens_the_new_version(page: Page, app: MadeUpApp) -> None:
    tab = page.tabs["train"]
    _, choice = click(page, tab.running.onward, "click", Choice(run_id="run-a"), "train-on", '{"epochs": "2"}')
    assert choice.run_id not in ("", "run-a")


def test_a_name_is_escaped() -> None:
    for html in (version_cards.before(EVIL, 2, 1, False, EVIL), version_cards.before(EVIL, 2, 1, True, EVIL)):
        assert "<img" not in html


def test_my_models_lead_to_the_next_version(page: Page) -> None:
    listing = page.tabs["runs"].listing
    listeners = [one for one in page.blocks.fns.values() if (listing._id, "click") in one.targets and one.fn]
    assert len(listeners) == 2
    found = {}
    for listener in listeners:
        values = {part: getattr(part, "value", None) for part in listener.inputs}
        values |= page.state.inputs(Choice(run_id="run-b"))
        found |= listener.fn(gr.EventData(None, {"do": "train-again", "value": "run-a"}), values)
    assert page.state.changed(found) == {"run_id": "", "parent": "run-a", "data_id": DATA}
    assert found[page.opened_run] == "run-a"


def test_a_run_is_renamed_in_fields_that_stay_while_the_list_changes(page: Page, app: MadeUpApp) -> None:
    tab = page.tabs["runs"]
    app.versions.rename("run-a", EVIL)
    asked = tab.names.open("run-a")
    assert (asked[tab.names.run], asked[tab.names.name]) == ("run-a", EVIL)
    assert not {tab.names.name, tab.names.note} & {*tab.outputs}, "a tick leaves what is being typed alone"
    typed = {tab.names.run: "run-a", tab.names.name: "Rosie", tab.names.note: EVIL}
    shown = answer(page, tab.names.save_button, "click", Choice(), typed)
    assert app.runs.info("run-a").name == "Rosie"
    assert "Rosie" in shown[tab.listing]
    assert "<img" not in shown[tab.listing]
    assert not shown[tab.names.panel]["visible"]


def test_a_run_that_goes_first_is_opened_from_the_plan(page: Page) -> None:
    planning = page.tabs["train"].planning
    assert 'data-do="watch"' in planning.show(Choice(data_id=DATA))[planning.plan]
    _, choice = click(page, planning.plan, "click", Choice(data_id=DATA), "watch", "run-a")
    assert choice.run_id == "run-a"


def test_a_stopped_run_offers_more_passes_only_as_its_continuation() -> None:
    assert "train-on" in version_cards.after(2)
    assert "train-on" not in version_cards.after(2, State.STOPPED)


def test_a_second_click_deletes_nothing(page: Page) -> None:
    click(page, page.tabs["runs"].listing, "click", Choice(), "delete", "already-gone")


def test_a_row_is_added_below_what_was_typed(page: Page) -> None:
    panel = page.tabs["data"].importing
    rows = answer(page, panel.add_row, "click", Choice(), {panel.typed: [["Open?", "Yes."]]})[panel.typed]
    assert rows == [["Open?", "Yes."], ["", ""]]
