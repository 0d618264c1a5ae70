"""Answers of an evaluation that did not end, on disk."""

from pathlib import Path

import pytest

from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.models import Answer

YES = Answer("Yes", True)


def test_an_answer_holds_only_for_what_decides_it(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    for number in range(3):  # they add up
        AnswersSoFar(file, weights="a").add("base", [[number, 2]], 8, [YES])
    again = AnswersSoFar(file, weights="a")
    assert [again.get("base", [number, 2], 8) for number in range(4)] == [
        YES,
        YES,
        YES,
        None,
    ]
    others = [("tuned", [1, 2], 8), ("base", [1, 3], 8), ("base", [1, 2], 9)]
    assert [again.get(*other) for other in others] == [None, None, None]
    assert AnswersSoFar(file, weights="b").get("base", [1, 2], 8) is None


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": ["Yes"]}', '{"a": '])
def test_a_damaged_file_has_no_answers_and_is_replaced(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "answers.json"
    file.write_text(content)
    AnswersSoFar(file).add("base", [[1]], 8, [YES])
    assert AnswersSoFar(file).get("base", [1], 8) == YES


def test_a_disk_that_is_full_costs_no_evaluation(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answers = AnswersSoFar(
        tmp_path / "file" / "answers.json", tmp_path / "file" / "base.json"
    )
    for pane in ("base", "tuned"):
        answers.add(pane, [[1]], 8, [YES])
        assert answers.get(pane, [1], 8) == YES


def test_those_of_the_base_hold_for_every_run_with_it(tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    for weights in "ab":
        answers = AnswersSoFar(
            tmp_path / f"{weights}.json", base, weights=weights, engine="llama.cpp"
        )
        assert answers.get("base", [1], 8) == (None if weights == "a" else YES)
        assert answers.get("tuned", [1], 8) is None
        answers.add("base", [[1]], 8, [YES])
        answers.add("tuned", [[1]], 8, [YES])
    assert AnswersSoFar(None, base, engine="transformers").get("base", [1], 8) is None


def test_those_to_general_prompts_lie_apart_and_some_come_with_the_app(
    tmp_path: Path,
) -> None:
    general, shipped = tmp_path / "cache" / "general.json", tmp_path / "shipped.json"
    AnswersSoFar(general=shipped).add("base", [[1]], 8, [YES], general=True)
    so_far = AnswersSoFar(
        tmp_path / "a.json", tmp_path / "base.json", general, shipped, weights="a"
    )
    assert so_far.get("base", [1], 8, general=True) == YES
    so_far.add("base", [[2]], 8, [YES], general=True)
    so_far.add("tuned", [[2]], 8, [YES], general=True)
    again = AnswersSoFar(None, tmp_path / "base.json", general, shipped)
    assert again.get("base", [2], 8, general=True) == YES
    assert again.get("base", [2], 8) is None
    assert again.get("tuned", [2], 8, general=True) is None


def test_a_deleted_dataset_is_not_made_again(tmp_path: Path) -> None:
    answers = AnswersSoFar(None, tmp_path / "dataset" / "base.json")
    answers.add("base", [[1]], 8, [YES])
    assert answers.get("base", [1], 8) == YES
    assert not (tmp_path / "dataset").exists()
