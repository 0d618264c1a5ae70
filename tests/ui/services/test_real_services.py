"""The page over the real app, before any model is on this computer."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT, Workspace
from tests.ui.conftest import tabs
from ui.services.app import App
from ui.services.data import imports, samples
from ui.services.selection import Choice
from ui.web.page import finished_steps


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    made = App(Workspace.open(tmp_path_factory.mktemp("workspace")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "PAGE_WAIT", 90.0)  # also where the computer is busy
        yield made
    made.close()


tabs_of = cache(tabs)


def shown(app: App, name: str, choice: Choice) -> dict[str, Any]:
    """A tab's updates, by field."""
    tab = tabs_of(app)[name]
    updates = tab.show(choice)
    assert set(updates) <= set(tab.outputs)
    hash(tab.signature(choice))
    parts = {
        **vars(tab),
        **vars(getattr(tab, "preview", object)),
        **vars(getattr(tab, "planning", object)),
    }
    return {
        field: updates[part]
        for field, part in parts.items()
        if getattr(part, "_id", None) and part in updates
    }


@pytest.mark.parametrize("name", ["start", "data", "train", "try", "share", "runs"])
def test_every_tab_opens_on_a_fresh_workspace(app: App, name: str) -> None:
    assert "guide-line" in shown(app, name, Choice())["line"]
    assert 'data-done=""' in finished_steps(app, Choice())


def test_a_sample_is_shown_before_the_model_is_unpacked(app: App) -> None:
    sample = samples.SAMPLES[0]
    choice = Choice(data_id=app.datasets.add(sample.path, sample.path.name))
    data = shown(app, "data", choice)
    assert "240 examples, ready" in data["summary"]
    assert "bubble user" in data["bubbles"], "its tokens come out of the packed file"
    other = shown(
        app, "data", choice.replace(model_id="meta-llama/Llama-3.2-1B-Instruct")
    )
    assert "not on this computer" in other["bubbles"], "why its tokens can't be shown"
    train = shown(app, "train", choice)
    assert train["start"]["interactive"] is False
    assert "being unpacked" in train["why_not"]


def test_a_fix_unblocks_training_and_can_be_undone(app: App, tmp_path: Path) -> None:
    good = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "%s"}]}\n'
    file = tmp_path / "faulty.jsonl"
    file.write_text(
        "".join(good % (f"question {i}", f"answer number {i}") for i in range(12))
        + good % ("why?", "")
    )
    choice = Choice(data_id=app.datasets.add(file, file.name))
    before = shown(app, "data", choice)
    assert 'data-done="start"' in finished_steps(app, choice)
    assert 'data-kind="empty_answer"' in before["problems"]
    assert "Example 13 (line 13)" in before["reason"]
    assert before["forward"]["interactive"] is False
    app.fixes.accept(choice.data_id, "empty_answer", "all")
    after = shown(app, "data", choice)
    assert after["reason"] == ""
    assert "13 examples, 1 removed" in after["summary"]
    assert 'data-done="start data"' in finished_steps(app, choice)
    app.fixes.undo(choice.data_id, "empty_answer")
    assert shown(app, "data", choice)["reason"] == before["reason"]


PAIRS = PROJECT_ROOT / "tests" / "data" / "pairs.jsonl"


def test_pairs_offer_both_trainers(app: App) -> None:
    choice = Choice(data_id=app.datasets.add(PAIRS, PAIRS.name))
    train = shown(app, "train", choice)
    assert train["goal"]["visible"] is True
    compared = shown(app, "train", choice.replace(settings={"trainer": "dpo"}))
    assert "0.00005" in compared["plan"], "the learning rate for DPO"
    assert "0.00005" not in train["plan"]


def test_without_pairs_only_one_trainer_is_offered(app: App) -> None:
    sample = samples.SAMPLES[0]
    choice = Choice(data_id=app.datasets.add(sample.path, sample.path.name))
    assert shown(app, "train", choice)["goal"]["visible"] is False
    asked = shown(app, "train", choice.replace(settings={"trainer": "dpo"}))
    assert asked["goal"]["visible"] is True, "to switch back"
    assert "every example needs a good and a bad answer" in asked["why_not"]


def test_a_damaged_run_is_listed_and_can_be_deleted(app: App) -> None:
    run_id = app.runner.submit("train", {}, "")
    (app.runner.folder(run_id) / "job.json").write_bytes(b"\0")
    assert run_id in shown(app, "runs", Choice())["listing"]
    app.delete_run(run_id)
    assert app.runner.damaged() == []
