"""The form of the settings, and planning the next version of a model where the person
chose.
"""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.export import script
from backend.records.setting import setting
from backend.records.specs import TECHNICAL, DataRef, ModelRef, RunSpec, TrainSettings
from backend.runs.division import Changes
from backend.training import measured
from jobs.records import Progress
from tests.ui.conftest import answer, in_loop
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.services.training.overrides import apply_overrides, as_input
from ui.web.page import Page, news
from ui.web.train import planning, settings_form

EVIL = "<img src=x onerror=alert(1)>"


def click(
    page: Page, part: Any, event: str, choice: Choice, do: str = "", value: str = ""
) -> tuple[Any, Choice]:
    """The answer to a click, and the choice after it."""
    found = answer(page, part, event, choice, clicked=(do, value) if do else None)
    return found, choice.replace(**page.state.changed(found))


def test_a_trained_model_offers_its_next_version(page: Page) -> None:
    tab = page.tabs["train"]
    for run_id, ended in (("run-a", True), ("run-b", False)):
        assert (
            tab.show(Choice(run_id=run_id))[tab.running.next_version]["visible"]
            is ended
        )


def test_a_run_without_a_division_offers_none(page: Page, app: MadeUpApp) -> None:
    tabs, choice = page.tabs, Choice(run_id="run-a")
    assert "train-again" in tabs["runs"].show(choice)[tabs["runs"].listing]
    for run in app.runs.all():
        (app.runs.folder(run.info.id) / "data" / "division.jsonl").unlink()
    assert "train-again" not in tabs["runs"].show(choice)[tabs["runs"].listing]
    assert not tabs["train"].show(choice)[tabs["train"].running.next_version]["visible"]


def test_it_continues_unless_the_person_chooses_the_base(
    page: Page, app: MadeUpApp
) -> None:
    app.fix()
    tab = page.tabs["train"]
    _, choice = click(page, tab.running.next_version, "click", Choice(run_id="run-a"))
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


def test_the_plan_says_where_it_starts_and_why_it_can_not(
    page: Page, app: MadeUpApp
) -> None:
    app.fix()
    tab, choice = page.tabs["train"], Choice(parent="run-a", data_id=DATA)
    shown = tab.show(choice)
    assert "Version 2" in shown[tab.planning.version]
    assert shown[tab.planning.start]["interactive"]
    choice = choice.replace(settings={"lora_rank": 9})
    shown = tab.show(choice)
    why_not = (
        f"keep these settings unchanged: {TrainSettings.facts()['lora_rank'].label}."
    )
    assert why_not in shown[tab.planning.version]
    assert why_not in shown[tab.planning.why_not]
    assert not shown[tab.planning.start]["interactive"]
    assert tab.show(choice.replace(from_base=True))[tab.planning.start]["interactive"]
    assert not tab.show(Choice(data_id=DATA))[tab.planning.version]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (Changes(0, 0, 12, 0), ["same examples", "12 examples that judged"]),
        (
            Changes(3, 1, 12, 0),
            ["3 of your examples are new", "1 of its examples is gone", "12"],
        ),
        (
            Changes(0, 0, 11, 1),
            ["Since version 1, 1 example that was set aside is now learned.", "11"],
        ),
        (
            Changes(2, 0, 9, 3),
            [
                "2 of your examples are new or changed and 3 examples that were set aside are now learned."
            ],
        ),
        (
            Changes(57, 240, 0, 0),
            [
                "57 of your examples",
                "240 of its examples",
                "None of your examples judged",
            ],
        ),
    ],
)
def test_the_plan_says_which_examples_the_version_before_knows(
    changes: Changes, named: list[str]
) -> None:
    words = planning.compared(changes, 1)
    assert [part for part in named if part not in words] == []


def test_a_name_is_escaped() -> None:
    for html in (
        planning.before(EVIL, 2, 1, False, EVIL),
        planning.before(EVIL, 2, 1, True, EVIL),
    ):
        assert "<img" not in html


def test_my_models_lead_to_the_next_version(page: Page) -> None:
    listing = page.tabs["runs"].listing
    listeners = [
        one
        for one in page.blocks.fns.values()
        if (listing._id, "click") in one.targets and one.fn
    ]
    assert len(listeners) == 2
    found = {}
    for listener in listeners:
        values = {part: getattr(part, "value", None) for part in listener.inputs}
        values |= page.state.inputs(Choice(run_id="run-b"))
        found |= listener.fn(
            gr.EventData(None, {"do": "train-again", "value": "run-a"}), values
        )
    assert page.state.changed(found) == {
        "run_id": "",
        "parent": "run-a",
        "data_id": DATA,
    }
    assert found[page.opens] == "train"


def test_a_run_is_renamed_in_fields_that_stay_while_the_list_changes(
    page: Page, app: MadeUpApp
) -> None:
    tab = page.tabs["runs"]
    app.versions.describe("run-a", name=EVIL)
    asked = tab.names.open("run-a")
    assert (asked[tab.names.run], asked[tab.names.name]) == ("run-a", EVIL)
    assert not {tab.names.name, tab.names.note} & {*tab.outputs}, (
        "a tick leaves what is being typed alone"
    )
    typed = {tab.names.run: "run-a", tab.names.name: "Rosie", tab.names.note: EVIL}
    shown = answer(page, tab.names.save_button, "click", Choice(), typed)
    assert app.runs.info("run-a").name == "Rosie"
    assert "Rosie" in shown[tab.listing]
    assert "<img" not in shown[tab.listing]
    assert not shown[tab.names.panel]["visible"]


