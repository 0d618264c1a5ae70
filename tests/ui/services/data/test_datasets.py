"""What is checked and shown of examples depends on the model and on the planned run."""

import pytest

from backend.models import bundled
from backend.records.specs import TrainSettings
from backend.settings import SAMPLES, Workspace
from ui.services.app import App
from ui.services.data.dataset_state import split_summary
from ui.services.selection import Choice


@pytest.fixture
def app(workspace_with_model: Workspace) -> App:
    return App(workspace_with_model)


def test_half_a_surrogate_in_pasted_text_is_a_problem_of_its_row(app: App) -> None:
    good = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "yes, it is"}]}'
    data_id = app.dataset_store.add(
        "\n".join([good % "is it?", good % "bad \ud800 one"])
    )
    found = app.datasets.selected(Choice(data_id=data_id)).report.problems
    assert [problem.row for problem in found if problem.severity == "error"] == [2]


def test_a_preview_of_a_document_is_learned_text_cut_for_the_page(app: App) -> None:
    story = app.dataset_store.add("Once upon a time there was a lamp. " * 2000)
    shown = app.datasets.preview(Choice(data_id=story, row=1))
    assert [(piece.kind, piece.tokens) for piece in shown.pieces[:-1]] == [
        ("learned", 4096)
    ] * 4
    assert "5 pieces of at most 4,096 tokens" in shown.note
    assert all(len(piece.text) < 10_000 for piece in shown.pieces)


def test_checks_and_preview_use_the_planned_length(app: App) -> None:
    good = '{"messages": [{"role": "user", "content": "what is %s?"}, {"role": "assistant", "content": "number %d"}]}'
    rows = [*(good % (i, i) for i in range(20)), good % ("this " * 300, 7)]
    choice = Choice(
        data_id=app.dataset_store.add("\n".join(rows)),
        settings={"max_length": 128},
        row=21,
    )
    state = app.datasets.selected(choice)
    assert (
        state.blocked
        == app.planning.plan(choice.data_id, "", TrainSettings(max_length=128)).blocked
        != ""
    )
    assert app.datasets.selected(choice.replace(settings={})).blocked == ""
    shown = app.datasets.preview(choice)
    assert sum(piece.tokens for piece in shown.pieces) == 128
    assert not [piece for piece in shown.pieces if piece.kind == "learned"]
    assert "128 tokens" in shown.note
    app.fixes.accept(choice.data_id, "answer_vanishes", "all")
    assert (
        app.datasets.selected(choice).blocked,
        app.datasets.write_files(choice).changes,
    ) == ("", 1)
    story = Choice(
        data_id=app.dataset_store.add("Once there was a lamp. " * 2000),
        settings={"max_length": 512},
    )
    pieces = app.planning.plan(
        story.data_id, "", TrainSettings(max_length=512)
    ).train_rows
    assert len(app.datasets.preview(story).pieces) == pieces > 10
    assert f"{pieces} pieces of at most 512 tokens" in split_summary(
        app.datasets.selected(story)
    )


def test_examples_in_a_language_the_model_was_not_made_for_are_reported(
    app: App,
) -> None:
    good = '{"messages": [{"role": "user", "content": "was ist das und wo ist die Nummer %d?"}, %s]}'
    answer = '{"role": "assistant", "content": "das ist nicht die Nummer, die ich auf dem Zettel habe"}'
    rows = [good % (i, answer) for i in range(60)]
    choice = Choice(data_id=app.dataset_store.add("\n".join(rows)))
    found = {p.kind: p.message for p in app.datasets.selected(choice).problems}
    assert "German" in found["language_mismatch"]
    assert "English" in found["language_mismatch"]
    unknown = app.advice.unknown_language(choice)
    assert (unknown.language, unknown.model.id) == ("de", bundled.MODEL_ID)
    sample = Choice(data_id=app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"))
    assert app.advice.unknown_language(sample) is None


def test_unreadable_rows_block_until_the_person_leaves_them_out(app: App) -> None:
    good = '{"messages": [{"role": "user", "content": "what is %d?"}, {"role": "assistant", "content": "number %d"}]}'
    data_id = app.dataset_store.add(
        "\n".join([*(good % (i, i) for i in range(20)), "{broken", "[1]"])
    )
    state = app.datasets.selected(Choice(data_id=data_id))
    assert "Example 21 (line 21)" in state.blocked
    for kind in state.unreadable:
        app.fixes.accept(data_id, kind, "all")
    assert app.datasets.selected(Choice(data_id=data_id)).blocked == ""
    for kind in state.unreadable:
        app.fixes.undo(data_id, kind)
    assert app.datasets.selected(Choice(data_id=data_id)).blocked
