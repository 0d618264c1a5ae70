"""A new version against the one before: on which questions, with whose answers, and by
which statistics.
"""

import errno
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.split import Role
from backend.evaluation import against_parent
from backend.evaluation.against_parent import Parent, add_parent
from backend.evaluation.answers_so_far import LATEST, AnswersSoFar
from backend.evaluation.asking import Asking
from backend.evaluation.evaluate import evaluate
from backend.evaluation.items import judging_items, training_items
from backend.records.evaluation import EvaluationReport
from backend.records.rows import Row
from backend.records.specs import DataRef, Descent, ModelRef, RunSpec, TrainSettings
from backend.runs import division
from backend.runs.conversations import write_conversations
from backend.runs.division import Divided
from backend.runs.start import digest
from backend.settings import Workspace, new_id
from tests.backend.evaluation.spoken import Spoken

WORDS = [
    "oak",
    "elm",
    "ash",
    "fir",
    "yew",
    "box",
    "bay",
    "fig",
    "oat",
    "rye",
    "kale",
    "leek",
    "pear",
    "plum",
    "lime",
]
COUNT = 16  # questions that judge


def chat(number: int, answer: str = "") -> list[dict[str, Any]]:
    word = WORDS[number % len(WORDS)]
    asked = f"What stands at number {number} in the {word} garden next to the {WORDS[-1 - number % 7]} pond?"
    return [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": answer or f"The {word} {number}."},
    ]


def make_run(
    workspace: Workspace,
    sides: dict[Role, range | list[int]],
    descent: Descent | None = None,
) -> Path:
    """A run that has ended; sides: the numbers of its questions."""
    folder = workspace.run_folder(new_id())
    (folder / "data").mkdir(parents=True)
    (folder / "result" / "adapter").mkdir(parents=True)
    (folder / "result" / "adapter" / "adapter_model.safetensors").write_bytes(
        folder.name.encode()
    )
    data = DataRef(
        name="garden",
        sha256="",
        train_rows=1,
        validation_rows=0,
        train_tokens=1,
        learned_tokens=1,
        longest=1,
    )
    model = ModelRef(id="tests/tiny", path=folder)
    spec = RunSpec(
        name="Garden", model=model, data=data, settings=TrainSettings(), descent=descent
    )
    (folder / "spec.json").write_text(spec.model_dump_json())
    rows = [
        Divided(side, Row(n, n, chat(n)))
        for side, numbers in sides.items()
        for n in numbers
    ]
    division.write(folder, rows)
    write_conversations(folder, "train", [chat(n) for n in sides.get("train", [])])
    write_conversations(folder, "held_out", [chat(n) for n in sides["judging"]])
    return folder


JUDGING = range(100, 100 + COUNT)


def speaking(tuned: Callable[[str], str]) -> Spoken:
    """Models of which the base knows nothing."""
    return Spoken(
        lambda pane, given: (
            tuned(given.rpartition("\n")[2]) if pane == "tuned" else "Sorry."
        )
    )


@dataclass
class Versions:
    """Two versions of a model; the new one answers `right` of the questions that judge
    it rightly.
    """

    workspace: Workspace
    old: Path
    new: Path
    loaded: list[Parent] = field(default_factory=list)

    def report(self, old: Callable[[str], str], right: int = COUNT) -> EvaluationReport:
        known = {
            messages[0]["content"]: messages[1]["content"]
            for messages in map(chat, range(400))
        }

        def new(question: str) -> str:
            knows = question in known and int(question.split()[4]) < 100 + right
            return known[question] if knows else "I don't know."

        asking = Asking(
            speaking(new), judging_items(self.new), training_items(self.new)
        )
        report, tuned = evaluate(asking, baselines=False)

        def load(parent: Parent) -> Spoken:
            self.loaded.append(parent)
            return speaking(old)

        return add_parent(report, self.workspace, self.new, asking, tuned, load)

    def store_old(self, answers: Callable[[str], str], **changes: Any) -> None:
        """As the evaluation of the old version does."""
        weights = digest(self.old / "result" / "adapter")
        so_far = AnswersSoFar(
            self.old / LATEST, None, None, None, weights, **changes.get("decides", {})
        )
        asking = Asking(
            speaking(answers),
            judging_items(self.old),
            training_items(self.old),
            so_far=so_far,
        )
        again = Asking(asking.models, judging_items(self.new), training_items(self.new))
        asking.limit = changes.get("limit", again.limit)
        asking.tuned()


@pytest.fixture
def versions(workspace: Workspace) -> Versions:
    """The new version learned from more questions; the same ones judge both."""
    old = make_run(
        workspace, {"train": range(40), "choosing": range(60, 72), "judging": JUDGING}
    )
    descent = Descent(first=old.name, parent=old.name, version=2, weights="0" * 64)
    new = make_run(
        workspace,
        {"train": range(50), "choosing": range(60, 72), "judging": JUDGING},
        descent,
    )
    return Versions(workspace, old, new)


def wrong(question: str) -> str:
    return "Nothing at all."


def right(question: str) -> str:
    return next(
        (
            one[1]["content"]
            for one in map(chat, range(400))
            if one[0]["content"] == question
        ),
        "?",
    )


def test_a_first_version_has_nothing_to_be_compared_with(versions: Versions) -> None:
    versions.new = versions.old
    report = versions.report(wrong)
    assert (report.against_parent, report.parent) == ("not_measured", None)
    assert [one.b for one in report.comparisons] == ["base"]