def test_a_run_at_work_is_opened_from_any_tab_but_its_own(page: Page) -> None:
    shown = page.show("train", page.state.inputs(Choice(data_id=DATA)))[page.working]
    assert 'is being trained<span data-far="run-b">: 91%</span>' in shown
    found, choice = click(
        page, page.working, "click", Choice(data_id=DATA), "open", "run-b"
    )
    assert (choice.run_id, found[page.opens]) == ("run-b", "train")
    assert not page.show("train", page.state.inputs(choice))[page.working]


def test_a_check_at_work_leads_to_try(
    page: Page, app: MadeUpApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = {
        "kind": "evaluate",
        "parent": "run-a",
        "progress": Progress(phase="Asking", done=3, total=8),
    }
    job = app.runner.job("run-b").model_copy(update={"id": "check", **asking})
    monkeypatch.setattr(
        app.runner,
        "jobs",
        lambda kind="evaluate", parent=None: [job] * (kind == "evaluate"),
    )
    shown = page.show("start", page.state.inputs(Choice()))[page.working]
    assert 'is being checked<span data-far="check">: 37%</span>' in shown
    assert news(app, "") == "check=37"
    found, choice = click(page, page.working, "click", Choice(), "try", "run-a")
    assert (choice.run_id, found[page.opens]) == ("run-a", "try")


def test_a_second_click_deletes_nothing_and_a_row_is_added(page: Page) -> None:
    click(page, page.tabs["runs"].listing, "click", Choice(), "delete", "already-gone")
    panel = page.tabs["data"].importing
    rows = answer(
        page, panel.add_row, "click", Choice(), {panel.typed: [["Open?", "Yes."]]}
    )[panel.typed]
    assert rows == [["Open?", "Yes."], ["", ""]]


class Planted(TrainSettings):
    offload: bool = setting(False, "Offloading", TECHNICAL)
    """Moves what is not needed at once to the computer's memory."""


def built() -> dict[str, gr.components.Component]:
    def build() -> dict[str, gr.components.Component]:
        with gr.Blocks(analytics_enabled=False):
            return settings_form.build()

    return in_loop(build)


def test_a_new_setting_needs_only_its_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is part of the key of a measurement, on the page with its help, on the command
    line and in the script.
    """
    without, with_it = Planted(), Planted.parse({"offload": "true"})
    model = ModelRef(id="tests/none", path=tmp_path)
    first, second = (
        measured.key(model, settings, "", 1, 1, 1) for settings in (without, with_it)
    )
    assert first != second
    monkeypatch.setattr(settings_form, "TrainSettings", Planted)
    field = built()["offload"]
    assert isinstance(field, gr.Checkbox)
    assert (field.label, field.info) == (
        "Offloading",
        "Moves what is not needed at once to the computer's memory.",
    )
    assert apply_overrides({"offload": True}, without).changed == {"offload"}
    data = DataRef(
        name="",
        sha256="",
        train_rows=1,
        validation_rows=1,
        train_tokens=1,
        learned_tokens=1,
        longest=1,
    )
    run = RunSpec(name="", model=model, data=data, settings=with_it)
    values = script.settings(run, 1, 1, "fp32", 0)
    assert "\nOFFLOAD = True\n" in script.fill_template(values, run)


def test_inputs_give_back_what_is_recommended() -> None:
    for name, part in built().items():
        read = apply_overrides({name: part.value}, TrainSettings())
        assert (read.settings, read.changed, read.faults) == (
            TrainSettings(),
            frozenset(),
            {},
        )
    recommended = TrainSettings(max_length=128, learning_rate=5e-4)
    typed = {
        "lora_rank": 16,
        "target_modules": "attention",
        "max_length": 128,
        "seed": None,
    }
    read = apply_overrides(typed, recommended)
    assert read.settings == recommended.changed(
        lora_rank=16, target_modules="attention"
    )
    assert read.changed == {"lora_rank", "target_modules"}
    recommended = TrainSettings(target_modules=("qkv_proj", "o_proj"))
    shown = as_input("target_modules", recommended.target_modules)
    assert apply_overrides({"target_modules": shown}, recommended) == apply_overrides(
        {}, recommended
    )


def test_a_number_out_of_range_is_refused_by_name_and_the_others_count() -> None:
    for rate in (7, 1e-99):
        read = apply_overrides(
            {"learning_rate": rate, "lora_rank": 0, "seed": 4}, TrainSettings()
        )
        assert (read.settings, read.changed) == (TrainSettings(seed=4), {"seed"})
        assert str(read.faults["learning_rate"]).startswith("Learning rate can't be ")
        assert "It must be a number from 0.00000001 to 0.1." in str(
            read.faults["learning_rate"]
        )
    assert "a whole number from 1 to 256" in str(read.faults["lora_rank"])
    kept = TrainSettings.parse({"learning_rate": 1e-99})
    assert kept.changed(seed=1) == TrainSettings(learning_rate=1e-99, seed=1), (
        "a stored run may have it"
    )


@pytest.mark.parametrize(
    "junk", [{"no_such": 1}, {"seed": {"a": []}}, {"target_modules": 5}, {"": None}]
)
def test_browser_state_of_an_older_page_breaks_nothing(junk: dict[str, Any]) -> None:
    assert apply_overrides(junk, TrainSettings()).settings == TrainSettings()