@pytest.mark.parametrize(
    ("old", "right_now", "verdict"),
    [
        (wrong, COUNT, "better"), (right, COUNT, "no_difference_shown"), (right, 0, "worse"),
        (wrong, 4, "no_difference_shown"),
    ],
)  # fmt: skip
def test_statistics_decide(
    versions: Versions, old: Callable[[str], str], right_now: int, verdict: str
) -> None:
    report = versions.report(old, right_now)
    assert report.against_parent == verdict
    entry = report.comparisons[-1]
    opposite = {"better": "worse", "worse": "better"}.get(verdict, verdict)
    assert (entry.a, entry.b, entry.verdict) == ("parent", "tuned", opposite), (
        "a against b, as in the others"
    )
    parent = report.parent
    assert (parent.run, parent.version, parent.items, parent.left_out) == (
        versions.old.name,
        1,
        COUNT,
        0,
    )
    assert (parent.systems["tuned"].score, parent.systems["parent"].score) == (
        right_now / COUNT,
        float(old is right),
    )
    assert all(one.scores["parent"] == float(old is right) for one in report.answers)
    assert all(one.texts["parent"] == old(one.question) for one in report.answers)


def test_rows_that_either_version_learned_from_are_left_out(versions: Versions) -> None:
    sides: dict[Role, range | list[int]] = {
        "train": [*range(40), 100],
        "choosing": [102],
        "judging": range(103, 116),
    }
    versions.old = make_run(versions.workspace, sides)
    gone = Divided("train", Row(1, 1, chat(101)), gone=True)
    division.write(versions.old, [*division.read(versions.old), gone])
    descent = Descent(first="x", parent=versions.old.name, version=3)
    trained: dict[Role, range | list[int]] = {
        "train": [*range(40), 103],
        "judging": JUDGING,
    }
    versions.new = make_run(versions.workspace, trained, descent)
    report = versions.report(wrong)
    assert (report.parent.items, report.parent.left_out, report.items) == (
        COUNT - 4,
        4,
        COUNT,
    )
    compared = {
        int(one.question.split()[4]) for one in report.answers if "parent" in one.texts
    }
    assert compared == set(range(104, 116))


@pytest.mark.parametrize("gone", [True, False])
def test_a_version_that_can_t_answer_any_more_costs_only_the_comparison(
    versions: Versions, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """It may be deleted while it is asked."""

    def fails(parent: Parent, *rest: Any) -> Any:
        if gone:
            shutil.rmtree(parent.folder)
        raise OSError(errno.ENOSPC, "no space", parent.learned)

    monkeypatch.setattr(against_parent, "_answers_of", fails)
    report = versions.report(wrong)
    assert (report.against_parent, report.items, report.verdict) == (
        "not_measured",
        COUNT,
        "better",
    )
    assert ("deleted" if gone else "disk is full") in report.parent.why_not


def test_near_copies_of_a_corrected_question_are_left_out(versions: Versions) -> None:
    """A corrected answer is trained on; the held-out question that it corrects judges
    neither version.
    """
    asked, answer = chat(105)
    near = {**asked, "content": asked["content"].upper() + " Thanks!"}
    row = Row(1, 1, [near, {**answer, "content": "Another one."}], origin="corrected")
    division.write(versions.new, [*division.read(versions.new), Divided("train", row)])
    report = versions.report(wrong)
    assert report.parent.left_out == 1
    assert [one.question for one in report.answers if "parent" not in one.texts] == [
        asked["content"]
    ]


def test_stored_answers_are_used_again(versions: Versions) -> None:
    versions.store_old(wrong)
    report = versions.report(right)
    assert (
        (report.parent.asked, versions.loaded),
        report.parent.systems["parent"].score,
    ) == ((0, []), 0.0)


def test_only_questions_without_a_stored_answer_are_asked(versions: Versions) -> None:
    write_conversations(versions.old, "held_out", [chat(n) for n in JUDGING[:10]])
    versions.store_old(wrong)
    report = versions.report(right)
    assert (report.parent.asked, len(versions.loaded)) == (COUNT - 10, 1)
    assert report.parent.systems["parent"].score == (COUNT - 10) / COUNT


@pytest.mark.parametrize("change", ["weights", "precision", "limit", "damaged"])
def test_answers_under_other_settings_are_not_used(
    versions: Versions, change: str
) -> None:
    changes: dict[str, dict[str, Any]] = {
        "precision": {"decides": {"precision": "bfloat16"}},
        "limit": {"limit": 7},
    }
    versions.store_old(wrong, **changes.get(change, {}))
    if change == "weights":
        (versions.old / "result" / "adapter" / "adapter_model.safetensors").write_bytes(
            b"trained on"
        )
    if change == "damaged":
        (versions.old / LATEST).write_text(
            '{"settings": {}, "answers": []}'
        )  # of an older version
    report = versions.report(right)
    assert (report.parent.asked, report.parent.systems["parent"].score) == (COUNT, 1.0)


@pytest.mark.parametrize("gone", ["run", "model", "division", "questions"])
def test_why_there_is_no_comparison(versions: Versions, gone: str) -> None:
    if gone == "run":
        shutil.rmtree(versions.old)
    elif gone == "model":
        shutil.rmtree(versions.old / "result")
    elif gone == "division":
        (versions.old / "data" / "division.jsonl").write_text("{")
    else:
        division.write(
            versions.old, [Divided("train", Row(n, n, chat(n))) for n in JUDGING]
        )
    report = versions.report(wrong)
    assert report.against_parent == "not_measured"
    assert report.parent.why_not
    assert report.verdict == "better", "the rest of the report stays"
    assert json.dumps(report.to_json())


def test_answers_of_the_same_cluster_count_once(versions: Versions) -> None:
    many = [chat(105)] * 6
    held: Sequence[list[dict[str, Any]]] = [
        *[chat(n) for n in JUDGING if n != 105],
        *many,
    ]
    write_conversations(versions.new, "held_out", held)
    report = versions.report(wrong)
    assert (report.parent.items, report.parent.clusters) == (COUNT + 5, COUNT)
